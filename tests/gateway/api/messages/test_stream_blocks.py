"""The order of the blocks in a Messages stream."""

from typing import Any

import orjson

from gateway.api.messages.stream_blocks import BlockSequence, encoded_event
from gateway.bodies.sse import EventReader


def read(data: bytes) -> list[dict[str, Any]]:
    return [orjson.loads(event.data or b"") for event in EventReader().feed(data)]


def kinds(data: bytes) -> list[tuple[str, int]]:
    return [(event["type"].removeprefix("content_block_"), event["index"]) for event in read(data)]


def call(index: int, arguments: object = "", call_id: str | None = None, name: str | None = None) -> dict[str, object]:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def test_an_event_has_its_type_twice() -> None:
    assert encoded_event("ping") == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert encoded_event("x", kind=1, event_type=2) == b'event: x\ndata: {"type":"x","kind":1,"event_type":2}\n\n'


def test_text_is_written_at_once_and_its_block_stays_open() -> None:
    blocks = BlockSequence({})
    blocks.add_text("2")
    assert kinds(blocks.events()) == [("start", 0), ("delta", 0)]
    blocks.add_text(" + 2")
    assert read(blocks.events()) == [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " + 2"}}
    ]
    assert kinds(blocks.events(last=True)) == [("stop", 0)]
    assert not blocks.has_tool_call


def test_a_second_call_waits_until_the_arguments_of_the_first_are_an_object() -> None:
    blocks = BlockSequence({"short": "the client's long name"})
    blocks.add_tool_call(call(0, '{"a":', "c0", "short"))
    blocks.add_tool_call(call(1, "{}", "c1", "add"))
    first = read(blocks.events())
    assert [event["type"] for event in first] == ["content_block_start", "content_block_delta"]
    assert first[0]["content_block"] == {"type": "tool_use", "id": "c0", "name": "the client's long name", "input": {}}
    blocks.add_tool_call(call(0, "1}"))
    assert kinds(blocks.events()) == [("delta", 0), ("stop", 0), ("start", 1), ("delta", 1)]
    assert blocks.has_tool_call


def test_a_call_without_a_name_is_held_back_and_left_out_at_the_end() -> None:
    blocks = BlockSequence({})
    blocks.add_tool_call(call(0, "{}", "c0"))
    assert blocks.events() == b""
    assert blocks.events(last=True) == b""
    assert not blocks.has_tool_call


def test_a_signature_ends_its_thinking() -> None:
    blocks = BlockSequence({})
    blocks.add_thinking("hm")
    blocks.add_signature("EqQB")
    blocks.add_thinking("again")
    blocks.add_redacted_thinking("Em8K")
    events = read(blocks.events(last=True))
    started = [event["content_block"]["type"] for event in events if event["type"] == "content_block_start"]
    assert started == ["thinking", "thinking", "redacted_thinking"]


def test_blocks_continue_after_those_of_another_model() -> None:
    blocks = BlockSequence({})
    blocks.note_start(0, "text")
    blocks.note_stop(0)
    blocks.note_start(1, "tool_use")
    blocks.add_tool_call(call(0, "{}"))
    assert kinds(blocks.events()) == [("delta", 1)]
    blocks.add_text("more")
    assert kinds(blocks.events()) == [("stop", 1), ("start", 2), ("delta", 2)]
    assert blocks.has_tool_call
