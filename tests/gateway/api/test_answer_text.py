"""The text of chat messages and deltas."""

import pytest

from gateway.api.answer_text import content_text, reasoning_text
from gateway.core.json_types import objects_in


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("4", "4"),
        (None, ""),
        (5, ""),
        ({"text": "4"}, ""),
        ([], ""),
        ([{"type": "text", "text": "2 + 2"}, {"type": "image_url"}, {"text": 5}, "no", {"text": " = 4"}], "2 + 2 = 4"),
    ],
)
def test_the_text_of_content(content: object, text: str) -> None:
    assert content_text(content) == text


def test_reasoning_has_two_names_and_the_first_is_preferred() -> None:
    assert reasoning_text({"reasoning_content": "a", "reasoning": "b"}) == "a"
    assert reasoning_text({"reasoning_content": "", "reasoning": "b"}) == "b"
    assert reasoning_text({"content": "4", "reasoning": None}) == ""


def test_only_the_objects_of_a_list() -> None:
    assert objects_in([{"a": 1}, 5, None, {}]) == [{"a": 1}, {}]
    assert objects_in(None) == objects_in({"a": 1}) == objects_in("text") == []
