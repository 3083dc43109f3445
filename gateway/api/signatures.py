"""Reasoning in a conversation: it goes back to the model that thought it, and to no other.

Anthropic signs thinking blocks, OpenAI encrypts reasoning items, and gateways before us hand both on in chat messages. Others
write plain text; DeepSeek and Kimi demand theirs back while tools are called.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from gateway.api.messages import thinking_signatures as messages
from gateway.api.responses import encrypted_reasoning as responses
from gateway.core.vocabulary import Api
from gateway.request.request import Request

Fields = dict[str, Any]
Without = Callable[[Fields], Fields | None]

SIGNATURES = "signatures"  # among the names of optional fields that were refused
_SIGNED = ("thinking_blocks", "reasoning_details")  # as litellm and OpenRouter carry it in chat messages
_TEXT = ("reasoning_content", "reasoning")  # as DeepSeek and Kimi do, vLLM and OpenRouter


def unsigned(request: Request, *, finished: bool = False, text: bool = True) -> Request | None:
    """The request without reasoning; None where there is none.

    Args:
        finished: only without that of finished turns: what came before the last user turn.
        text: also without that which is plain text.
    """
    names = _SIGNED + _TEXT if text else _SIGNED
    fields = _unsigned(request.fields, "messages", partial(_without, names), finished)
    native = request.native
    if native is not None and native.api in _NATIVE:
        key, without = _NATIVE[native.api]
        if (changed := _unsigned(native.fields, key, without, finished)) is not None:
            native = replace(native, fields=changed, body=orjson.dumps(changed))
    if fields is None and native is request.native:
        return None
    if fields is None:
        return replace(request, native=native)
    return replace(request, fields=fields, body=orjson.dumps(fields), native=native)


def _unsigned(fields: Fields, key: str, without: Without, finished: bool) -> Fields | None:
    """`without` of all the turns in `fields[key]`, or of the finished ones."""
    turns = fields.get(key)
    if turns is None:  # a request for embeddings has none
        return None
    if not finished or not isinstance(turns, list):
        return without(fields)
    last = next((i for i in range(len(turns) - 1, -1, -1) if _is_user_turn(turns[i])), 0)
    changed = without(fields | {key: turns[:last]})
    return None if changed is None else changed | {key: [*changed[key], *turns[last:]]}


def _is_user_turn(turn: Any) -> bool:
    """Whether a person wrote it. Anthropic's results of tool calls come as the user's too."""
    if not isinstance(turn, dict) or turn.get("role") != "user":
        return False
    content = turn.get("content")
    return not isinstance(content, list) or not any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )


def _without(names: tuple[str, ...], fields: Fields) -> Fields | None:
    if not any(name in message for message in fields["messages"] for name in names):
        return None
    return fields | {"messages": [{k: v for k, v in m.items() if k not in names} for m in fields["messages"]]}


def is_signature_error(error: Mapping[str, Any]) -> bool:
    """Whether a provider's error object says that it cannot accept signed reasoning."""
    return messages.is_signature_error(error) or responses.is_encrypted_reasoning_error(error)


_NATIVE: Mapping[Api, tuple[str, Without]] = {
    "messages": ("messages", messages.without_signatures),
    "responses": ("input", responses.without_reasoning_items),
}
