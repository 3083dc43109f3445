"""Removes the reasoning of earlier turns from a request: it may be sent only to the model that wrote it.

Anthropic signs thinking blocks, and OpenAI encrypts reasoning items; other gateways carry both in chat messages. Other providers
write reasoning as plain text, and DeepSeek and Kimi require it back while tools are called.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeAlias

import orjson

from gateway.api.messages import thinking_signatures as messages
from gateway.api.responses import encrypted_reasoning as responses
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api
from gateway.request.request import Request

Removal: TypeAlias = Callable[[JsonObject], JsonObject | None]
"""Returns the fields of a request without its reasoning; None if it has none."""

SIGNATURES = "signatures"  # stands for signed reasoning among the names of the fields that a provider rejected
_SIGNED_KEYS = ("thinking_blocks", "reasoning_details")  # in chat messages, as LiteLLM and OpenRouter write it
_TEXT_KEYS = ("reasoning_content", "reasoning")  # as DeepSeek and Kimi, vLLM and OpenRouter write it


def without_reasoning(
    request: Request, *, finished_turns_only: bool = False, plain_text: bool = True
) -> Request | None:
    """Return the request without reasoning; None if there is nothing to remove.

    Args:
        finished_turns_only: keep the reasoning after the last message of the user.
        plain_text: also remove reasoning that is plain text, not only what is signed or encrypted.
    """
    keys = _SIGNED_KEYS + _TEXT_KEYS if plain_text else _SIGNED_KEYS
    fields = _removed(request.fields, "messages", partial(_without_keys, keys), finished_turns_only)
    native = request.native
    if native is not None and native.api in _NATIVE_REMOVALS:
        key, removal = _NATIVE_REMOVALS[native.api]
        if (changed := _removed(native.fields, key, removal, finished_turns_only)) is not None:
            native = replace(native, fields=changed, body=orjson.dumps(changed))
    if fields is None and native is request.native:
        return None
    if fields is None:
        return replace(request, native=native)
    return replace(request, fields=fields, body=orjson.dumps(fields), native=native)


def is_reasoning_error(error: Mapping[str, object]) -> bool:
    """Return True if a provider's error object says that it rejects the signed or encrypted reasoning of the request."""
    return messages.is_signature_error(error) or responses.is_encrypted_reasoning_error(error)


def _removed(fields: JsonObject, key: str, removal: Removal, finished_turns_only: bool) -> JsonObject | None:
    """Apply `removal` to all the turns in `fields[key]`, or only to the finished ones."""
    turns = fields.get(key)
    if turns is None:  # a request for embeddings has no turns
        return None
    if not finished_turns_only or not isinstance(turns, list):
        return removal(fields)
    last = next((i for i in range(len(turns) - 1, -1, -1) if _is_user_turn(turns[i])), 0)
    changed = removal(fields | {key: turns[:last]})
    return None if changed is None else changed | {key: [*changed[key], *turns[last:]]}


def _is_user_turn(turn: object) -> bool:
    """Return True if the user wrote this turn. In Anthropic's format, results of tool calls also have the role `user`."""
    if not isinstance(turn, dict) or turn.get("role") != "user":
        return False
    content = turn.get("content")
    return not isinstance(content, list) or not any(
        isinstance(block, dict) and block.get("type") == "tool_result" for block in content
    )


def _without_keys(keys: tuple[str, ...], fields: JsonObject) -> JsonObject | None:
    """Return the fields of a chat request whose messages lack these keys; None if no message has one."""
    if not any(key in message for message in fields["messages"] for key in keys):
        return None
    return fields | {"messages": [{k: v for k, v in m.items() if k not in keys} for m in fields["messages"]]}


_NATIVE_REMOVALS: Mapping[Api, tuple[str, Removal]] = {
    "messages": ("messages", messages.without_signatures),
    "responses": ("input", responses.without_reasoning_items),
}
"""For each format: the field that holds the turns, and the function that removes their reasoning."""
