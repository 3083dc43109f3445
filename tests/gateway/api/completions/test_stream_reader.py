"""Streams and complete answers of upstreams that speak legacy completions."""

from typing import Any

import pytest

from gateway.api.completions.stream_reader import CompletionsReader, checked_answer
from gateway.bodies.sse import EventReader
from gateway.provider_errors.failures import Cause, UpstreamFailure
from tests.gateway.api.completions.examples import (
    NATIVE_EVENTS,
    USAGE,
    native_event,
    read,
)

pytestmark = pytest.mark.anyio


def test_native_events_have_chat_equivalents() -> None:
    logprobs = {"tokens": ["in"], "token_logprobs": [-0.1], "top_logprobs": [{"in": -0.1}], "text_offset": [0]}
    choices = [{"text": "in", "index": 1, "logprobs": logprobs, "finish_reason": None}]
    texts, end, last = read(native_event("", choices=choices), native_event("", "length"), NATIVE_EVENTS[-1])
    (choice,) = texts.fields["choices"]
    assert (choice["index"], choice["delta"], choice["finish_reason"]) == (1, {"content": "in"}, None)
    assert choice["logprobs"]["content"][0]["top_logprobs"] == [{"token": "in", "logprob": -0.1, "bytes": [105, 110]}]
    assert (texts.api, texts.has_content, end.fields["choices"][0]["finish_reason"]) == ("completions", True, "length")
    assert (last.fields["choices"], last.fields["usage"]) == ([], USAGE)


def test_events_of_other_forms_and_the_end() -> None:
    reader = CompletionsReader()
    for data in (b"5", b"{}", b"null", b'{"choices": null}'):
        (event,) = EventReader().feed(b"data: " + data + b"\n\n")
        assert reader.read(event) is None
    for data in (b"nonsense", b"[1]", b'"a text"', b'{"choices": [{"text": 3}]}', b'{"choices": ["x"]}'):
        (event,) = EventReader().feed(b"data: " + data + b"\n\n")
        with pytest.raises(ValueError, match=r"choices|JSON|Expecting|neither"):
            reader.read(event)
    assert not reader.ended
    (event,) = EventReader().feed(b"data: [DONE]\n\n")
    assert reader.read(event) is None
    assert reader.ended


def test_an_error_in_a_native_stream() -> None:
    with pytest.raises(UpstreamFailure) as raised:
        read(b'data: {"error": {"message": "too fast", "code": 429}}\n\n')
    assert raised.value.cause is Cause.RATE_LIMITED


def test_an_error_in_a_list() -> None:
    data = b'[{"error": {"code": 429, "message": "Too many requests", "status": "RATE"}}]'
    (event,) = EventReader().feed(b"data: " + data + b"\n\n")
    with pytest.raises(UpstreamFailure) as failed:
        CompletionsReader().read(event)
    assert failed.value.cause is Cause.RATE_LIMITED


@pytest.mark.parametrize(
    "fields",
    [{}, {"choices": []}, {"choices": [{"message": {}, "text": 1}]}, {"choices": ["a"]}, {"choices": {"a": 1}}],
)
def test_an_answer_without_choices_is_unreadable(fields: dict[str, Any]) -> None:
    with pytest.raises(UpstreamFailure) as raised:
        checked_answer(fields)
    assert raised.value.cause is Cause.UNREADABLE
