"""What is changed in a request so that a deployment takes it that has refused a part of it. Pure.

A change without loss says the same to the model in another way. Other changes leave out what the answer can do without; the
client is told of those.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from string import ascii_letters, digits
from typing import Any

import orjson

from gateway.provider_errors.failures import OPTIONAL_FIELDS, OTHER_NAME, Cause, UpstreamFailure
from gateway.request import chat_templates
from gateway.request.request import Request
from gateway.request.tool_results import can_be_paired, results_behind_calls

Fields = dict[str, Any]

LIMIT = "limit of the answer"  # a change, as `LOSSLESS` has others
# Left out only where the gateway chose the model: the client can have known no limits of that model.
SAMPLING = frozenset({"temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty", "stop"})
_NO_SYSTEM = "role system"  # a change that may also help where a template misses something else
_SAYS_NO_SYSTEM = re.compile(
    r"system.{0,40}\b(?:not|un(?:supported|known))|(?:not|unsupported|unknown).{0,40}system", re.I
)
_LEFT = re.compile(r"> ?(\d{1,9}) ?- ?(\d{1,9})")  # vLLM's words for the window less the prompt
_ALPHABET = ascii_letters + digits
_ID_CHARS = 9  # Mistral takes exactly so many letters and digits; other servers take any
_REASONING = ("reasoning_content", "reasoning", "reasoning_details")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to change.

    Attributes:
        name: an optional field that is left out, `LIMIT`, or a name in `LOSSLESS`.
        lasting: the deployment does not know the thing at all, so that it need not be sent again.
        limit: for `LIMIT`, tokens that the model may write; None: as many as it can.
    """

    name: str
    lasting: bool
    limit: int | None = None


@dataclass(slots=True)
class Changes:
    """What has been changed for one deployment in one request."""

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
    """What to change so that the deployment may take the request; None where nothing is left to change.

    Args:
        failure: why it refused the request.
        made: names of the changes that the refused request had already.
        free: the gateway chose the model, so that it may leave out what the model does not have.
    """
    name = failure.field
    if name is None:
        return None
    if failure.cause is Cause.VALUE_REFUSED and name in OTHER_NAME:
        return _limit(failure, request, made)
    if name in OPTIONAL_FIELDS or name in OTHER_NAME:
        if name in made or not request.has(name):
            return None
        return Change(name, failure.cause is Cause.FIELD_REFUSED and request.asks_properly(name))
    for change in _FOR.get(name, ()) if "messages" in request.fields else ():  # all of them are about messages
        if change not in made and LOSSLESS[change](request.fields) is not None:
            return Change(change, lasting=change != _NO_SYSTEM or _SAYS_NO_SYSTEM.search(failure.reason) is not None)
    if free and name in SAMPLING and name not in made and name in request.fields:
        return Change(name, lasting=False)
    return None


def adapted(request: Request, names: frozenset[str], limit: int | None = None) -> Request:
    """The request with those of the named changes made that are more than leaving out a field."""
    fields = request.fields
    for name, change in LOSSLESS.items():  # in one order, so that the same request is always changed alike
        if name in names:
            fields = change(fields) or fields
    if LIMIT in names:
        asked = fields.keys() & OTHER_NAME.keys()
        fields = {key: value for key, value in fields.items() if key not in asked}
        fields |= {} if limit is None else dict.fromkeys(asked, limit)
    return request if fields is request.fields else replace(request, fields=fields, body=orjson.dumps(fields))


def left_out(request: Request, names: frozenset[str]) -> tuple[str, ...]:
    """The client's own fields of which the deployment was not told, or not as the client wrote them."""
    fields = {name for name in names if name in request.fields and name not in OTHER_NAME}
    if LIMIT in names:
        fields |= request.fields.keys() & OTHER_NAME.keys()
    return tuple(sorted(fields))


def _limit(failure: UpstreamFailure, request: Request, made: frozenset[str]) -> Change | None:
    """The longest answer that the model's words allow: they name its limit, or nothing below what was asked for."""
    asked = request.requirements.output_tokens
    if asked is None or LIMIT in made:
        return None
    said = failure.words[:2000]
    if (left := _LEFT.search(said)) is not None:
        room = int(left[1]) - int(left[2])
        return Change(LIMIT, lasting=False, limit=room if 0 < room < asked else None)
    numbers = [int(number) for number in re.findall(r"\d{1,9}", said.replace(",", ""))]
    return Change(LIMIT, lasting=False, limit=max((n for n in numbers if 1 < n < asked), default=None))


def _developer(fields: Fields) -> Fields | None:
    """Instructions of the role `developer` as `system`, which is the older name of the same."""
    if not any(message.get("role") == "developer" for message in fields["messages"]):
        return None
    changed = [m | {"role": "system"} if m.get("role") == "developer" else m for m in fields["messages"]]
    return fields | {"messages": changed}


def _call_ids(fields: Fields) -> Fields | None:
    """Ids of tool calls as nine letters and digits, the same for a call and its result."""
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
    """Without the reasoning of earlier answers, which is no part of what they say."""
    if not any(name in message for message in fields["messages"] for name in _REASONING):
        return None
    changed = [{key: value for key, value in m.items() if key not in _REASONING} for m in fields["messages"]]
    return fields | {"messages": changed}


def _no_empty_tools(fields: Fields) -> Fields | None:
    """Without a list of tools that is empty, and without what goes with one."""
    if fields.get("tools") != []:
        return None
    return {key: value for key, value in fields.items() if key not in ("tools", "tool_choice", "parallel_tool_calls")}


def _paired(messages: list[Fields]) -> list[Fields]:
    """Results of tools directly behind their calls, as a client of chat may not have sent them."""
    return results_behind_calls(messages) if can_be_paired(messages) else messages


def _messages(form: Callable[[list[Fields]], list[Fields]]) -> Callable[[Fields], Fields | None]:
    """The change that gives a request's messages another form."""

    def change(fields: Fields) -> Fields | None:
        changed = form(fields["messages"])
        return None if changed == fields["messages"] else fields | {"messages": changed}

    return change


# Changes without loss: None where a request has nothing to change.
LOSSLESS: Mapping[str, Callable[[Fields], Fields | None]] = {
    "role developer": _developer,
    "tool call ids": _call_ids,
    "reasoning in history": _no_reasoning,
    "empty tools": _no_empty_tools,
    "results behind calls": _messages(_paired),
    "order of messages": _messages(chat_templates.strict),
    _NO_SYSTEM: _messages(chat_templates.without_system),
    "reasoning of calls": _messages(chat_templates.with_reasoning),
    "parts of text": _messages(chat_templates.text_alone),
}
# By the field that an `UpstreamFailure` names.
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
