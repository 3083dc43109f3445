"""Reads a client's overrides for one request: `x-locus-…` headers, or a `locus` object in the body.

If a header and a field of the body set the same override, the header takes precedence. Clients that can send neither can
select a policy by the model name `auto:<policy>`.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import get_args

import orjson

from gateway.config.ensemble import LARGEST
from gateway.core.durations import duration_s
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import json_type
from gateway.core.vocabulary import StandIns
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.model_names import checked_name
from router.model.policy import BEST_QUALITY, Rule

PREFIX = b"x-locus-"
OWN_FIELD = "locus"
MAX_SESSION_CHARS = 256
MAX_NAMES = 1_000
MAX_CACHE_S = 31_536_000.0  # a year
STAND_INS: tuple[StandIns, ...] = get_args(StandIns)
_SWITCH_WORDS = ("on", "off", "true", "false")
RULES: tuple[Rule, ...] = ("cost_weight", "max_loss", "quality")  # at most one of them replaces the policy's rule
FIELDS = (
    "policy",
    *RULES,
    "min_p_correct",
    "allow",
    "exclude",
    "failover",
    "stand_ins",
    "session",
    "cache",
    "ensemble",
)

_Value = tuple[object, str]  # the value of an override, and the header or field that it comes from


def with_overrides(request: ChatRequest, headers: Mapping[bytes, bytes]) -> ChatRequest:
    """Return the request with its overrides, and without the `locus` object, which is not sent upstream.

    Args:
        headers: the headers of the request, names in lower case.

    Raises:
        InvalidRequest: an override is unknown or invalid, or two of them contradict each other; `param` names the header or
            field.
    """
    locus_headers = {name: value for name, value in headers.items() if name.startswith(PREFIX)}
    native = request.native
    locus_object = (request.fields if native is None else native.fields).get(OWN_FIELD)
    if not locus_headers and locus_object is None:
        return request
    values = _body_values(locus_object) | _header_values(locus_headers)
    overrides = _overrides(values)
    if locus_object is None:
        return replace(request, overrides=overrides)
    if native is not None:
        fields = {key: value for key, value in native.fields.items() if key != OWN_FIELD}
        return replace(request, overrides=overrides, native=replace(native, fields=fields, body=orjson.dumps(fields)))
    fields = {key: value for key, value in request.fields.items() if key != OWN_FIELD}
    return replace(request, overrides=overrides, fields=fields, body=orjson.dumps(fields))


def _overrides(values: Mapping[str, _Value]) -> Overrides:
    """Checks the values, and makes one rule of `RULES`."""
    checked: JsonObject = {name: _CHECKS[name](value, where) for name, (value, where) in values.items()}
    rules = [(rule, checked.pop(rule)) for rule in RULES if rule in checked]
    if len(rules) > 1:
        (_, first), (_, second) = (values[rule] for rule, _ in rules[:2])
        message = f"`{first}` and `{second}` are two rules for one choice; send only one of them."
        raise InvalidRequest(message, param=second)
    if checked.pop("failover", True) is False:
        _check_no_failover(checked.setdefault("stand_ins", "same_model"), values)
    return Overrides(rule=rules[0] if rules else None, **checked)


def _check_no_failover(stand_ins: object, values: Mapping[str, _Value]) -> None:
    """Checks that `stand_ins` allows no other model either, which `failover: off` forbids."""
    if stand_ins not in ("never", "same_model"):
        off, other = values["failover"][1], values["stand_ins"][1]
        message = f"`{off}: off` and `{other}: {stand_ins}` contradict each other; send only one of them."
        raise InvalidRequest(message, param=other)


def _header_values(headers: Mapping[bytes, bytes]) -> dict[str, _Value]:
    """Return the value of each override in the headers."""
    values: dict[str, _Value] = {}
    for raw, value in headers.items():
        header = raw.decode("latin-1")
        name = header[len(PREFIX) :].replace("-", "_")
        if name not in FIELDS:
            known = ", ".join(f"x-locus-{field.replace('_', '-')}" for field in FIELDS)
            raise InvalidRequest(f"There is no header `{header[:64]}`; there are {known}.", param=header[:64])
        values[name] = (value.decode("latin-1").strip(), header)
    return values


def _body_values(locus_object: object) -> dict[str, _Value]:
    """Return the value of each override in the `locus` object of the body."""
    if locus_object is None:
        return {}
    if not isinstance(locus_object, dict):
        raise InvalidRequest(f"`{OWN_FIELD}` must be an object, not {json_type(locus_object)}.", param=OWN_FIELD)
    for name in locus_object:
        if name not in FIELDS:
            raise InvalidRequest(
                f"`{OWN_FIELD}` has no `{name[:64]}`; it has {', '.join(FIELDS)}.", param=f"{OWN_FIELD}.{name[:64]}"
            )
    return {name: (value, f"{OWN_FIELD}.{name}") for name, value in locus_object.items() if value is not None}


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_SESSION_CHARS:
        raise InvalidRequest(f"`{where}` must be a text of 1 to {MAX_SESSION_CHARS} characters.", param=where)
    return value


def _number(value: object, where: str, largest: float, what: str) -> float:
    number = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            number = float(value)
    if not 0 <= number <= largest:
        raise InvalidRequest(f"`{where}` must be {what}.", param=where)
    return number


def _cost_weight(value: object, where: str) -> float:
    return _number(value, where, 1e9, "a number of at least 0: the probability that one US dollar is worth")


def _quality(value: object, where: str) -> float:
    return _number(value, where, BEST_QUALITY, f"a number from 0 (cheapest) to {BEST_QUALITY:g} (best)")


def _probability(value: object, where: str) -> float:
    return _number(value, where, 1.0, "a probability from 0 to 1")


def _names(value: object, where: str) -> frozenset[str]:
    names = [name.strip() for name in value.split(",", MAX_NAMES)] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names[: MAX_NAMES + 1]):
        names = []
    if not 0 < len(names) <= MAX_NAMES:
        raise InvalidRequest(f"`{where}` must list 1 to {MAX_NAMES} names of portfolio models.", param=where)
    return frozenset(checked_name(name, where) for name in names)


def _switch(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    word = value.lower() if isinstance(value, str) else None
    if word not in _SWITCH_WORDS:
        raise InvalidRequest(f"`{where}` must be `on` or `off`.", param=where)
    return word in ("on", "true")


def _stand_ins(value: object, where: str) -> StandIns:
    mode = next((mode for mode in STAND_INS if mode == value), None)
    if mode is None:
        raise InvalidRequest(f"`{where}` must be one of {', '.join(STAND_INS)}.", param=where)
    return mode


def _cache(value: object, where: str) -> bool | float:
    """True, False, or how long a stored answer may be used, seconds."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in _SWITCH_WORDS):
        return _switch(value, where)
    seconds = duration_s(str(value)) if isinstance(value, int | float | str) else None
    if seconds is None or not 0 < seconds <= MAX_CACHE_S:
        raise InvalidRequest(f"`{where}` must be `on`, `off`, or a duration such as `15m` or `1h`.", param=where)
    return seconds


def _ensemble(value: object, where: str) -> bool | int:
    """True, False, or the number of models at most."""
    if isinstance(value, bool) or (isinstance(value, str) and value.lower() in _SWITCH_WORDS):
        return _switch(value, where)
    size = next((size for size in range(2, LARGEST + 1) if value in (size, str(size))), None)
    if size is None:
        raise InvalidRequest(f"`{where}` must be `on`, `off`, or a number of models from 2 to {LARGEST}.", param=where)
    return size


_CHECKS: dict[str, Callable[[object, str], object]] = {
    "policy": _text,
    "cost_weight": _cost_weight,
    "max_loss": _probability,
    "quality": _quality,
    "min_p_correct": _probability,
    "allow": _names,
    "exclude": _names,
    "failover": _switch,
    "stand_ins": _stand_ins,
    "session": _text,
    "cache": _cache,
    "ensemble": _ensemble,
}
