"""A chat completion as a Message. Whatever a provider wrote into it, a Message comes out."""

import re
import uuid
from collections.abc import Mapping
from typing import Any

import orjson

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def message(
    fields: Mapping[str, Any], model: str, request: Mapping[str, Any], names: Mapping[str, str]
) -> dict[str, Any]:
    """The Message that a chat completion amounts to.

    Args:
        model: the name that it carries.
        request: the fields of the client's own request.
        names: the client's names of tools, by those that the model was given instead.
    """
    choice = fields["choices"][0]
    said = choice["message"]
    content = thoughts(said) if wants_thinking(request) else []
    if text := text_of(said.get("content")) or text_of(said.get("refusal")):
        content.append({"type": "text", "text": text})
    calls = [call for call in _list(said.get("tool_calls")) if isinstance(call, dict)]
    content += [block for call in calls if (block := _tool_use(call, names)) is not None]
    reason, sequence = stop_reason(choice, request, tools=any(block["type"] == "tool_use" for block in content))
    if said.get("refusal") and reason == "end_turn":
        reason = "refusal"
    return {
        "id": message_id(fields.get("id")),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": message_usage(fields.get("usage")),
    }


def wants_thinking(request: Mapping[str, Any]) -> bool:
    """Whether the client asked to see what the model thinks. One that did not expects text in the first block."""
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") != "disabled" and thinking.get("display") != "omitted"


def thoughts(said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The thinking blocks of a chat message: signed ones as they are, else its reasoning, which is not signed."""
    blocks = [block for block in _list(said.get("thinking_blocks")) if isinstance(block, dict)]
    kept = [known for block in blocks if (known := _thinking_block(block)) is not None]
    if kept:
        return kept
    text = text_of(said.get("reasoning_content")) or text_of(said.get("reasoning"))
    return [{"type": "thinking", "thinking": text, "signature": ""}] if text else []


def _thinking_block(block: Mapping[str, Any]) -> dict[str, Any] | None:
    if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
        return {"type": "redacted_thinking", "data": block["data"]}
    if block.get("type") == "thinking" and isinstance(block.get("thinking"), str):
        signature = block.get("signature")
        signed = signature if isinstance(signature, str) else ""
        return {"type": "thinking", "thinking": block["thinking"], "signature": signed}
    return None


def _tool_use(call: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any] | None:
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        return None
    arguments = tool_input(function.get("arguments"))
    return {"type": "tool_use", "id": tool_id(call.get("id")), "name": names.get(name, name), "input": arguments}


def tool_input(arguments: Any) -> dict[str, Any]:
    """What a model gave a tool.

    What is no JSON object, as where an answer was cut off, is kept as text under a name that no tool has: the tool refuses
    it, and the model is told.
    """
    if isinstance(arguments, dict):
        return arguments
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    try:
        value = orjson.loads(text) if text.strip() else None
    except orjson.JSONDecodeError:
        return {"INVALID_JSON": text}
    if value is None:
        return {}
    return value if isinstance(value, dict) else {"INVALID_JSON": text}


def stop_reason(choice: Mapping[str, Any], request: Mapping[str, Any], *, tools: bool) -> tuple[str, str | None]:
    """Why the answer ended, and the client's stop sequence that ended it where the provider says so, as vLLM and SGLang do.

    Args:
        tools: whether the answer calls tools. Some providers say `stop` then.
    """
    finish = choice.get("finish_reason")
    reason = STOP_REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if reason == "end_turn":
        if tools:
            return "tool_use", None
        for key in ("stop_reason", "matched_stop"):
            if isinstance(choice.get(key), str) and choice[key] in (request.get("stop_sequences") or ()):
                return "stop_sequence", choice[key]
    return reason, None


def message_usage(usage: Any) -> dict[str, Any]:
    """Chat's usage in the words of Messages, where the tokens read from a cache or written to it are not in `input_tokens`."""
    usage = usage if isinstance(usage, dict) else {}
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    read = _count(prompt, "cached_tokens") or _count(usage, "cache_read_input_tokens")
    written = _count(prompt, "cache_creation_tokens", "cache_write_tokens") or _count(
        usage, "cache_creation_input_tokens"
    )
    counts: dict[str, Any] = {
        "input_tokens": max(0, _count(usage, "prompt_tokens") - read - written),
        "output_tokens": _count(usage, "completion_tokens"),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
    }
    if thinking := _count(completion, "reasoning_tokens"):
        counts["output_tokens_details"] = {"thinking_tokens": thinking}
    return counts


def message_id(chat_id: Any) -> str:
    """A chat completion's id in the form of a Message's; one of its own where there is none."""
    given = chat_id.removeprefix("chatcmpl-") if isinstance(chat_id, str) else ""
    return given if given.startswith("msg_") else f"msg_{_NOT_IN_ID.sub('', given) or uuid.uuid4().hex}"


def tool_id(call_id: Any) -> str:
    """A tool call's id, in letters that the Messages API takes back."""
    given = _NOT_IN_ID.sub("_", call_id) if isinstance(call_id, str) else ""
    return given or f"toolu_{uuid.uuid4().hex}"


def text_of(content: Any) -> str:
    """The text of a chat message's content, which a few providers write as parts."""
    if isinstance(content, str):
        return content
    parts = [part["text"] for part in _list(content) if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return "".join(parts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(found: Any, *keys: str) -> int:
    for key in keys:
        value = found.get(key) if isinstance(found, dict) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return 0
