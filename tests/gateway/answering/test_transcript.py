"""The part of a stream that the client has: one stream by one or more models, and how far another model can continue it."""

from typing import Any

import orjson
import pytest

from gateway.answering.transcript import MAX_CONTINUED_CHARS, Transcript, in_transcript
from gateway.request.chat_request import parse_chat
from gateway.request.last_answer import last_answer


def transcript(**fields: Any) -> Transcript:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True} | fields
    return Transcript(parse_chat(orjson.dumps(body)))


def chunk(*deltas: dict[str, Any], finish: str | None = None, id: str = "c1", created: int = 1) -> dict[str, Any]:
    choices = [{"index": i, "delta": delta, "finish_reason": finish} for i, delta in enumerate(deltas)]
    return {"id": id, "created": created, "choices": choices}


def test_a_stream_of_one_model_stays_as_it_is() -> None:
    stream = transcript()
    stream.models.append("m")
    for fields in (chunk({"role": "assistant"}), chunk({"content": "Hel"}), chunk({"content": "lo"}, finish="stop")):
        assert stream.add(fields) is None
    assert (stream.text, stream.contents, stream.finish_reasons) == ("Hello", 2, ["stop"])
    assert stream.complete
    assert stream.ended


def test_a_second_models_chunks_get_the_id_of_the_first_and_the_last_chunk_names_both() -> None:
    stream = transcript()
    stream.models.append("one")
    stream.add(chunk({"content": "Hel"}))
    stream.models.append("two")
    changed = stream.add(chunk({"content": "l"}, id="c2", created=2))
    assert changed is not None
    assert (changed["id"], changed["created"]) == ("c1", 1)
    last = stream.add(chunk({"content": "o"}, finish="stop", id="c2"))
    assert last is not None
    assert (last["id"], last["locus"]) == ("c1", {"models": ["one", "two"]})


def test_a_choice_ends_once() -> None:
    stream = transcript()
    stream.models.append("m")
    stream.add(chunk({"content": "a"}, finish="stop"))
    again = stream.add(chunk({}, finish="length"))
    assert again is not None
    assert again["choices"][0]["finish_reason"] is None


def test_it_is_complete_only_with_the_end_of_every_choice() -> None:
    stream = transcript(n=2)
    assert not stream.ended
    stream.add(chunk({"content": "a"}, finish="stop"))
    assert (stream.complete, stream.ended) == (False, True)  # a provider may give fewer choices
    stream.add(chunk({}, {"content": "b"}))
    assert (stream.complete, stream.ended) == (False, False)
    stream.add(chunk({}, {}, finish="stop"))
    assert (stream.complete, stream.ended) == (True, True)


def test_locus_fields_are_in_the_chunks_up_to_the_first_with_content() -> None:
    stream = transcript()
    stream.locus_fields = {"model": "m"}
    for delta in ({"role": "assistant"}, {"content": "a"}):
        changed = stream.add(chunk(delta))
        assert changed is not None
        assert changed["locus"] == {"model": "m"}
    assert stream.add(chunk({"content": "b"})) is None
    stream = transcript()
    stream.locus_fields = {"model": "m"}
    stream.add(chunk({}, finish="stop"))
    assert stream.locus_fields is None


@pytest.mark.parametrize(
    ("fields", "delta", "reason"),
    [
        ({}, {"content": "text"}, None),
        ({}, {"content": "text", "reasoning_content": "hm"}, None),
        ({}, {"tool_calls": []}, None),
        ({"n": 2}, {"content": "text"}, "it has several choices"),
        ({}, {"tool_calls": [{"index": 0, "id": "t1"}]}, "it has more than text, such as calls of tools"),
        ({}, {"content": [{"type": "text"}]}, "it has more than text, such as calls of tools"),
        ({"response_format": {"type": "json_object"}}, {"content": "{"}, "it is structured output"),
        ({"response_format": {"type": "json_object"}}, {"role": "assistant"}, None),
        ({}, {"content": "a" * (MAX_CONTINUED_CHARS + 1)}, f"it has more than {MAX_CONTINUED_CHARS} characters"),
    ],
)
def test_whether_another_model_can_continue(fields: dict[str, Any], delta: dict[str, Any], reason: str | None) -> None:
    stream = transcript(**fields)
    stream.add(chunk(delta))
    assert stream.not_continuable == reason


def test_its_answer_is_known_again_by_its_text_and_tool_calls() -> None:
    stream = transcript()
    stream.add(chunk({"content": "Hello"}))
    stream.add(chunk({"tool_calls": [{"index": 0, "id": "t1"}, {"index": 0}]}))
    assert stream.tool_call_ids == ["t1"]
    assert in_transcript(stream) == last_answer("Hello", ["t1"])
