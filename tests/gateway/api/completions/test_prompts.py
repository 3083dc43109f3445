"""The values that `prompt` may have."""

from typing import Any

import pytest

from gateway.api.completions.prompts import is_prompt, prompts_of, texts_among, tokens_among


@pytest.mark.parametrize(
    ("value", "prompts"),
    [
        (None, []),
        ("", [""]),
        ("one", ["one"]),
        (["one", "two"], ["one", "two"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
    ],
)
def test_valid_prompts(value: Any, prompts: list[Any]) -> None:
    assert is_prompt(value)
    assert prompts_of({"prompt": value}) == prompts


@pytest.mark.parametrize("value", [7, {}, [], [None], ["one", 1], [[1], "one"], [[]], [[True]], [1.0]])
def test_invalid_prompts(value: Any) -> None:
    assert not is_prompt(value)


def test_texts_and_token_numbers_are_told_apart() -> None:
    assert (texts_among(["one", "two"]), tokens_among(["one", "two"])) == (["one", "two"], [])
    assert (texts_among([[1, 2], [3]]), tokens_among([[1, 2], [3]])) == ([], [[1, 2], [3]])
