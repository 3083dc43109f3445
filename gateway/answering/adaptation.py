"""Changes a request after a deployment has refused a part of it, so that the deployment accepts the next one. Pure.

A lossless change gives the model the same content in another form. Other changes leave out optional fields; a response header
reports those to the client.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from string import ascii_letters, digits
from typing import Any

import orjson

from gateway.provider_errors.failures import ALTERNATIVE_NAME, OPTIONAL_FIELDS, Cause, UpstreamFailure
from gateway.request import chat_templates
from gateway.request.request import Request
from gateway.request.tool_results import can_be_paired, results_after_calls

Fields = dict[str, Any]

LIMIT = "limit of the answer"  # name of a change, as the keys of `LOSSLESS` are
# Left out only if the gateway chose the model: the client cannot know the limits of that model.
SAMPLING = frozenset({"temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stop"})
_NO_SYSTEM = "role system"  # a change that may also help with another problem of a chat template
_SAYS_NO_SYSTEM = re.compile(
    r"system.{0,40}\b(?:not|un(?:supported|known))|(?:not|unsupported|unknown).{0,40}system", re.I
)
_WINDOW_MINUS_PROMPT = re.compile(r"> ?(\d{1,9}) ?- ?(\d{1,9})")  # as vLLM writes it
_ALPHABET = ascii_letters + digits
_ID_CHARS = 9  # Mistral accepts exactly this number of letters and digits; other servers accept any
_REASONING = ("reasoning_content", "reasoning", "reasoning_details")


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a request.

    Attributes:
        name: an optional field that is left out, `LIMIT`, or a name in `LOSSLESS`.
        lasting: the deployment does not know the field or form at all, so that later requests leave it out too.
        limit: for `LIMIT`, the most tokens of the answer; None for no limit.
    """

    name: str
    lasting: bool
    limit: int | None = None


@dataclass(slots=True)
class Changes:
    """The changes that were made for one deployment in one request."""

    names: frozenset[str] = frozenset()
    lasting: list[str] = field(default_factory=list)
    limit: int | None = None

    def add(self, change: Change) -> None:
        self.names |= {change.name}
        if change.lasting:
            self.lasting.append(change.name)
        if change.name == LIMIT:
            self.limit = change.limit


def change_for(failure: UpstreamFailure, request: Request, made: frozenset[str], *, free: bool) -> Change | None:
    """The change with which the deployment may accept the request; None if none is left.

    Args:
        failure: why it refused the request.
        made: names of the changes that the refused request already had.
        free: the gateway chose the model, so that it may leave out fields that the model does not support.
    """
    name = failure.field
    if name is None:
        return None
    if failure.cause is Cause.VALUE_REFUSED and name in ALTERNATIVE_NAME:
        return _limit(failure, request, made)
    if name in OPTIONAL_FIELDS or name in ALTERNATIVE_NAME:
        if name in made or not request.sends_field(name):
            return None
        return Change(name, failure.cause is Cause.FIELD_REFUSED and request.is_valid_optional_field(name))
    for change in _FOR.get(name, ()) if "messages" in request.fields else ():  # all of them are about messages
        if change not in made and LOSSLESS[change](request.fields) is not None:
            return Change(change, lasting=change != _NO_SYSTEM or _SAYS_NO_SYSTEM.search(failure.reason) is not None)
    if free and name in SAMPLING and name not in made and name in request.fields:
        return Change(name, lasting=False)
    return None


def adapted(request: Request, names: frozenset[str], limit: int | None = None) -> Request:
    """The request with the lossless changes and the limit among `names`. The upstream leaves out fields by itself."""
    fields = request.fields
    for name, change in LOSSLESS.items():  # in one order, so that equal requests stay equal
        if name in names:
            fields = change(fields) or fields
    if LIMIT in names:
        asked = fields.keys() & ALTERNATIVE_NAME.keys()
        fields = {key: value for key, value in fields.items() if key not in asked}
        fields |= {} if limit is None else dict.fromkeys(asked, limit)
    return request if fields is request.fields else replace(request, fields=fields, body=orjson.dumps(fields))


def left_out(request: Request, names: frozenset[str]) -> tuple[str, ...]:
    """The client's fields that the deployment was not sent, or not with the client's value."""
    fields = {name for name in names if name in request.fields and name not in ALTERNATIVE_NAME}
    if LIMIT in names:
        fields |= request.fields.keys() & ALTERNATIVE_NAME.keys()
    return tuple(sorted(fields))


def _limit(failure: UpstreamFailure, request: Request, made: frozenset[str]) -> Change | None:
    """A limit of the answer by the numbers in the provider's message; no limit if it names none below the client's."""
    asked = request.requirements.output_tokens
    if asked is None or LIMIT in made:
        return None
    said = failure.client_message[:2000]
    if (left := _WINDOW_MINUS_PROMPT.search(said)) is not None:
        room = int(left[1]) - int(left[2])
        return Change(LIMIT, lasting=False, limit=room if 0 < room < asked else None)
    numbers = [int(number) for number in re.findall(r"\d{1,9}", said.replace(",", ""))]
    return Change(LIMIT, lasting=False, limit=max((n for n in numbers if 1 < n < asked), default=None))


def _developer(fields: Fields) -> Fields | None:
    """Messages of the role `developer` get the role `system`, its older name."""
    if not any(message.get("role") == "developer" for message in fields["messages"]):
        return None
    changed = [m | {"role": "system"} if m.get("role") == "developer" else m for m in fields["messages"]]
    return fields | {"messages": changed}


def _call_ids(fields: Fields) -> Fields | None:
    """Ids of tool calls become nine letters and digits, the same for a call and its result."""
    changed = [_with_call_ids(message) for message in fields["messages"]]
    return None if changed == fields["messages"] else fields | {"messages": changed}


def _with_call_ids(message: Fields) -> Fields:
    calls, answers = message.get("tool_calls"), message.get("tool_call_id")
    if isinstance(calls, list) and calls:
        message = message | {"tool_calls": [c | {"id": _short(c["id"])} if _has_id(c) else c for c in calls]}
    if isinstance(answers, str):
        message = message | {"tool_call_id": _short(answers)}
    return message


def _has_id(call: Any) -> bool:
    return isinstance(call, dict) and isinstance(call.get("id"), str)


def _short(call_id: str) -> str:
    if len(call_id) == _ID_CHARS and call_id.isascii() and call_id.isalnum():
        return call_id
    digest = blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=_ID_CHARS).digest()
    return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in digest)


def _no_reasoning(fields: Fields) -> Fields | None:
    """Leaves out the reasoning of earlier answers."""
    if not any(name in message for message in fields["messages"] for name in _REASONING):
        return None
    changed = [{key: value for key, value in m.items() if key not in _REASONING} for m in fields["messages"]]
    return fields | {"messages": changed}


def _no_empty_tools(fields: Fields) -> Fields | None:
    """Leaves out an empty list of tools, and the fields that need tools."""
    if fields.get("tools") != []:
        return None
    return {key: value for key, value in fields.items() if key not in ("tools", "tool_choice", "parallel_tool_calls")}


def _paired(messages: list[Fields]) -> list[Fields]:
    """Puts the results of tools directly behind their calls, if their ids and contents allow it."""
    return results_after_calls(messages) if can_be_paired(messages) else messages


def _messages(form: Callable[[list[Fields]], list[Fields]]) -> Callable[[Fields], Fields | None]:
    """A change that applies `form` to the messages of a request."""

    def change(fields: Fields) -> Fields | None:
        changed = form(fields["messages"])
        return None if changed == fields["messages"] else fields | {"messages": changed}

    return change


# Each function returns the changed fields, or None if the request has nothing to change.
LOSSLESS: Mapping[str, Callable[[Fields], Fields | None]] = {
    "role developer": _developer,
    "tool call ids": _call_ids,
    "reasoning in history": _no_reasoning,
    "empty tools": _no_empty_tools,
    "results behind calls": _messages(_paired),
    "order of messages": _messages(chat_templates.strict_order),
    _NO_SYSTEM: _messages(chat_templates.without_system),
    "reasoning of calls": _messages(chat_templates.with_reasoning),
    "parts of text": _messages(chat_templates.with_text_content),
}
# The changes to try, by the field that an `UpstreamFailure` names.
_FOR: Mapping[str, tuple[str, ...]] = {
    "developer": ("role developer",),
    "roles": ("role developer", "results behind calls", "order of messages", _NO_SYSTEM),
    "tool_call_id": ("tool call ids",),
    "reasoning_content": ("reasoning in history",),
    "missing_reasoning": ("reasoning of calls",),
    "content": ("parts of text",),
    "tools": ("empty tools",),
    "tool_choice": ("empty tools",),
}
