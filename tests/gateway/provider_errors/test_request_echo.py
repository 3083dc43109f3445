"""Text of the request in an error message is masked."""

import pytest

from gateway.provider_errors.error_body import read_error_value
from gateway.provider_errors.request_echo import PIECE_CHARS, mask_request_text


@pytest.mark.parametrize(
    ("message", "request_", "masked"),
    [
        ("context length exceeded", {"stop": ["text"]}, "context length exceeded"),  # whole words only
        ("bad value: text!", {"stop": ["text"]}, "bad value: ***!"),
        ("no such tool: abc", {"tools": [{"abc": 1}]}, "no such tool: abc"),  # shorter than four characters
        ("no such tool: abcd", {"tools": [{"abcd": 1}]}, "no such tool: ***"),  # keys of nested objects
        ("Unknown parameter: 'user'", {"messages": [{"role": "user"}]}, "Unknown parameter: 'user'"),
        ("You wrote 'delete all'", {"messages": [{"content": "x" * 99 + "delete all" + "x" * 99}]}, "You wrote '***'"),
    ],
)
def test_what_the_request_contains_is_masked(message: str, request_: dict[str, object], masked: str) -> None:
    assert mask_request_text(read_error_value(message), request_).message == masked


def test_a_quote_is_found_across_the_pieces_of_a_long_text() -> None:
    text = "x" * (PIECE_CHARS - 5) + "delete all" + "x" * PIECE_CHARS
    assert mask_request_text(read_error_value("You wrote 'delete all'"), {"input": text}).message == "You wrote '***'"
