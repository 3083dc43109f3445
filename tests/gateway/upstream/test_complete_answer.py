import orjson
import pytest

from gateway.core.usage import Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.upstream.complete_answer import read_answer_object, read_complete

MESSAGE = {"role": "assistant", "content": "Paris"}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "up",
    "choices": [{"index": 0, "finish_reason": "stop", "message": MESSAGE}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def test_a_correct_answer_keeps_its_bytes() -> None:
    body = orjson.dumps(ANSWER)
    complete = read_complete(body, "chat")
    assert complete.body is body
    assert (complete.fields, complete.usage, complete.api) == (ANSWER, Usage(3, 1), "chat")


def test_an_answer_that_is_not_strict_json_is_written_again() -> None:
    body = orjson.dumps(ANSWER).replace(b'"created":1', b'"created":NaN')
    complete = read_complete(body, "chat")
    assert orjson.loads(complete.body)["choices"] == ANSWER["choices"]


def test_a_stream_in_place_of_an_answer_is_assembled() -> None:
    chunk = {"id": "1", "choices": [{"index": 0, "delta": MESSAGE, "finish_reason": "stop"}]}
    body = b"\xef\xbb\xbf\n: ping\n\ndata: " + orjson.dumps(chunk) + b"\n\ndata: [DONE]\n\n"
    fields, strict = read_answer_object(body, "chat")
    assert (fields["choices"][0]["message"]["content"], strict) == ("Paris", False)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"3"])
def test_a_body_that_is_not_an_object_is_unreadable(body: bytes) -> None:
    with pytest.raises(UpstreamFailure) as caught:
        read_complete(body, "chat")
    assert caught.value.cause is Cause.UNREADABLE


def test_an_error_with_status_200_is_classified() -> None:
    with pytest.raises(UpstreamFailure) as caught:
        read_complete(b'{"error": {"message": "no", "type": "overloaded_error"}}', "messages")
    assert caught.value.status == 529


@pytest.mark.parametrize(
    ("api", "fields", "usage"),
    [
        (
            "messages",
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "text", "text": "Paris"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 3, "output_tokens": 1},
            },
            Usage(3, 1),
        ),
        (
            "completions",
            {
                "choices": [{"index": 0, "text": "Paris", "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 1},
            },
            Usage(3, 1),
        ),
    ],
)
def test_answers_of_other_formats(api: Api, fields: dict[str, object], usage: Usage) -> None:
    complete = read_complete(orjson.dumps(fields), api)
    assert (complete.usage, complete.api) == (usage, api)
