"""A Responses request -> the fields of a chat request. These are pure functions: they do not read the store.

`{"model": "m", "instructions": "Be brief.", "input": "hi", "max_output_tokens": 9}` is
`{"model": "m", "messages": [{"role": "system", …}, {"role": "user", …}], "max_completion_tokens": 9}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from gateway.api.responses.conversation_to_chat import ChatConversation, item_type
from gateway.api.responses.tool_names import ToolNames
from gateway.api.responses.tools_to_chat import ChatTools
from gateway.api.responses.types import Item
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import json_object, optional, string, wrong_type
from gateway.request.request import Native

MAX_ECHOED_BYTES = 256 << 10  # of one field
LOGPROBS = "message.output_text.logprobs"
_NUMBER = (int, float)
_SAME_IN_CHAT: dict[str, tuple[type | tuple[type, ...], str]] = {  # fields with the same name and meaning in chat
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
_NOT_IN_CHAT: dict[str, tuple[type | tuple[type, ...], str]] = {  # fields that the gateway reads or echoes itself
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
    """A Responses request for upstreams that speak the Responses API, with the values that the response and the store need.

    Attributes:
        own_items: the input items that the client sent with this request, without the conversation before it.
        names: the names of the tools.
        echoed: the fields that the response repeats.
        previous_id: the id of the response that this request continues.
        store: True if the response is to be stored.
    """

    own_items: tuple[Item, ...] = ()
    names: ToolNames = field(default_factory=ToolNames)
    echoed: JsonObject = field(default_factory=dict)
    previous_id: str | None = None
    store: bool = True


@dataclass(frozen=True, slots=True)
class Translation:
    """A Responses request as a chat request.

    Attributes:
        fields: the fields of the chat request.
        native_only: a field that chat cannot express and that must not be left out, if any. Only upstreams that speak the Responses
            API can answer such a request.
        names: the names of the tools.
        left_out: the types of tools that are missing in the chat request.
    """

    fields: JsonObject
    native_only: str | None
    names: ToolNames
    left_out: tuple[str, ...]


def check_fields(fields: JsonObject) -> None:
    """Check all fields that can be checked without the input.

    Raises:
        InvalidRequest: a field has the wrong type, or requires a feature that the gateway does not support.
    """
    if not string(fields, "model", what="a model name, `auto` or `auto:<policy>`"):
        raise wrong_type(fields, "model", "a model name, `auto` or `auto:<policy>`")
    for key, (types, what) in (_SAME_IN_CHAT | _NOT_IN_CHAT).items():
        optional(fields, key, types, what)
    if fields.get("background"):
        raise InvalidRequest("`background` is not supported: the answer is given in the same call.", param="background")
    if fields.get("prompt") is not None:
        raise InvalidRequest(
            "`prompt` names a template that only its provider has; send the text instead.", param="prompt"
        )
    if fields.get("conversation") is not None:
        raise InvalidRequest(
            "`conversation` is not supported; continue a response with `previous_response_id`.", param="conversation"
        )


def input_items(fields: JsonObject) -> list[Item]:
    """Return the input as items; a string becomes one user message.

    Raises:
        InvalidRequest: it is neither a string nor a list of objects.
    """
    given = fields.get("input")
    if given is None and fields.get("previous_response_id") is not None:
        return []
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]
    if not isinstance(given, list):
        raise wrong_type(fields, "input", "a string or a list of items")
    return [json_object(value, f"input[{i}]") for i, value in enumerate(given)]


def resolved_items(items: list[Item], stored: Mapping[str, Item]) -> list[Item]:
    """Return the items, with each reference replaced by its stored item.

    Raises:
        InvalidRequest: a reference names an item that is not stored, or two references name the same item.
    """
    resolved = []
    seen: set[str] = set()
    for i, given in enumerate(items):
        if item_type(given) == "item_reference":
            name = given["id"]
            if name not in stored:
                message = f"Item with id '{name[:80]}' not found. Only items of stored responses can be referred to."
                raise InvalidRequest(message, param=f"input[{i}].id")
            if name in seen:
                raise InvalidRequest(
                    f"Two references name the item `{name[:80]}`; send one of them.", param=f"input[{i}].id"
                )
            seen.add(name)
            given = stored[name]
        resolved.append(given)
    return resolved


def referenced_ids(items: list[Item]) -> set[str]:
    """Return the ids in all item references.

    Raises:
        InvalidRequest: an id is not a string.
    """
    return {string(given, "id", f"input[{i}]") for i, given in enumerate(items) if item_type(given) == "item_reference"}


def echoed_fields(fields: JsonObject, size: int) -> JsonObject:
    """Return the request fields that the response repeats: all of them, or of a large request the small ones.

    A stream repeats them in three events. Serializing megabytes of tools each time would delay all other requests.

    Args:
        size: of the request, in bytes.
    """
    if size <= MAX_ECHOED_BYTES:
        return fields
    return {
        key: value for key, value in fields.items() if key != "input" and len(orjson.dumps(value)) <= MAX_ECHOED_BYTES
    }


def translate(fields: JsonObject, earlier_items: list[Item], own_items: list[Item]) -> Translation:
    """Translate a Responses request into a chat request.

    Args:
        fields: checked by `check_fields`.
        earlier_items: the items of the conversation that the request continues.
        own_items: the items of `input`, with references resolved.

    Raises:
        InvalidRequest: `param` is the path of the field in the client's request.
    """
    earlier = [(f"input of previous_response_id[{i}]", given) for i, given in enumerate(earlier_items)]
    items = [(f"input[{i}]", given) for i, given in enumerate(own_items)]
    tools = ChatTools(fields, earlier + items)
    conversation = ChatConversation(tools.names, fields.get("instructions"))
    for where, given in earlier:
        try:
            conversation.add(given, where)
        except InvalidRequest as exc:
            raise InvalidRequest(exc.message, param="previous_response_id") from exc
    for where, given in items:
        conversation.add(given, where)
    messages = conversation.messages()
    native_only = conversation.native_only or tools.native_only
    if not (earlier or items) or (not messages and native_only is None):
        raise InvalidRequest("`input` has nothing to answer; expected at least one message.", param="input")
    if not messages:
        messages = [{"role": "user", "content": ""}]
    chat = {"model": fields["model"], "messages": messages}
    chat |= {key: fields[key] for key in _SAME_IN_CHAT if fields.get(key) is not None}
    chat |= _sampling(fields) | _output_format(fields) | tools.fields
    if fields.get("store"):  # unlike in this API, the default in chat is not to store
        chat["store"] = True
    return Translation(chat, native_only, tools.names, tools.left_out)


def _sampling(fields: JsonObject) -> JsonObject:
    chat: JsonObject = {}
    limit = optional(fields, "max_output_tokens", int, "a whole number of at least 1")
    if limit is not None:
        if limit < 1:
            raise InvalidRequest("`max_output_tokens` must be a whole number of at least 1.", param="max_output_tokens")
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


def _output_format(fields: JsonObject) -> JsonObject:
    chat: JsonObject = {}
    options = optional(fields, "text", dict, "an object") or {}
    verbosity = optional(options, "verbosity", str, "a string", "text")
    if verbosity is not None:
        chat["verbosity"] = verbosity
    form = optional(options, "format", dict, "an object", "text")
    if form is None:
        return chat
    kind = string(form, "type", "text.format")
    if kind == "json_object":
        chat["response_format"] = {"type": "json_object"}
    elif kind == "json_schema":
        schema: JsonObject = {"name": string(form, "name", "text.format")}
        for key, types, what in (("description", str, "a string"), ("schema", dict, "an object"), ("strict", bool, "")):
            value = optional(form, key, types, what or "true or false", "text.format")
            if value is not None:
                schema[key] = value
        chat["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif kind != "text":
        raise InvalidRequest(
            f"`text.format.type` must be text, json_object or json_schema, not `{kind[:40]}`.", param="text.format.type"
        )
    return chat
