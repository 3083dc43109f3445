"""Bodies of error responses."""

import orjson
import pytest

from gateway.provider_errors.error_body import MAX_MESSAGE, one_line, read_error, read_error_value


def test_an_openai_error_is_read_completely() -> None:
    error = {"message": "No", "type": "Invalid_Request_Error", "param": "n", "code": 400}
    read = read_error(orjson.dumps({"error": error}))
    assert read.message == "No"
    assert read.codes == {"invalid_request_error", "400"}
    assert (read.param, read.status, read.wait_s) == ("n", 400, None)
    assert read.error == error


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("plain words", "plain words"),
        ({"error": "plain words"}, "plain words"),
        ([{"error": {"message": "first"}}], "first"),
        ({"error": {"message": "a", "details": [{"message": "b"}, {"message": "a"}]}}, "a; b"),
        ({"detail": [{"loc": ["body", "n"], "msg": "too big", "input": "9"}]}, "n: too big (given: 9)"),
        ('Error: {"error": {"message": "inner"}}', "Error; inner"),
        ("zero\u200bwidth", "zerowidth"),
        ({"odd": 1}, '{"odd":1}'),
    ],
)
def test_messages_are_found_at_every_level(value: object, message: str) -> None:
    assert read_error_value(value).message == message


def test_a_long_message_keeps_its_beginning_and_its_end() -> None:
    message = read_error_value("a" * 5_000 + "b" * 5_000).message
    assert message == "a" * 1_000 + " " + "b" * 500
    assert len(message) == MAX_MESSAGE + 1


def test_the_depth_that_is_read_is_limited() -> None:
    value: object = {"message": "deep"}
    for _ in range(50):
        value = {"error": value}
    assert "deep" in read_error_value(value).message  # as the JSON itself, since no message was reached
    assert read_error_value(value).message.startswith('{"error":')


def test_one_line_escapes_control_characters() -> None:
    assert one_line(" a\n\tb \x07 ") == "a b \\x07"
    assert one_line("x" * 301) == "x" * 299 + "…"
