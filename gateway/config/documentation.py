"""docs/configuration.md, made from the models that check a portfolio file. See scripts/make_configuration_docs.py."""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from types import NoneType, UnionType
from typing import Annotated, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config.access import BudgetEntry, KeyEntry, NearLimitEntry, TeamEntry
from gateway.config.ensemble import CascadeEntry, EnsembleEntry, WhenEntry
from gateway.config.examples import example_of
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingModelEntry,
    EmbeddingPriceEntry,
    ModelEntry,
    PolicyCacheEntry,
    PolicyEntry,
    PortfolioEntry,
    PriceEntry,
    PriceTierEntry,
)
from gateway.config.settings import CacheSettings, Hedging, Otel, Settings, UtilityCalls

_INTRODUCTION = """\
# Configuration

A portfolio file is YAML. This page lists its keys. It is made from the same models that check the file:
`make docs` writes it, so change the descriptions in `schema.py`, `access.py` and `settings.py` of `gateway/config/`.

- `locus check` checks a file and reports each mistake with its line; `locus check --schema` prints a JSON Schema for
  editors.
- Secrets are written as `os.environ/NAME`, the value of the environment variable `NAME`, or as `file:PATH`, the content
  of a file. White space around it, such as a line break at its end, is left out. A reload reads the files again.
- Relative paths begin at the folder of the file.

```yaml
models:
  - name: small
    deployments:
      - model: ollama/gpt-oss:20b
  - name: large
    deployments:
      - model: openai/gpt-5.6-sol
        api_key: os.environ/OPENAI_API_KEY
gateway:
  port: 4000
```
"""
# Each mapping of the file: its heading, its model, and a place of a key in it, from which examples are chosen.
_SECTIONS: tuple[tuple[str, type[BaseModel], tuple[str | int, ...]], ...] = (
    ("The file", PortfolioEntry, ()),
    ("`models[]`", ModelEntry, ("models", 0)),
    ("`price` of a model or of a deployment", PriceEntry, ("models", 0, "price")),
    ("`tiers[]` of a price", PriceTierEntry, ("models", 0, "price", "tiers", 0)),
    ("`embedding_models[]`", EmbeddingModelEntry, ("embedding_models", 0)),
    ("`price` of an embedding model or of a deployment", EmbeddingPriceEntry, ("embedding_models", 0, "price")),
    ("`deployments[]` of a model", DeploymentEntry, ("models", 0, "deployments", 0)),
    ("`policies.<name>`", PolicyEntry, ("policies", "cheap")),
    ("`policies.<name>.cache`", PolicyCacheEntry, ("policies", "cheap", "cache")),
    ("`policies.<name>.ensemble`", EnsembleEntry, ("policies", "cheap", "ensemble")),
    ("`policies.<name>.ensemble.when`", WhenEntry, ("policies", "cheap", "ensemble", "when")),
    ("`policies.<name>.ensemble.cascade`", CascadeEntry, ("policies", "cheap", "ensemble", "cascade")),
    ("`keys[]`", KeyEntry, ("keys", 0)),
    ("`teams[]`", TeamEntry, ("teams", 0)),
    ("`budget[]` of a key or team", BudgetEntry, ("keys", 0, "budget", 0)),
    ("`near_limit` of a key or team", NearLimitEntry, ("keys", 0, "near_limit")),
    ("`gateway`", Settings, ("gateway",)),
    ("`gateway.utility_calls`", UtilityCalls, ("gateway", "utility_calls")),
    ("`gateway.hedging`", Hedging, ("gateway", "hedging")),
    ("`gateway.cache`", CacheSettings, ("gateway", "cache")),
    ("`gateway.otel`", Otel, ("gateway", "otel")),
)
_TYPE_NAMES: Mapping[object, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    date: "date",
    datetime: "time",
    NoneType: "null",
}


def configuration_page() -> str:
    """The text of docs/configuration.md."""
    return "\n".join([_INTRODUCTION, *(line for section in _SECTIONS for line in _section(*section))])


def _section(title: str, model: type[BaseModel], where: tuple[str | int, ...]) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    yield (model.__doc__ or "").strip()
    if model is DeploymentEntry:
        yield ""
        yield "For providers that litellm calls, further parameters of litellm may follow, such as `aws_region_name`."
    yield ""
    yield "| Key | Type | Default | Meaning | Example |"
    yield "|---|---|---|---|---|"
    for key, field in model.model_fields.items():
        meaning, example = field.description or "", example_of((*where, key))
        cells = (f"`{key}`", type_name(field.annotation), _default(field), f"{meaning}.", f"`{example}`")
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def type_name(annotation: object) -> str:
    """The type of a key in plain English: `type_name(list[str])` is "list of text"."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{str(value).lower() if isinstance(value, bool) else value}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_name(argument) for argument in arguments)
    if origin in (list, tuple):
        return f"list of {type_name(arguments[0])}"
    if origin is dict:
        return f"mapping of {type_name(arguments[0])} to {type_name(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "mapping"
    return _TYPE_NAMES.get(annotation, "text")


def _default(field: FieldInfo) -> str:
    """The default as YAML; for null and texts about a default, the description says what it means."""
    if field.is_required():
        return "required"
    value = field.default
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, BaseModel):
        return "each key's default"
    if value in ([], (), {}):
        return "empty"
    return f"`{value:g}`" if isinstance(value, float) and value < 1e6 and value == round(value, 6) else f"`{value}`"
