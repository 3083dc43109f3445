"""Content parts as chat parts."""

from typing import Any

import pytest

from gateway.api.responses.content_to_chat import ChatContent
from gateway.core.errors import InvalidRequest


def test_text_and_pictures() -> None:
    given = [
        {"type": "input_text", "text": "What is"},
        {"type": "input_image", "image_url": "https://x/1.png", "detail": "original"},
        {"type": "refusal", "refusal": "no"},
        {"type": "input_file", "file_data": "data:,x"},
    ]
    content = ChatContent(given, "input[0].content")
    assert content.texts == ["What is", "no"]
    assert content.joined_text == "What is\nno"
    assert content.parts == [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": "https://x/1.png", "detail": "high"}},
        {"type": "text", "text": "no"},
        {"type": "file", "file": {"filename": "file", "file_data": "data:,x"}},
    ]
    assert content.native_only is None
    assert ChatContent("hi", "input").parts == [{"type": "text", "text": "hi"}]


@pytest.mark.parametrize(
    ("part", "field"),
    [
        ({"type": "input_image", "file_id": "file-1"}, "c[1].file_id"),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, "c[1].file_url"),
        ({"type": "computer_screenshot"}, "c[1].type"),
    ],
)
def test_parts_that_chat_cannot_express(part: dict[str, Any], field: str) -> None:
    content = ChatContent([{"type": "text", "text": "hi"}, part], "c")
    assert content.native_only == field
    assert content.texts == ["hi"]


@pytest.mark.parametrize(
    ("given", "param"),
    [(5, "input[0].content"), ([5], "input[0].content[0]"), ([{"type": "input_image"}], "input[0].content[0].file_id")],
)
def test_errors_name_the_field(given: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChatContent(given, "input[0].content")
    assert caught.value.param == param
