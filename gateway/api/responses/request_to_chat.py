"""A Responses request -> the fields of the chat request that it amounts to. Pure; knows no store.

`{"model": "m", "instructions": "Be brief.", "input": "hi", "max_output_tokens": 9}` is
`{"model": "m", "messages": [{"role": "system", …}, {"role": "user", …}], "max_completion_tokens": 9}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.api.responses.checks import invalid, item, optional, text
from gateway.api.responses.conversation_to_chat import ChatConversation, item_type
from gateway.api.responses.tool_names import ToolNames
from gateway.api.responses.tools_to_chat import ChatTools
from gateway.core.errors import InvalidRequest
from gateway.core.fields import expected
from gateway.request.request import Native

MOST_ECHOED = 256 << 10  # bytes of one field
LOGPROBS = "message.output_text.logprobs"
_NUMBER = (int, float)
_KEPT: dict[str, tuple[type | tuple[type, ...], str]] = {  # fields that chat has too, under the same name
    "temperature": (_NUMBER, "a number"),
    "top_p": (_NUMBER, "a number"),
    "user": (str, "a string"),
    "safety_identifier": (str, "a string"),
    "prompt_cache_key": (str, "a string"),
    "prompt_cache_retention": (str, "a string"),
    "service_tier": (str, "a string"),
    "metadata": (dict, "an object"),
    "stream": (bool, "true or false"),
}
_CHECKED: dict[str, tuple[type | tuple[type, ...], str]] = {  # what is read here or echoed, and means nothing in chat
    "store": (bool, "true or false"),
    "background": (bool, "true or false"),
    "stream_options": (dict, "an object"),
    "truncation": (str, "a string"),
    "max_tool_calls": (int, "a whole number"),
    "instructions": (str, "a string"),
    "previous_response_id": (str, "a string"),
    "parallel_tool_calls": (bool, "true or false"),
}


@dataclass(frozen=True, slots=True)
class NativeResponses(Native):
    """A Responses request as its upstreams get it, and what the answer and the store need beside that.

    Attributes:
        own: the input items that the client sent with this request.
        names: of the tools.
        echoed: the fields that the answer repeats.
        previous: the id of the response that it goes on with.
        store: whether the response is to be kept.
    """

    own: tuple[dict[str, Any], ...] = ()
    names: ToolNames = field(default_factory=ToolNames)
    echoed: Mapping[str, Any] = field(default_factory=dict)
    previous: str | None = None
    store: bool = True


@dataclass(frozen=True, slots=True)
class Translation:
    """A chat request.

    Attributes:
        native_only: the field that chat has nothing for: only upstreams of the same format can answer.
        names: of the tools.
        left_out: the types of tools that the chat request does without.
    """

    fields: dict[str, Any]
    native_only: str | None
    names: ToolNames
    left_out: tuple[str, ...]


def check(fields: dict[str, Any]) -> None:
    """Checks what stands alone.

    Raises:
        InvalidRequest: a field has the wrong type, or asks for what the gateway does not do.
    """
    if not text(fields, "model", what="a model name, `auto` or `auto:<policy>`"):
        invalid(expected("model", "a model name, `auto` or `auto:<policy>`", fields), "model")
    for key, (types, what) in (_KEPT | _CHECKED).items():
        optional(fields, key, types, what)
    if fields.get("background"):
        invalid("`background` is not supported: the answer is given in the same call.", "background")
    if fields.get("prompt") is not None:
        invalid("`prompt` names a template that only its provider has; send the text instead.", "prompt")
    if fields.get("conversation") is not None:
        invalid("`conversation` is not supported; go on with a response by `previous_response_id`.", "conversation")


def input_items(fields: dict[str, Any]) -> list[dict[str, Any]]:
    """The input as items; a string is one message of the user.

    Raises:
        InvalidRequest: it is neither a string nor a list of objects.
    """
    given = fields.get("input")
    if given is None and fields.get("previous_response_id") is not None:
        return []
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list):
        invalid(expected("input", "a string or a list of items", fields), "input")
    return [item(value, f"input[{i}]") for i, value in enumerate(given)]


def resolved(items: list[dict[str, Any]], stored: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The items with those that references name in their place.

    Raises:
        InvalidRequest: one names an item that is not stored, or two name the same.
    """
    found = []
    named: set[str] = set()
    for i, given in enumerate(items):
        if item_type(given) == "item_reference":
            name = given["id"]
            if name not in stored:
                message = f"Item with id '{name[:80]}' not found. Only items of stored responses can be referred to."
                invalid(message, f"input[{i}].id")
            if name in named:
                invalid(f"Two references name the item `{name[:80]}`; send one of them.", f"input[{i}].id")
            named.add(name)
            given = stored[name]
        found.append(given)
    return found


def references(items: list[dict[str, Any]]) -> set[str]:
    """The ids of the items that are referred to.

    Raises:
        InvalidRequest: an id is no string.
    """
    return {text(given, "id", f"input[{i}]") for i, given in enumerate(items) if item_type(given) == "item_reference"}


def echoed(fields: dict[str, Any], size: int) -> dict[str, Any]:
    """The fields that an answer repeats: those of a large request without the large ones.

    A stream repeats them in three events. Written each time, megabytes of tools would hold up all other requests.

    Args:
        size: of the request, bytes.
    """
    if size <= MOST_ECHOED:
        return fields
    return {key: value for key, value in fields.items() if key != "input" and len(orjson.dumps(value)) <= MOST_ECHOED}


def translate(fields: dict[str, Any], before: list[dict[str, Any]], own: list[dict[str, Any]]) -> Translation:
    """The chat request.

    Args:
        fields: checked by `check`.
        before: the items of the conversation that it goes on with.
        own: those of `input`, without references.

    Raises:
        InvalidRequest: `param` names the field as the client wrote it.
    """
    earlier = [(f"input of previous_response_id[{i}]", given) for i, given in enumerate(before)]
    items = [(f"input[{i}]", given) for i, given in enumerate(own)]
    tools = ChatTools(fields, earlier + items)
    messages = ChatConversation(tools.names, fields.get("instructions"))
    for where, given in earlier:
        try:
            messages.add(given, where)
        except InvalidRequest as exc:
            raise InvalidRequest(exc.message, param="previous_response_id") from exc
    for where, given in items:
        messages.add(given, where)
    written = messages.finished()
    foreign = messages.foreign or tools.foreign
    if not (before or own) or (not written and foreign is None):
        invalid("`input` has nothing to answer; expected at least one message.", "input")
    if not written:
        written = [{"role": "user", "content": ""}]
    chat = {"model": fields["model"], "messages": written}
    chat |= {key: fields[key] for key in _KEPT if fields.get(key) is not None}
    chat |= _sampling(fields) | _format(fields) | tools.fields
    if fields.get("store"):  # chat does not keep answers unless it is told to
        chat["store"] = True
    return Translation(chat, foreign, tools.names, tools.left_out)


def _sampling(fields: dict[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    limit = optional(fields, "max_output_tokens", int, "a whole number of at least 1")
    if limit is not None:
        if limit < 1:
            invalid("`max_output_tokens` must be a whole number of at least 1.", "max_output_tokens")
        chat["max_completion_tokens"] = limit
    reasoning = optional(fields, "reasoning", dict, "an object") or {}
    effort = optional(reasoning, "effort", str, "a string", "reasoning")
    if effort is not None:
        chat["reasoning_effort"] = effort
    include = optional(fields, "include", list, "a list of strings") or []
    top = optional(fields, "top_logprobs", int, "a whole number")
    if LOGPROBS in include or top:
        chat["logprobs"] = True
        if top:
            chat["top_logprobs"] = top
    return chat


def _format(fields: dict[str, Any]) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    options = optional(fields, "text", dict, "an object") or {}
    verbosity = optional(options, "verbosity", str, "a string", "text")
    if verbosity is not None:
        chat["verbosity"] = verbosity
    form = optional(options, "format", dict, "an object", "text")
    if form is None:
        return chat
    kind = text(form, "type", "text.format")
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        schema = {"name": text(form, "name", "text.format")}
        for key, types, what in (("description", str, "a string"), ("schema", dict, "an object"), ("strict", bool, "")):
            value = optional(form, key, types, what or "true or false", "text.format")
            if value is not None:
                schema[key] = value
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        invalid(f"`text.format.type` must be text, json_object or json_schema, not `{kind[:40]}`.", "text.format.type")
    return chat
