"""Requests, answers and streams of legacy completions for the tests of this format."""

from typing import Any

import orjson

from gateway.api.completions.dialect import Completions
from gateway.api.completions.stream_reader import CompletionsReader
from gateway.bodies.sse import EventReader
from gateway.core.answer import Chunk, Complete
from gateway.core.usage import Usage
from gateway.request.chat_request import ChatRequest
from tests.conformance import validate

ASK: dict[str, Any] = {"model": "auto", "prompt": "Once upon a time,", "max_tokens": 30}
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
DIALECT = Completions()


async def parse(**fields: Any) -> ChatRequest:
    return await DIALECT.parse(orjson.dumps(ASK | fields), {})


def chat_chunk(delta: dict[str, Any], finish: str | None = None, **choice: Any) -> Chunk:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish} | choice]
    fields = {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 5,
        "model": "up",
        "system_fingerprint": None,
        "choices": choices,
    }
    return Chunk(b"data: " + orjson.dumps(fields) + b"\n\n", fields)


CHAT_CHUNKS = [
    chat_chunk({"role": "assistant", "content": ""}),
    chat_chunk({"reasoning_content": "hm"}),
    chat_chunk({"content": "in a"}),
    chat_chunk({"content": " far land"}),
    chat_chunk({}, "stop"),
]


def native_event(text: str, finish: str | None = None, **more: Any) -> bytes:
    choices = [{"text": text, "index": 0, "logprobs": None, "finish_reason": finish}]
    fields = {"id": "cmpl-9", "object": "text_completion", "created": 5, "model": "up", "choices": choices} | more
    return b"data: " + orjson.dumps(fields) + b"\n\n"


NATIVE_EVENTS = [
    native_event("in a"),
    native_event(" far land", system_fingerprint="fp"),
    native_event("", "stop"),
    native_event("", usage=USAGE) .replace(b'"choices":[{"text":"","index":0,"logprobs":null,"finish_reason":null}]', b'"choices":[]'),
]  # fmt: skip


def read(*events: bytes) -> list[Chunk]:
    reader = CompletionsReader()
    chunks = [reader.read(event) for event in EventReader().feed(b"".join(events))]
    return [chunk for chunk in chunks if chunk is not None]


def written(data: bytes) -> list[Any]:
    """The events in these bytes, `[DONE]` as itself."""
    events = [event.data or b"" for event in EventReader().feed(data)]
    return ["[DONE]" if data == b"[DONE]" else orjson.loads(data) for data in events]


def complete_answer(request: ChatRequest, fields: dict[str, Any], api: Any = "chat") -> dict[str, Any]:
    complete = Complete(orjson.dumps(fields), fields, Usage(7, 3), api)
    value: dict[str, Any] = orjson.loads(DIALECT.complete_answer(request, complete, "llama-8b"))
    validate(value, "CreateCompletionResponse")
    return value


async def stream(request: ChatRequest, chunks: list[Chunk], usage: dict[str, Any] | None = USAGE) -> list[Any]:
    writer = DIALECT.writer(request)
    data = b"".join(writer.write(chunk, chunk.fields, "llama-8b") for chunk in chunks)
    return written(data + writer.end(usage, "llama-8b"))


def token(text: str, logprob: float, *others: tuple[str, float]) -> dict[str, Any]:
    top = [{"token": t, "logprob": p, "bytes": None} for t, p in ((text, logprob), *others)]
    return {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}


LOGPROBS = {"content": [token("in", -0.1, ("on", -2.0)), token(" a", -0.2), token(" far", -0.3)], "refusal": None}
LEGACY = {
    "tokens": ["in", " a", " far"],
    "token_logprobs": [-0.1, -0.2, -0.3],
    "top_logprobs": [{"in": -0.1, "on": -2.0}, {" a": -0.2}, {" far": -0.3}],
    "text_offset": [0, 2, 4],
}
