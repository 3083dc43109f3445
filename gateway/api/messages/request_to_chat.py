"""A Messages request -> the fields of a chat request.

A field that chat cannot express is left out if the response stays what the client asked for.
"""

import hashlib
from dataclasses import dataclass

from gateway.api.messages.conversation_to_chat import ChatConversation
from gateway.api.messages.tools_to_chat import ChatTools, is_strict
from gateway.core.errors import InvalidRequest, ThreadUnsupported
from gateway.core.json_types import JsonObject
from gateway.core.validation import json_type, optional, required, string, unknown_value, wrong_type

MEDIUM_TOKENS, HIGH_TOKENS = 4_096, 16_384  # thinking budgets from which the effort is medium or high
USER_CHARS = 64  # the longest `user` of a chat request
STOPS = 4  # the most stop sequences that OpenAI's chat API accepts
_EFFORTS = {  # to the values that all servers accept
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
    "max": "high",
}


@dataclass(frozen=True, slots=True)
class Translation:
    """A Messages request as a chat request.

    Attributes:
        fields: the fields of the chat request.
        native_only: a field that chat cannot express and that must not be left out, if any. Only upstreams that speak the Messages
            API can answer such a request.
        left_out: fields and tools that are missing in the chat request and of which the client is informed.
    """

    fields: JsonObject
    native_only: str | None
    left_out: tuple[str, ...]


def translate(fields: JsonObject) -> Translation:
    """Translate a Messages request into a chat request.

    Left out without a notice: `top_k`, which strict chat APIs reject and on which the response hardly depends; `service_tier`,
    whose values have another meaning in chat; `cache_control` and `context_management`, because each provider decides on caching.

    Raises:
        InvalidRequest: a field has the wrong type; `param` is its path in the Messages request.
    """
    if fields.get("thread") is not None:
        raise ThreadUnsupported
    conversation, tools = ChatConversation(fields), ChatTools(fields)
    chat: JsonObject = {key: fields[key] for key in ("model", "stream") if key in fields}
    chat["messages"] = conversation.messages
    chat["max_tokens"] = max(1, _max_tokens(fields))  # 0 only warms the provider's cache
    for key in ("temperature", "top_p"):
        if (value := fields.get(key)) is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise wrong_type(fields, key, "a number")
            chat[key] = value
    left_out = tools.left_out
    if stop := _stop_sequences(fields):
        chat["stop"] = stop[:STOPS]
        left_out += ("stop_sequences",) if len(stop) > STOPS else ()
    if tools.functions:
        chat["tools"] = tools.functions
    chat |= tools.choice
    metadata = optional(fields, "metadata", dict, "an object") or {}
    if user := optional(metadata, "user_id", str, "a string", "metadata"):
        chat["user"] = user if len(user) <= USER_CHARS else hashlib.sha256(user.encode()).hexdigest()
    output = optional(fields, "output_config", dict, "an object") or {}
    if (effort := _effort(fields, output)) is not None:
        chat["reasoning_effort"] = effort
    if (form := _response_format(fields, output)) is not None:
        chat["response_format"] = form
    return Translation(chat, conversation.native_only or tools.native_only, left_out)


def _max_tokens(fields: JsonObject) -> int:
    what = "the most tokens that the answer may have, a whole number"
    value = required(fields, "max_tokens", int, what)
    if value < 0:
        raise InvalidRequest(f"`max_tokens` must be {what} of at least 0, not {value}.", param="max_tokens")
    return value


def _stop_sequences(fields: JsonObject) -> list[str]:
    sequences: list[object] = optional(fields, "stop_sequences", list, "a list of strings") or []
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, str):
            at = f"stop_sequences[{i}]"
            raise InvalidRequest(f"`{at}` must be a string, not {json_type(sequence)}.", param=at)
    return [sequence for sequence in sequences if isinstance(sequence, str) and sequence]


def _effort(fields: JsonObject, output: JsonObject) -> str | None:
    """Return the `reasoning_effort`; None leaves it to the model, as adaptive thinking does."""
    thinking = optional(fields, "thinking", dict, "an object")
    effort = _EFFORTS.get(optional(output, "effort", str, "a string", "output_config") or "")
    if thinking is None:
        return effort
    match string(thinking, "type", "thinking"):
        case "disabled":
            return None
        case "enabled":
            budget = required(thinking, "budget_tokens", int, "a whole number", "thinking")
            return effort or ("low" if budget < MEDIUM_TOKENS else "medium" if budget < HIGH_TOKENS else "high")
    return effort


def _response_format(fields: JsonObject, output: JsonObject) -> JsonObject | None:
    """Return the `response_format` for `output_config.format`, or for its older name `output_format`."""
    where = "output_config.format"
    form = optional(output, "format", dict, "an object", "output_config")
    if form is None:
        where = "output_format"
        form = optional(fields, "output_format", dict, "an object")
    if form is None:
        return None
    if string(form, "type", where) != "json_schema":
        raise unknown_value(form, "type", "`json_schema`", where)
    schema = required(form, "schema", dict, "a JSON schema", where)
    json_schema: JsonObject = {"name": "output", "schema": schema}
    if is_strict(schema):
        json_schema["strict"] = True
    return {"type": "json_schema", "json_schema": json_schema}
