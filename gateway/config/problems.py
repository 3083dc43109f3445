"""The errors that pydantic finds in a portfolio file -> problems in plain English, each with a correct example."""

import copy
import difflib
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.config.access import BudgetEntry, KeyEntry
from gateway.config.document import Document, Problem, shown
from gateway.config.examples import example_of, mapping_at
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingModelEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
)
from gateway.config.settings import Settings
from gateway.config.yaml_reader import Place
from gateway.core.json_types import JsonObject

_MODELS = ("models", "embedding_models")


def problem(document: Document, error: JsonObject) -> Problem:
    """One of pydantic's errors in plain English: the value that was found, and an example of a correct one."""
    where: Place = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    if where[-1:] == ("[key]",):  # pydantic marks the key of a mapping in this way
        where = where[:-1]
        message = error["msg"] if kind in ("header", "printable") else _KEYS.get(kind, "write another key")
        return Problem(document.line(where), f"{document.place(where)}: {message}")
    if kind == "invalid_key":
        return Problem(document.line(where), f"{document.place(where)}: {_KEYS['string_type']}")
    if kind == "extra_forbidden":
        return Problem(document.line(where), f"{document.place(where)}: unknown key{_did_you_mean(where)}")
    if kind == "missing":
        return Problem(document.line(where[:-1]), f"{document.place(where)}: missing; write {example_of(where)}")
    if kind in ("reserved", "policy", "ensemble", "grader"):
        return Problem(document.line(where), f"{document.place(where)}: {error['msg']}")
    if isinstance(error.get("input"), float) and not math.isfinite(error["input"]):
        kind = "finite_number"
    found = shown(where, error.get("input"))
    return Problem(document.line(where), f"{document.place(where)}: found {found}; {_expected(kind, context, where)}")


_KINDS = {  # pydantic's types of errors -> the expected type
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a number that is finite",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_KEYS = {  # of a key itself
    "string_type": "the key must be a text; write it in quotes",
    "string_too_short": "the key is empty; write a name",
    "string_too_long": "the key is too long; write a shorter name",
}


def _expected(kind: str, context: JsonObject, where: Place) -> str:
    bound = next((f"{context[name]:.15g}" for name in ("ge", "gt", "le", "lt") if name in context), "")
    match kind:
        case "greater_than_equal":
            return f"write a number of at least {bound}"
        case "greater_than":
            return f"write a number above {bound}"
        case "less_than_equal":
            return f"write a number of at most {bound}"
        case "less_than":
            return f"write a number below {bound}"
        case "literal_error":
            return f"write {str(context['expected']).replace(chr(39), '')}"
        case "string_too_short" | "too_short":
            return f"write at least one, such as {example_of(where)}"
        case "string_too_long":
            return f"write at most {context['max_length']} characters"
        case "printable":
            return "write printable characters only"
        case "origin":
            return str(context["expected"])
        case "duration":
            return f"write seconds, or a duration such as {example_of(where)}"
        case "timezone":
            return "write a time zone, such as Europe/Berlin"
        case "expires":
            return "write a date or a time, such as 2027-01-01 or 2027-01-01T12:00:00Z"
    return f"write {_KINDS[kind]}, such as {example_of(where)}" if kind in _KINDS else "write another value"


# Names in the configurations of other programs -> our names.
_OTHER_NAMES = {
    "base_url": "api_base",
    "url": "api_base",
    "endpoint": "api_base",
    "key": "api_key",
    "token": "api_key",
    "model_name": "name",
    "id": "name",
    "litellm_params": "deployments",
    "providers": "deployments",
    "headers": "extra_headers",
    "max_tokens": "max_output_tokens",
    "context_length": "context_window",
    "max_model_len": "context_window",
    "cost": "price",
    "pricing": "price",
    "prompt": "input",
    "completion": "output",
    "cached": "cached_input",
    "cache_read": "cached_input",
    "master_key": "keys",
    "api_keys": "keys",
    "database": "record",
    "database_url": "record",
    "request_timeout": "timeout",
}


def similar(key: str, known: list[str]) -> str | None:
    """The known key that is most similar to an unknown one, or None."""
    if (other := _OTHER_NAMES.get(key)) in known:
        return other
    return next(iter(difflib.get_close_matches(key, known, n=1)), None)


def _did_you_mean(where: Place) -> str:
    level, key = mapping_at(where) or PortfolioEntry, str(where[-1])
    known = list(level.model_fields)
    for place, other in _ELSEWHERE.items():
        if key in other.model_fields and not (level is EmbeddingModelEntry and other is ModelEntry):
            return f"; it belongs to {place}"
    if (close := similar(key, known)) is not None:
        return f"; did you mean {close}?"
    return f"; expected one of {', '.join(known)}"


_ELSEWHERE: Mapping[str, type[BaseModel]] = {
    "the file itself, not indented": PortfolioEntry,
    "`gateway`": Settings,
    "a model": ModelEntry,
    "an item of `deployments`": DeploymentEntry,
    "a policy": PolicyEntry,
    "a key": KeyEntry,
    "an item of `budget`": BudgetEntry,
}


# Correct values: a model that is in LiteLLM's table and whose provider accepts every parameter of litellm.
_SOUND: Mapping[str | int, object] = {
    "model": "anthropic/claude-haiku-4-5",
    "api_base": "http://127.0.0.1",
    "price": {"input": 0.0, "output": 0.0},
}


def repaired(value: JsonObject, wrong: list[Place]) -> PortfolioEntry | None:
    """The file with correct values in place of wrong ones, so that the same run also checks the rest.

    None if too little is left. The values that are put in cause no problems themselves.
    """
    value = copy.deepcopy(value)
    for where in wrong:
        _repair(value, where)
    try:
        return PortfolioEntry.model_validate(value)
    except ValidationError as exc:
        for error in exc.errors():
            match error["loc"]:
                case ("models" | "embedding_models" as key, int(i), *_):
                    value[key][i] = {"name": f"{key}[{i}]", "deployments": [{"model": _SOUND["model"]}]}
    try:
        return PortfolioEntry.model_validate(value)
    except ValidationError:
        return None


def _repair(value: JsonObject, where: Place) -> None:
    if where[0] == "policies":
        if len(where) == 1:
            value.pop("policies")
            value.pop("default_policy", None)
        elif isinstance(value["policies"], dict) and where[1] in value["policies"]:
            value["policies"][where[1]] = {"cost_weight": 0.0}
        return
    if "price" in where:
        where = where[: where.index("price") + 1]
    if isinstance(where[-1], int):  # the whole list is removed, so that no other item changes its number
        where = where[:-1]
    holder: Any = value
    for part in where[:-1]:  # stops early if pydantic adds a name of its own, as for a key that is not a text
        if isinstance(holder, list) and isinstance(part, int):
            holder = holder[part]
        else:
            holder = holder.get(part) if isinstance(holder, dict) else None
    if not isinstance(holder, dict) or where in ((), ("models",)):
        return
    holder.pop(where[-1], None)
    if where[-1] in _SOUND and where[0] in _MODELS:
        sound = _SOUND[where[-1]]
        holder[where[-1]] = {"input": 0.0} if where[0] == "embedding_models" and where[-1] == "price" else sound
