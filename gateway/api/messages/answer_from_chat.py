"""A chat completion -> a Message. Any completion of a provider gives a valid Message."""

import re
import uuid
from collections.abc import Mapping

import orjson

from gateway.api.answer_text import content_text, reasoning_text
from gateway.api.messages.types import (
    ContentBlock,
    Message,
    RedactedThinkingBlock,
    ThinkingBlock,
    ToolUseBlock,
)
from gateway.api.messages.usage import message_usage
from gateway.core.json_types import JsonObject, objects_in

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def message(completion: JsonObject, model: str, request: Mapping[str, object], names: Mapping[str, str]) -> Message:
    """Return the Message for a chat completion.

    Args:
        model: the model name that the Message contains.
        request: the fields of the client's own request.
        names: the client's names of tools, by the names that the model was given instead.
    """
    choice = completion["choices"][0]
    answer = choice["message"]
    content: list[ContentBlock] = [*thinking_blocks(answer)] if wants_thinking(request) else []
    if text := content_text(answer.get("content")) or content_text(answer.get("refusal")):
        content.append({"type": "text", "text": text})
    calls = [block for call in objects_in(answer.get("tool_calls")) if (block := _tool_use(call, names)) is not None]
    content += calls
    reason, sequence = stop_reason(choice, request, has_tool_call=bool(calls))
    if answer.get("refusal") and reason == "end_turn":
        reason = "refusal"
    return {
        "id": message_id(completion.get("id")),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": sequence,
        "usage": message_usage(completion.get("usage")),
    }


def wants_thinking(request: Mapping[str, object]) -> bool:
    """Return True if the client asked to see the thinking. Other clients expect text in the first block."""
    thinking = request.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") != "disabled" and thinking.get("display") != "omitted"


def thinking_blocks(answer: Mapping[str, object]) -> list[ThinkingBlock | RedactedThinkingBlock]:
    """Return the thinking blocks of a chat message unchanged, or one unsigned block with its reasoning text."""
    blocks = [
        known for block in objects_in(answer.get("thinking_blocks")) if (known := _thinking_block(block)) is not None
    ]
    if blocks:
        return blocks
    text = reasoning_text(answer)
    return [{"type": "thinking", "thinking": text, "signature": ""}] if text else []


def _thinking_block(block: JsonObject) -> ThinkingBlock | RedactedThinkingBlock | None:
    if block.get("type") == "redacted_thinking" and isinstance(block.get("data"), str):
        return {"type": "redacted_thinking", "data": block["data"]}
    if block.get("type") == "thinking" and isinstance(block.get("thinking"), str):
        signature = block.get("signature")
        signed = signature if isinstance(signature, str) else ""
        return {"type": "thinking", "thinking": block["thinking"], "signature": signed}
    return None


def _tool_use(call: JsonObject, names: Mapping[str, str]) -> ToolUseBlock | None:
    function = call.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str) or not name:
        return None
    arguments = tool_input(function.get("arguments"))
    return {"type": "tool_use", "id": tool_id(call.get("id")), "name": names.get(name, name), "input": arguments}


def tool_input(arguments: object) -> JsonObject:
    """Return the arguments of a tool call as an object.

    Text that is not a JSON object, for example in a truncated answer, is returned under a name that no tool has. The tool
    then refuses its input, and the model is informed.

    `tool_input('{"a": 1}')` is `{"a": 1}`; `tool_input('{"a": ')` is `{"INVALID_JSON": '{"a": '}`.
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


def stop_reason(
    choice: Mapping[str, object], request: Mapping[str, object], *, has_tool_call: bool
) -> tuple[str, str | None]:
    """Return the stop reason and the client's stop sequence that ended the answer, if the provider reports one.

    vLLM and SGLang report it, in `stop_reason` and `matched_stop`.

    Args:
        has_tool_call: True if the answer calls tools. Some providers report the reason `stop` for it.
    """
    finish = choice.get("finish_reason")
    reason = STOP_REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    if reason == "end_turn":
        if has_tool_call:
            return "tool_use", None
        sequences = request.get("stop_sequences")
        for key in ("stop_reason", "matched_stop"):
            matched = choice.get(key)
            if isinstance(matched, str) and isinstance(sequences, list) and matched in sequences:
                return "stop_sequence", matched
    return reason, None


def message_id(completion_id: object) -> str:
    """Return a chat completion's id in the form of a Message's id; a new id if there is none."""
    given = completion_id.removeprefix("chatcmpl-") if isinstance(completion_id, str) else ""
    return given if given.startswith("msg_") else f"msg_{_NOT_IN_ID.sub('', given) or uuid.uuid4().hex}"


def tool_id(call_id: object) -> str:
    """Return a tool call's id in characters that the Messages API accepts; a new id if there is none."""
    given = _NOT_IN_ID.sub("_", call_id) if isinstance(call_id, str) else ""
    return given or f"toolu_{uuid.uuid4().hex}"
