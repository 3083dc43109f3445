"""What a client may ask of the gateway for one request: by `x-locus-…` headers, or by a `locus` object in the body.

Clients that can set neither have `auto:<policy>` in the model's name. A header wins over the same field of the body.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.validation import json_type
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.model_names import checked_name

PREFIX = b"x-locus-"
OWN_FIELD = "locus"
MAX_SESSION_CHARS = 256
MAX_NAMES = 1_000
FIELDS = ("policy", "cost_weight", "min_p_correct", "allow", "exclude", "failover", "session")


def with_overrides(request: ChatRequest, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """The request with what its headers and its body ask of the gateway; upstreams do not see that.

    Args:
        headers: of the request, names in lower case.

    Raises:
        InvalidRequest: a value that cannot be; `param` names the header or field.
    """
    given = {name: value for name, value in headers.items() if name.startswith(PREFIX)}
    native = request.native
    own = (request.fields if native is None else native.fields).get(OWN_FIELD)
    if not given and own is None:
        return request
    asked = _of_body(own) | _of_headers(given)
    read: dict[str, Any] = {name: _READ[name](value, where) for name, (value, where) in asked.items()}
    overrides = Overrides(**read)
    if own is None:
        return replace(request, overrides=overrides)
    if native is not None:
        fields = {key: value for key, value in native.fields.items() if key != OWN_FIELD}
        return replace(request, overrides=overrides, native=replace(native, fields=fields, body=orjson.dumps(fields)))
    fields = {key: value for key, value in request.fields.items() if key != OWN_FIELD}
    return replace(request, overrides=overrides, fields=fields, body=orjson.dumps(fields))


def _of_headers(given: Mapping[bytes, bytes]) -> dict[str, tuple[Any, str]]:
    asked: dict[str, tuple[Any, str]] = {}
    for raw, value in given.items():
        header = raw.decode("latin-1")
        name = header[len(PREFIX) :].replace("-", "_")
        if name not in FIELDS:
            known = ", ".join(f"x-locus-{field.replace('_', '-')}" for field in FIELDS)
            raise InvalidRequest(f"There is no header `{header[:64]}`; there are {known}.", param=header[:64])
        asked[name] = (value.decode("latin-1").strip(), header)
    return asked


def _of_body(own: Any) -> dict[str, tuple[Any, str]]:
    if own is None:
        return {}
    if not isinstance(own, dict):
        raise InvalidRequest(f"`{OWN_FIELD}` must be an object, not {json_type(own)}.", param=OWN_FIELD)
    for name in own:
        if name not in FIELDS:
            raise InvalidRequest(
                f"`{OWN_FIELD}` has no `{name[:64]}`; it has {', '.join(FIELDS)}.", param=f"{OWN_FIELD}.{name[:64]}"
            )
    return {name: (value, f"{OWN_FIELD}.{name}") for name, value in own.items() if value is not None}


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_SESSION_CHARS:
        raise InvalidRequest(f"`{where}` must be a text of 1 to {MAX_SESSION_CHARS} characters.", param=where)
    return value


def _number(value: Any, where: str, most: float, what: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= most:
        raise InvalidRequest(f"`{where}` must be {what}.", param=where)
    return number


def _cost_weight(value: Any, where: str) -> float:
    return _number(value, where, 1e9, "a number of at least 0: the probability that one US dollar is worth")


def _probability(value: Any, where: str) -> float:
    return _number(value, where, 1.0, "a probability from 0 to 1")


def _names(value: Any, where: str) -> frozenset[str]:
    names = [name.strip() for name in value.split(",", MAX_NAMES)] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names[: MAX_NAMES + 1]):
        names = []
    if not 0 < len(names) <= MAX_NAMES:
        raise InvalidRequest(f"`{where}` must list 1 to {MAX_NAMES} names of portfolio models.", param=where)
    return frozenset(checked_name(name, where) for name in names)


def _switch(value: Any, where: str) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else None
    if word not in ("on", "off", "true", "false"):
        raise InvalidRequest(f"`{where}` must be `on` or `off`.", param=where)
    return word in ("on", "true")


_READ = {
    "policy": _text,
    "cost_weight": _cost_weight,
    "min_p_correct": _probability,
    "allow": _names,
    "exclude": _names,
    "failover": _switch,
    "session": _text,
}
