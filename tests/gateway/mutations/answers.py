"""Good answers of providers in each upstream format: whole, and as a stream. Each word of the text occurs once."""

from dataclasses import dataclass
from typing import Any

import orjson

Fields = dict[str, Any]
WORDS = ("alpha", "naïve", "bravo", "café😀", "zulu")
THOUGHT = "ponder"
ARGUMENTS = ('{"place"', ': "xanadu"}')
DONE = "[DONE]"


@dataclass(frozen=True)
class Event:
    """One event of a stream.

    Attributes:
        value: its JSON; `[DONE]` is text.
        kind: its `event:` line; empty without one.
        ends: it says why the answer ended.
    """

    value: Any
    kind: str = ""
    ends: bool = False

    def data(self) -> bytes:
        return self.value.encode() if isinstance(self.value, str) else orjson.dumps(self.value)


@dataclass(frozen=True)
class Answer:
    """One good answer.

    Attributes:
        name: of what is in it.
        api: the format.
        whole: where the client wants no stream.
        events: where it does.
    """

    name: str
    api: str
    whole: Fields
    events: tuple[Event, ...] = ()


def said(value: Any) -> frozenset[str]:
    """The words of the text that are anywhere within a value."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return frozenset(word for word in (*WORDS, *ARGUMENTS, THOUGHT) if word in text or _escaped(word) in text)


def _escaped(word: str) -> str:
    return orjson.dumps(word).decode()[1:-1]


def texts() -> list[str]:
    return [word if i == 0 else f" {word}" for i, word in enumerate(WORDS)]


def _chat(name: str, message: Fields, deltas: list[Fields], finish: str) -> Answer:
    base: Fields = {"id": "chatcmpl-1", "created": 1, "model": "up", "system_fingerprint": "fp_1"}
    usage: Fields = {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "total_tokens": 12,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    choice = {"index": 0, "message": {"role": "assistant"} | message, "logprobs": None, "finish_reason": finish}
    chunk = base | {"object": "chat.completion.chunk"}
    parts = [{"role": "assistant", "content": ""}, *deltas]
    events = [
        Event(chunk | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]})
        for delta in parts
    ]
    events.append(Event(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}, ends=True))
    events += [Event(chunk | {"choices": [], "usage": usage}), Event(DONE)]
    whole = base | {"object": "chat.completion", "choices": [choice], "usage": usage}
    return Answer(name, "chat", whole, tuple(events))


def _two() -> Answer:
    """Two choices at once."""
    one = _chat("text", {"content": "".join(texts())}, [{"content": piece} for piece in texts()], "stop")
    events = list(one.events)
    for i in (2, 4, 6):  # every other word, and an end, is the second choice's
        (choice,) = events[i].value["choices"]
        events[i] = Event(events[i].value | {"choices": [choice | {"index": 1}]}, ends=events[i].ends)
    (end,) = events[-3].value["choices"]
    events.insert(-2, Event(events[-3].value | {"choices": [end | {"index": 1 - end["index"]}]}, ends=True))
    (choice,) = one.whole["choices"]
    return Answer("two", "chat", one.whole | {"choices": [choice, choice | {"index": 1}]}, tuple(events))


def _chat_answers() -> list[Answer]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "".join(ARGUMENTS)}}
    began = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": ""}}
    calls: list[Fields] = [{"tool_calls": [began]}]
    calls += [{"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in ARGUMENTS]
    text: list[Fields] = [{"content": piece} for piece in texts()]
    thought: Fields = {"reasoning_content": THOUGHT}
    return [
        _two(),
        _chat("text", {"content": "".join(texts())} | thought, [thought, *text], "stop"),
        _chat("call", {"content": None, "tool_calls": [call]}, calls, "tool_calls"),
    ]


def _message(name: str, blocks: list[tuple[Fields, Fields, list[Fields]]], reason: str) -> Answer:
    usage = {"input_tokens": 9, "output_tokens": 4, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 0}
    base: Fields = {"id": "msg_1", "type": "message", "role": "assistant", "model": "up"}
    ending: Fields = {"stop_reason": reason, "stop_sequence": None}
    content = [block for block, _, _ in blocks]
    start = base | {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage | {"output_tokens": 1}}
    values: list[Fields] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, (_, empty, deltas) in enumerate(blocks):
        values.append({"type": "content_block_start", "index": index, "content_block": empty})
        values += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        values.append({"type": "content_block_stop", "index": index})
    values.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 12}})
    values.append({"type": "message_stop"})
    events = [Event(value, value["type"], value["type"] == "message_delta") for value in values]
    return Answer(name, "messages", base | {"content": content, "usage": usage} | ending, tuple(events))


def _message_answers() -> list[Answer]:
    thought = (
        {"type": "thinking", "thinking": THOUGHT, "signature": "sig"},
        {"type": "thinking", "thinking": "", "signature": ""},
        [{"type": "thinking_delta", "thinking": THOUGHT}, {"type": "signature_delta", "signature": "sig"}],
    )
    text: tuple[Fields, Fields, list[Fields]] = (
        {"type": "text", "text": "".join(texts())},
        {"type": "text", "text": ""},
        [{"type": "text_delta", "text": piece} for piece in texts()],
    )
    tool: Fields = {"type": "tool_use", "id": "toolu_1", "name": "look"}
    call: tuple[Fields, Fields, list[Fields]] = (
        tool | {"input": orjson.loads("".join(ARGUMENTS))},
        tool | {"input": {}},
        [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENTS],
    )
    return [_message("text", [thought, text], "end_turn"), _message("call", [call], "tool_use")]


def _response(name: str, output: list[Fields], middle: list[Fields]) -> Answer:
    usage: Fields = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }
    base: Fields = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "up",
        "output": [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }
    whole = base | {"status": "completed", "output": output, "usage": usage}
    values: list[Fields] = [{"type": f"response.{kind}", "response": base} for kind in ("created", "in_progress")]
    values += [*middle, {"type": "response.completed", "response": whole}]
    numbered = [value | {"sequence_number": i} for i, value in enumerate(values)]
    events = [Event(value, value["type"], value["type"] == "response.completed") for value in numbered]
    return Answer(name, "responses", whole, tuple(events))


def _response_answers() -> list[Answer]:
    item: Fields = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    part: Fields = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    done = part | {"text": "".join(texts())}
    said_item = item | {"status": "completed", "content": [done]}
    of_part: Fields = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    text = [
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **of_part, "part": part},
        *({"type": "response.output_text.delta", **of_part, "delta": piece, "logprobs": []} for piece in texts()),
        {"type": "response.output_text.done", **of_part, "text": done["text"], "logprobs": []},
        {"type": "response.content_part.done", **of_part, "part": done},
        {"type": "response.output_item.done", "output_index": 0, "item": said_item},
    ]
    call: Fields = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "look", "arguments": ""}
    called = call | {"arguments": "".join(ARGUMENTS), "status": "completed"}
    kind = "response.function_call_arguments"
    of_call: Fields = {"item_id": "fc_1", "output_index": 0}
    calls = [
        {"type": "response.output_item.added", "output_index": 0, "item": call | {"status": "in_progress"}},
        *({"type": f"{kind}.delta", **of_call, "delta": piece} for piece in ARGUMENTS),
        {"type": f"{kind}.done", **of_call, "name": "look", "arguments": called["arguments"]},
        {"type": "response.output_item.done", "output_index": 0, "item": called},
    ]
    return [_response("text", [said_item], text), _response("call", [called], calls)]


def _completions_answer() -> Answer:
    base: Fields = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "up"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    choice: Fields = {"text": "", "index": 0, "logprobs": None, "finish_reason": None}
    events = [Event(base | {"choices": [choice | {"text": piece}]}) for piece in texts()]
    events.append(Event(base | {"choices": [choice | {"finish_reason": "stop"}]}, ends=True))
    events += [Event(base | {"choices": [], "usage": usage}), Event(DONE)]
    whole = base | {"choices": [choice | {"text": "".join(texts()), "finish_reason": "stop"}], "usage": usage}
    return Answer("text", "completions", whole, tuple(events))


def _embeddings_answer() -> Answer:
    data = [{"object": "embedding", "index": i, "embedding": [float(i), 0.5]} for i in range(2)]
    usage = {"prompt_tokens": 2, "total_tokens": 2}
    return Answer("vectors", "embeddings", {"object": "list", "data": data, "model": "up", "usage": usage})


ANSWERS = (
    *_chat_answers(),
    *_message_answers(),
    *_response_answers(),
    _completions_answer(),
    _embeddings_answer(),
)
