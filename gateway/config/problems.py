"""What pydantic refuses of a portfolio file -> problems in plain English, each with what to write instead."""

import copy
import difflib
import json
import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from gateway.config.document import Document, Place, Problem, shown
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingModelEntry,
    EmbeddingPriceEntry,
    ModelEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
)
from gateway.config.settings import Hedging, Settings, UtilityCalls

_MODELS = ("models", "embedding_models")


def problem(document: Document, error: dict[str, Any]) -> Problem:
    """One of pydantic's errors in plain English: what was found, and what to write instead."""
    where: Place = tuple(error["loc"])
    kind, context = error["type"], error.get("ctx") or {}
    if where[-1:] == ("[key]",):  # pydantic's mark for the key of a mapping itself
        where = where[:-1]
        told = error["msg"] if kind in ("header", "printable") else _KEYS.get(kind, "write another key")
        return Problem(document.line(where), f"{document.place(where)}: {told}")
    if kind == "invalid_key":
        return Problem(document.line(where), f"{document.place(where)}: {_KEYS['string_type']}")
    if kind == "extra_forbidden":
        return Problem(document.line(where), f"{document.place(where)}: unknown key{_did_you_mean(where)}")
    if kind == "missing":
        return Problem(document.line(where[:-1]), f"{document.place(where)}: missing; write {_example(where)}")
    if kind in ("reserved", "policy"):
        return Problem(document.line(where), f"{document.place(where)}: {error['msg']}")
    if isinstance(error.get("input"), float) and not math.isfinite(error["input"]):
        kind = "finite_number"
    found = shown(where, error.get("input"))
    return Problem(document.line(where), f"{document.place(where)}: found {found}; {_expected(kind, context, where)}")


_KINDS = {  # pydantic's types of errors -> what to write
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
# One line that can stand in a file, for each key whose form is not plain from its kind.
_EXAMPLES = {
    "models": "models: [{name: small, deployments: [{model: ollama/llama3.1:8b}]}]",
    "embedding_models": "embedding_models: [{name: vectors, deployments: [{model: openai/text-embedding-3-small}]}]",
    "deployments": "deployments: [{model: openai/gpt-4o-mini}]",
    "model": "model: openai/gpt-4o-mini",
    "name": "name: small",
    "embedding": "embedding: openai/gpt-4o-2024-08-06",
    "price": "price: {input: 2.5, output: 10}",
    "input": "input: 2.5",
    "output": "output: 10",
    "cached_input": "cached_input: 1.25",
    "context_window": "context_window: 128000",
    "max_output_tokens": "max_output_tokens: 16384",
    "max_input_tokens": "max_input_tokens: 8192",
    "dimensions": "dimensions: 1536",
    "capabilities": "capabilities: [tools, vision]",
    "api_base": "api_base: http://127.0.0.1:8000/v1",
    "api_key": "api_key: os.environ/OPENAI_API_KEY",
    "extra_headers": "extra_headers: {X-Team: search}",
    "apis": "apis: [responses]",
    "prefill": "prefill: true",
    "several": "several: true",
    "logprobs": "logprobs: true",
    "timeout": "timeout: 300",
    "first_token_timeout": "first_token_timeout: 10",
    "stream_timeout": "stream_timeout: 10",
    "health_check_interval": "health_check_interval: 300",
    "rpm": "rpm: 500",
    "tpm": "tpm: 200000",
    "max_parallel_requests": "max_parallel_requests: 8",
    "policies": "policies: {cheap: {min_p_correct: 0.6}}",
    "cost_weight": "cost_weight: 10",
    "min_p_correct": "min_p_correct: 0.6",
    "max_predicted_loss": "max_predicted_loss: 0.05",
    "checkpoint": "checkpoint: runs/mine",
    "spaces": "spaces: [more.safetensors]",
    "gateway": "gateway: {port: 4000, keys: [os.environ/LOCUS_KEY]}",
    "keys": "keys: [os.environ/LOCUS_KEY]",
    "admin_key": "admin_key: os.environ/LOCUS_ADMIN_KEY",
    "cors_origins": "cors_origins: [https://app.example]",
    "record": "record: locus.db",
    "responses": "responses: responses.db",
    "utility_calls": "utility_calls: {policy: cheap, front_ends: [open-webui]}",
    "front_ends": "front_ends: [open-webui]",
    "patterns": "patterns: ['^Generate a title']",
    "hedging": "hedging: {quantile: 0.95, budget: 0.05}",
}
_ITEMS = {  # of lists and mappings
    "models": "{name: small, deployments: [{model: ollama/llama3.1:8b}]}",
    "embedding_models": "{name: vectors, deployments: [{model: openai/text-embedding-3-small}]}",
    "deployments": "{model: openai/gpt-4o-mini}",
    "policies": "{min_p_correct: 0.6}",
    "keys": "os.environ/LOCUS_KEY",
    "spaces": "more.safetensors",
    "extra_headers": "a text",
}


def _expected(kind: str, context: Mapping[str, Any], where: Place) -> str:
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
            return f"write at least one, such as {_example(where)}"
        case "string_too_long":
            return f"write at most {context['max_length']} characters"
        case "printable":
            return "write printable characters only"
        case "origin":
            return str(context["expected"])
    return f"write {_KINDS[kind]}, such as {_example(where)}" if kind in _KINDS else "write another value"


def _example(where: Place) -> str:
    """What could stand at a place of the file."""
    if where[0] == "embedding_models" and where[-1] == "price":
        return "price: {input: 0.02}"
    if isinstance(where[-1], int) or where[-2:-1] in (("policies",), ("extra_headers",)):
        return _ITEMS.get(str(where[-2]), str(where[-2]))
    name = str(where[-1])
    level = _level(where)
    field = None if level is None else level.model_fields.get(name)
    if name in _EXAMPLES or field is None or field.is_required():
        return _EXAMPLES.get(name, f"{name}: …")
    return f"{name}: {json.dumps(field.default)}"


# What other programs call it.
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
    "master_key": "keys",
    "api_keys": "keys",
    "database": "record",
    "database_url": "record",
    "request_timeout": "timeout",
}


def similar(key: str, known: list[str]) -> str | None:
    """The known key that an unknown one was probably meant to be."""
    if (other := _OTHER_NAMES.get(key)) in known:
        return other
    return next(iter(difflib.get_close_matches(key, known, n=1)), None)


def _did_you_mean(where: Place) -> str:
    level, key = _level(where) or PortfolioEntry, str(where[-1])
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
}


def _level(where: Place) -> type[BaseModel] | None:
    """The mapping that holds a key."""
    match where:
        case (_,):
            return PortfolioEntry
        case ("gateway", _):
            return Settings
        case ("gateway", "utility_calls", _):
            return UtilityCalls
        case ("gateway", "hedging", _):
            return Hedging
        case ("models" | "embedding_models", _, "deployments", _, _):
            return DeploymentEntry
        case ("models", _, "price", _):
            return PriceEntry
        case ("models", _, _):
            return ModelEntry
        case ("embedding_models", _, "price", _):
            return EmbeddingPriceEntry
        case ("embedding_models", _, _):
            return EmbeddingModelEntry
        case ("policies", _, _):
            return PolicyEntry
    return None


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
