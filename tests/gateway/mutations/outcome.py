"""Reads what a client got, as strictly as its API allows: a success with its text, an error, or something that is neither."""

import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError

Fields = dict[str, Any]
_BLOCKS = frozenset({"text", "thinking", "tool_use"})
_DELTAS = frozenset({"text_delta", "thinking_delta", "signature_delta", "input_json_delta"})
_ITEMS = frozenset({"message", "reasoning", "function_call", "custom_tool_call"})
_PARTS = frozenset({"output_text", "refusal", "reasoning_text", "summary_text"})
_KINDS = frozenset(
    {f"response.{kind}" for kind in ("created", "in_progress", "completed", "incomplete", "failed")}
    | {f"response.{kind}.{verb}" for kind in ("output_item", "content_part") for verb in ("added", "done")}
    | {
        f"response.{kind}.{verb}"
        for kind in ("output_text", "refusal", "function_call_arguments")
        for verb in ("delta", "done")
    }
)
_EVENTS = frozenset(
    {
        "message_start",
        "message_delta",
        "message_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    }
)


class Odd(Exception):
    """No client of the API could make sense of it."""


@dataclass
class Outcome:
    """What the client has.

    Attributes:
        success: a proper answer with a proper end.
        text: all that was said, thought and called.
    """

    success: bool
    text: str = ""
    finish: list[str] = field(default_factory=list)


@cache
def _adapter(name: str) -> TypeAdapter[Any]:
    """The official clients' type of that name. They read leniently; here it is held to."""
    import anthropic.types
    import openai.types
    import openai.types.chat
    import openai.types.responses

    types: dict[str, Any] = {
        "completion": openai.types.chat.ChatCompletion,
        "chunk": openai.types.chat.ChatCompletionChunk,
        "legacy": openai.types.Completion,
        "embeddings": openai.types.CreateEmbeddingResponse,
        "response": openai.types.responses.Response,
        "response event": openai.types.responses.ResponseStreamEvent,
        "message": anthropic.types.Message,
        "message event": anthropic.types.RawMessageStreamEvent,
    }
    return TypeAdapter(types[name])


def _valid(name: str, value: Any) -> Fields:
    try:
        _adapter(name).validate_python(value)
    except ValidationError as exc:
        first = exc.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Odd(f"no {name}: {where}: {first['msg']}: {str(first.get('input'))[:80]}") from None
    found: Fields = value
    return found


def read(api: str, status: int, content_type: str, body: bytes, *, stream: bool) -> Outcome:
    """What a response means to a client.

    Raises:
        Odd: it means nothing.
    """
    if status == 500:
        raise Odd("status 500")
    if status != 200:
        if not 400 <= status < 600:
            raise Odd(f"status {status}")
        _check_error(api, _json(body))
        return Outcome(success=False)
    if not stream:
        return _whole(api, _json(body))
    if not content_type.startswith("text/event-stream"):
        raise Odd(f"a stream as {content_type}")
    return {"messages": _messages, "responses": _responses}.get(api, _chunks)(api, _events(body))


def _json(data: bytes) -> Any:
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Odd(f"no JSON: {data[:80]!r}") from exc


def _check_error(api: str, body: Any) -> None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str) or not error["message"]:
        raise Odd(f"no error: {str(body)[:100]}")
    if not isinstance(error.get("type"), str):
        raise Odd(f"an error without a type: {str(body)[:100]}")
    if api == "messages" and body.get("type") != "error":
        raise Odd(f"no error of Messages: {str(body)[:100]}")
    if api != "messages" and not (
        isinstance(error.get("code"), str | None) and isinstance(error.get("param"), str | None)
    ):
        raise Odd(f"an error with odd fields: {str(body)[:100]}")


def _events(body: bytes) -> list[tuple[str, Any]]:
    """Each event's name and value. The gateway's streams are plain: whole events, one line of data each."""
    if not body.endswith(b"\n\n"):
        raise Odd(f"a stream that ends within an event: {body[-80:]!r}")
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise Odd("a stream that is not UTF-8") from exc
    found: list[tuple[str, Any]] = []
    for block in text.replace("\r\n", "\n").replace("\r", "\n").split("\n\n"):
        name, data = "", []
        for line in block.split("\n"):
            key, _, value = line.partition(":")
            if key == "event":
                name = value.strip()
            elif key == "data":
                data.append(value.removeprefix(" "))
        if data:
            joined = "\n".join(data)
            found.append((name, joined if joined == "[DONE]" else _json(joined.encode())))
    return found


def _whole(api: str, value: Any) -> Outcome:
    if api == "chat":
        _valid("completion", _any_reason(value))
        if None in (choice["finish_reason"] for choice in value["choices"]):
            raise Odd("an answer without a finish reason")
        said = [_said(choice["message"]) for choice in value["choices"]]
        return Outcome(True, "".join(said), [choice["finish_reason"] for choice in value["choices"]])
    if api == "completions":
        _valid("legacy", _any_reason(value))
        return Outcome(True, "".join(choice["text"] for choice in value["choices"]))
    if api == "embeddings":
        _valid("embeddings", value)
        if len(value["data"]) != 2 or [item["index"] for item in value["data"]] != [0, 1]:
            raise Odd("not one vector for each input")
        return Outcome(True)
    if api == "messages":
        known = [block for block in value["content"] if block["type"] in _BLOCKS]
        _valid("message", value | {"content": known, "stop_reason": _reason(value["stop_reason"])})
        return Outcome(True, "".join(map(_block, value["content"])), [value["stop_reason"]])
    _valid("response", _known_items(value))
    if value["status"] not in ("completed", "incomplete"):
        raise Odd(f"a response that is {value['status']}")
    return Outcome(True, "".join(map(_item, value["output"])), [value["status"]])


def _said(said: Fields) -> str:
    text = (said.get("reasoning_content") or "") + (said.get("reasoning") or "")
    text += (said.get("content") or "") + (said.get("refusal") or "")
    return text + "".join(
        call["function"].get("arguments") or "" for call in said.get("tool_calls") or () if "function" in call
    )


def _block(block: Fields) -> str:
    if block["type"] == "tool_use":
        return json.dumps(block["input"])
    return str(block.get("text") or block.get("thinking") or "")


def _item(item: Fields) -> str:
    parts = [*(item.get("content") or ()), *(item.get("summary") or ())]
    return "".join(str(part.get("text") or "") for part in parts) + str(item.get("arguments") or "")


def _chunks(api: str, events: list[tuple[str, Any]]) -> Outcome:
    """Chat and completions: chunks, at last `[DONE]`, or an error."""
    outcome = Outcome(success=False)
    ends: dict[int, str | None] = {}
    for at, (_, value) in enumerate(events):
        last = at == len(events) - 1
        if value == "[DONE]":
            if not last:
                raise Odd("something behind [DONE]")
            if not ends or None in ends.values():
                raise Odd(f"[DONE] without a finish reason: {ends}")
            outcome.success = True
            outcome.finish = [str(end) for end in ends.values()]
            return outcome
        if isinstance(value, dict) and value.get("error"):
            if not last:
                raise Odd("something behind an error")
            _check_error(api, value)
            return outcome
        _valid("chunk" if api == "chat" else "legacy", _any_reason(value))
        for choice in value["choices"]:
            delta = choice.get("delta") if api == "chat" else {"content": choice["text"]}
            text = _said(delta or {})
            if choice.get("finish_reason") is not None and ends.get(choice["index"]) is not None:
                raise Odd("two finish reasons")
            outcome.text += text
            ends[choice["index"]] = choice.get("finish_reason") or ends.get(choice["index"])
    raise Odd("a stream without an end")


def _any_reason(value: Any) -> Any:
    """With a known finish reason in place of any word: new ones come, and chunks of completions go on without one."""
    if not isinstance(value, dict) or not isinstance(value.get("choices"), list):
        return value
    choices = [
        choice | {"finish_reason": "stop"}
        if isinstance(choice, dict) and isinstance(choice.get("finish_reason"), str | None)
        else choice
        for choice in value["choices"]
    ]
    return value | {"choices": choices}


def _messages(api: str, events: list[tuple[str, Any]]) -> Outcome:
    """A message's start, blocks that begin and end in turn, why it ended, and its stop; or an error."""
    outcome = Outcome(success=False)
    opened: set[int] = set()
    seen = -1
    for at, (name, value) in enumerate(events):
        kind = value.get("type") if isinstance(value, dict) else None
        if kind != name:
            raise Odd(f"an event {kind} that is called {name!r}")
        last = at == len(events) - 1
        if kind == "error":
            if not last:
                raise Odd("something behind an error")
            _check_error(api, value)
            return outcome
        if kind == "ping":
            continue
        if not _is_new(value):
            _valid("message event", value)
        if (kind == "message_start") != (seen == -1):
            raise Odd(f"{kind} at the wrong place")
        seen = max(seen, 0)
        if outcome.finish and kind == "message_delta":
            raise Odd(f"{kind} behind the stop reason")
        match kind:
            case "content_block_start":
                if value["index"] in opened:
                    raise Odd("a block is begun twice")
                opened.add(value["index"])
                if value["content_block"]["type"] != "tool_use":
                    outcome.text += _block(value["content_block"])
            case "content_block_delta":
                if value["index"] not in opened:
                    raise Odd("a delta of no block")
                delta = value["delta"]
                outcome.text += delta.get("text") or delta.get("thinking") or delta.get("partial_json") or ""
            case "content_block_stop":
                if value["index"] not in opened:
                    raise Odd("the stop of no block")
                opened.discard(value["index"])
            case "message_delta":
                if value["delta"].get("stop_reason") is not None:
                    outcome.finish.append(value["delta"]["stop_reason"])
            case "message_stop":
                if not last or not outcome.finish or opened:
                    raise Odd(f"a stop with {opened} open, {outcome.finish}, last: {last}")
                outcome.success = True
                return outcome
    raise Odd("a stream without an end")


def _check_event(event: Fields) -> None:
    """An event as the official types have it, but for types of items and parts that are not known yet."""
    if not isinstance(event.get("sequence_number"), int):
        raise Odd(f"sequence number {event.get('sequence_number')}")
    kind = event["type"]
    for key, known in (("item", _ITEMS), ("part", _PARTS)):
        if (
            isinstance(inner := event.get(key), dict)
            and isinstance(inner.get("type"), str)
            and inner["type"] not in known
        ):
            return
    if kind.startswith("response.output_text."):
        event = event | {"logprobs": event.get("logprobs") or []}
    if isinstance(event.get("part"), dict) and event["part"].get("type") == "output_text":
        event = event | {"part": {"annotations": []} | event["part"]}
    if isinstance(event.get("item"), dict):
        event = event | {"item": _known_items({"output": [event["item"]]})["output"][0]}
    if isinstance(event.get("response"), dict):
        event = event | {"response": _known_items(event["response"])}
    if kind.startswith("response.function_call_arguments.done"):
        event = {"name": "x"} | event
    if kind in _KINDS:
        _valid("response event", event)


def _known_items(response: Any) -> Any:
    output = response.get("output") if isinstance(response, dict) else None
    if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
        return response
    kept = []
    for item in output:
        if isinstance(content := item.get("content"), list):
            parts = [part for part in content if not isinstance(part, dict) or part.get("type") in _PARTS]
            item = item | {
                "content": [{"annotations": []} | part if isinstance(part, dict) else part for part in parts]
            }
        if not isinstance(item.get("type"), str) or item["type"] in _ITEMS:
            kept.append(item)
    usage = response.get("usage")  # most servers do not count what is written to a cache
    if isinstance(usage, dict) and isinstance(usage.get("input_tokens_details"), dict):
        usage = usage | {"input_tokens_details": {"cache_write_tokens": 0} | usage["input_tokens_details"]}
    return response | {"output": kept, "usage": usage}


def _reason(given: Any) -> Any:
    return "end_turn" if isinstance(given, str) else given


def _is_new(event: Fields) -> bool:
    """True for an event of a type that is not known yet. Clients leave those out."""
    block, delta = event.get("content_block"), event.get("delta")
    if event["type"] == "content_block_start" and isinstance(block, dict) and isinstance(block.get("type"), str):
        return block["type"] not in _BLOCKS
    if event["type"] == "content_block_delta" and isinstance(delta, dict) and isinstance(delta.get("type"), str):
        return delta["type"] not in _DELTAS
    if event["type"] == "message_start" and isinstance(event.get("message"), dict):
        event["message"]["stop_reason"] = _reason(event["message"].get("stop_reason"))
    if event["type"] == "message_delta" and isinstance(delta, dict):
        delta["stop_reason"] = _reason(delta.get("stop_reason"))
    return event["type"] not in _EVENTS


def _responses(api: str, events: list[tuple[str, Any]]) -> Outcome:
    """Numbered events from `response.created` to one of the last ones."""
    outcome = Outcome(success=False)
    number = -1
    for at, (name, value) in enumerate(events):
        kind = value.get("type") if isinstance(value, dict) else None
        if kind != name:
            raise Odd(f"an event {kind!r:.50} that is called {name!r:.50}")
        last = at == len(events) - 1
        if kind == "error":
            if not last or not isinstance(value.get("message"), str):
                raise Odd(f"error: {str(value)[:100]}")
            return outcome
        _check_event(value)
        if value["sequence_number"] <= number:
            raise Odd(f"sequence number {value['sequence_number']} behind {number}")
        number = value["sequence_number"]
        if (kind == "response.created") != (at == 0):
            raise Odd(f"{kind} at {at}")
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            if not last:
                raise Odd(f"something behind {kind}")
            if value["response"]["status"] != kind.removeprefix("response."):
                raise Odd(f"{kind} with status {value['response']['status']}")
            outcome.success = kind != "response.failed"
            outcome.finish.append(kind)
            return outcome
        if kind.endswith(".delta"):
            outcome.text += value["delta"]
    raise Odd("a stream without an end")
