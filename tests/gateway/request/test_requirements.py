"""The requirements of a request."""

from typing import Any

import pytest

from gateway.core.errors import InvalidRequest
from gateway.request.requirements import read_requirements

ASK: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, set()),
        ({"modalities": ["text"]}, set()),
        ({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}, {"audio_output"}),
        ({"modalities": ["image", "text"]}, {"image_output"}),
        ({"modalities": "audio"}, set()),  # the provider reports the error
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, {"tools"}),
        ({"n": 2, "logprobs": True}, {"several", "logprobs"}),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"json_schema"}),
    ],
)
def test_capabilities_are_read_from_the_fields(fields: dict[str, Any], expected: set[str]) -> None:
    assert read_requirements(ASK | fields).capabilities == expected


@pytest.mark.parametrize(
    ("text", "longest"),
    [
        ("a" * 1000, 1000),
        ("a" * 1000 + "—", 1003),  # one character above ASCII makes the text three bytes longer, not four times as long
        ("日本" * 10, 60),
        ("\ud83d", 3),  # half of a surrogate pair, which JSON allows
        ("é" * 1_000_001, 4_000_004),  # not counted byte by byte
    ],
)
def test_a_prompt_has_at_most_as_many_tokens_as_bytes(text: str, longest: int) -> None:
    requirements = read_requirements({"messages": [{"role": "user", "content": text}]})
    assert requirements.max_prompt_tokens - 2 * requirements.overhead_tokens == longest


@pytest.mark.parametrize("field", ["n", "max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("value", [0, -1, 2.5, "3", True])
def test_a_number_that_multiplies_the_cost_is_checked(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match=f"`{field}` must be a whole number of at least 1, not a"):
        read_requirements(ASK | {field: value})


def test_of_two_output_limits_the_larger_one_counts() -> None:
    for limits in ({"max_tokens": 9, "max_completion_tokens": 1}, {"max_tokens": 1, "max_completion_tokens": 9}):
        assert read_requirements(ASK | limits).output_tokens == 9
