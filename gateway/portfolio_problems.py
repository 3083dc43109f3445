"""What pydantic refuses of a portfolio file -> problems in plain English, each with what to write instead."""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.portfolio_document import Document, Place, Problem, shown
from gateway.portfolio_schema import (
    EmbeddingModelEntry,
    EmbeddingPriceEntry,
    GatewayEntry,
    HedgingEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
    UtilityCallsEntry,
)

_MODELS = ("models", "embedding_models")


def problem(document: Document, error: dict[str, Any]) -> Problem:
    where: Place = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    if isinstance(context.get("at"), str):
        where += tuple(int(p) if p.isdigit() else p for p in context["at"].split("."))
    expected = error["msg"][0].lower() + error["msg"][1:]
    if kind == "extra_forbidden":
        return Problem(document.line(where), f"{document.place(where)}: unknown key{did_you_mean(where)}")
    if kind == "missing":
        return Problem(document.line(where[:-1]), f"{document.place(where)}: missing")
    if kind in ("reserved", "capability", "policy"):
        return Problem(document.line(where), f"{document.place(where)}: {error['msg']}")
    found = shown(where, error.get("input"))
    return Problem(document.line(where), f"{document.place(where)}: found {found}; {expected.removeprefix('input ')}")


def did_you_mean(where: Place) -> str:
    levels: dict[int, type[BaseModel]] = {1: PortfolioEntry}
    if where[0] == "gateway":
        levels |= {2: GatewayEntry, 3: UtilityCallsEntry if "utility_calls" in where else HedgingEntry}
    if where[0] == "models":
        levels |= {3: ModelEntry, 4: PriceEntry}
    if where[0] == "embedding_models":
        levels |= {3: EmbeddingModelEntry, 4: EmbeddingPriceEntry}
    if where[0] == "policies":
        levels[3] = PolicyEntry
    model = levels.get(len(where), PortfolioEntry)
    close = difflib.get_close_matches(str(where[-1]), list(model.model_fields), n=1)
    return f"; did you mean {close[0]}?" if close else f"; expected one of {', '.join(model.model_fields)}"


# Values that nothing is reported of: a model with a listed price whose provider takes every parameter of litellm's.
_SOUND: Mapping[str | int, Any] = {
    "model": "anthropic/claude-sonnet-4-5",
    "api_base": "http://127.0.0.1",
    "price": {"input": 0.0, "output": 0.0},
}


def mended(value: dict[str, Any], wrong: list[Place]) -> PortfolioEntry | None:
    """The file with what pydantic refused replaced by something sound, so that the rest is checked in the same run.

    None where too little is left. What this puts in must not be reported itself.
    """
    value = copy.deepcopy(value)
    for where in wrong:
        _mend(value, where)
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


def _mend(value: dict[str, Any], where: Place) -> None:
    if where[0] == "policies":
        if len(where) == 1:
            value.pop("policies")
            value.pop("default_policy", None)
        elif isinstance(value["policies"], dict) and where[1] in value["policies"]:
            value["policies"][where[1]] = {"cost_weight": 0.0}
        return
    if "price" in where:
        where = where[: where.index("price") + 1]
    if isinstance(where[-1], int):  # an item goes with its whole list, so that no other changes its number
        where = where[:-1]
    holder: Any = value
    for part in where[:-1]:  # ends early where pydantic adds a name of its own, as of a key that is not a string
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
