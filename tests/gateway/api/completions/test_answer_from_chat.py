"""A chat completion, or a text completion of an upstream -> the client's text completion."""

import orjson
import pytest

from gateway.api.completions.stream_reader import billed_usage, checked_answer
from gateway.core.answer import Complete
from gateway.core.usage import Usage
from tests.gateway.api.completions.examples import (
    DIALECT,
    LEGACY,
    LOGPROBS,
    USAGE,
    chat_chunk,
    complete_answer,
    parse,
    written,
)
from tests.gateway.upstreams import completion

pytestmark = pytest.mark.anyio


async def test_a_chat_completion_becomes_a_text_completion() -> None:
    answer = completion("in a far land", "up") | {"service_tier": "default", "system_fingerprint": None}
    assert complete_answer(await parse(), answer) == {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": "llama-8b",
        "choices": [{"text": "in a far land", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
        "service_tier": "default",
    }


async def test_missing_fields_of_an_answer_are_added() -> None:
    answer = {"choices": [{"message": {"role": "assistant", "content": None}}, {"message": {"content": "b"}}]}
    value = complete_answer(await parse(n=2), answer)
    assert [(c["index"], c["text"], c["finish_reason"]) for c in value["choices"]] == [
        (0, "", "stop"),
        (1, "b", "stop"),
    ]
    assert value["id"].startswith("cmpl-")
    assert value["created"] > 0


@pytest.mark.parametrize(
    ("chat", "here"),
    [("stop", "stop"), ("length", "length"), ("content_filter", "content_filter"), ("tool_calls", "stop")],
)
async def test_finish_reasons(chat: str, here: str) -> None:
    answer = completion("x", "up")
    answer["choices"][0]["finish_reason"] = chat
    assert complete_answer(await parse(), answer)["choices"][0]["finish_reason"] == here
    writer = DIALECT.writer(await parse(stream=True))
    chunk = chat_chunk({}, chat)
    assert written(writer.write(chunk, chunk.fields, "llama-8b"))[0]["choices"][0]["finish_reason"] == here


async def test_log_probabilities_in_the_legacy_form() -> None:
    answer = completion("in a far", "up")
    answer["choices"][0]["logprobs"] = LOGPROBS
    assert complete_answer(await parse(logprobs=1), answer)["choices"][0]["logprobs"] == LEGACY


async def test_a_native_answer_keeps_its_bytes_but_for_the_name() -> None:
    body = b'{"id":"x-1", "object":"text_completion","created":5,"model":"up","choices":[{"text":"a \\u00e9","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10},"timings":{"f":1.10}}'
    fields = checked_answer(orjson.loads(body))
    assert billed_usage(fields) == Usage(7, 3)
    complete = Complete(body, fields, billed_usage(fields), "completions")
    assert DIALECT.complete_answer(await parse(), complete, "llama-8b") == body.replace(b'"up"', b'"llama-8b"')
    nested = body.replace(b'"timings":{', b'"timings":{"model":"up",')
    complete = Complete(nested, orjson.loads(nested), None, "completions")
    answer = orjson.loads(DIALECT.complete_answer(await parse(), complete, "llama-8b"))
    assert (answer["model"], answer["timings"]["model"]) == ("llama-8b", "up")
