"""Prices, context windows and capabilities of models, from the table in the litellm package. litellm is not imported."""

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

import orjson

from gateway.config.price import GivenRates, Price
from gateway.core.vocabulary import NUSD_PER_USD, OUTPUT_CAPABILITIES, Capability

TABLE = "model_prices_and_context_window_backup.json"
CAPABILITIES: dict[str, Capability] = {  # the table's flag -> our name
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
    "supports_pdf_input": "files",
    "supports_audio_output": "audio_output",
    "supports_image_output": "image_output",
    "supports_reasoning": "reasoning",
}
_RATE_KEYS = {  # the table's key, USD for one token -> the field of `Rates`
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cached_input",
    "cache_creation_input_token_cost": "cache_write",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "cache_creation_input_token_cost_above_12hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
}
SERVICE_TIERS = ("flex", "priority")
RATE_KEY = re.compile(rf"(?P<key>{'|'.join(_RATE_KEYS)})(_above_(?P<size>\d+)k_tokens)?")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """The facts about a model in the table.

    Attributes:
        price: None if the table has none, or only zeros, which it has where the price of a model is not known.
        prefill: True if the model continues an assistant message at the end of the conversation.
        dimensions: length of an embedding model's vectors.
    """

    price: Price | None
    context_window: int | None
    max_output_tokens: int | None
    capabilities: frozenset[Capability]
    prefill: bool = False
    dimensions: int | None = None


UNKNOWN = ModelFacts(None, None, None, frozenset())


def table_entry(model: str) -> Mapping[str, object] | None:
    """The entry of a LiteLLM model name: that of the full name, else that of the name without the provider."""
    table = _table()
    bare_name = model.partition("/")[2]
    entry = table.get(model) or (table.get(bare_name) if bare_name else None)
    return entry if isinstance(entry, dict) else None


def model_facts(model: str) -> ModelFacts | None:
    """The facts in the table's entry of a LiteLLM model name; None if the table has no entry."""
    entry = table_entry(model)
    if entry is None:
        return None
    return ModelFacts(
        table_price(entry),
        _count(entry.get("max_input_tokens")) or _count(entry.get("max_tokens")),
        _count(entry.get("max_output_tokens")),
        _capabilities(entry),
        entry.get("supports_assistant_prefill") is True,
        _count(entry.get("output_vector_size")),
    )


def deprecation_date(model: str) -> date | None:
    """The day from which a provider may refuse a model, by its LiteLLM name; None if the table does not know one."""
    provider = model.partition("/")[0]
    entry = None if provider == "custom" else table_entry(model)  # another server's model of that name
    try:
        return date.fromisoformat(str((entry or {}).get("deprecation_date")))
    except ValueError:
        return None


def all_models() -> Mapping[str, Mapping[str, object]]:
    """The table: LiteLLM's names of models, and their entries."""
    return {name: entry for name, entry in _table().items() if isinstance(entry, dict)}


def _capabilities(entry: Mapping[str, object]) -> frozenset[Capability]:
    able: set[Capability] = {name for flag, name in CAPABILITIES.items() if entry.get(flag) is True}
    outputs = entry.get("supported_output_modalities")
    if isinstance(outputs, list):  # the table has no flag for images
        able |= {capability for kind, capability in OUTPUT_CAPABILITIES.items() if kind in outputs}
    return frozenset(able)


@cache
def _table() -> Mapping[str, object]:
    """The parsed table; empty if litellm is not installed. Parsing takes about 40 ms, so it is read only when needed."""
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        return {}
    try:
        table = orjson.loads((Path(package.origin).parent / TABLE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return table if isinstance(table, dict) else {}


def table_price(entry: Mapping[str, object]) -> Price | None:
    """The price in an entry of the table, or in one that has the same keys; None if it has none, or only zeros."""
    usual = _price(entry)
    if usual is None:
        return None
    services = []
    for tier in SERVICE_TIERS:
        suffix = f"_{tier}"
        own = {key.removesuffix(suffix): value for key, value in entry.items() if key.endswith(suffix)}
        # What a tier has no rate for costs there as in the usual one, but its answers' tokens have one rate.
        rest = {key: value for key, value in entry.items() if key not in own and not key.startswith("output_cost")}
        if (price := _price(own) and _price(rest | own)) is not None:
            services.append((tier, replace(price, search_nusd=_search_nusd(entry))))
    return replace(usual, services=tuple(services), search_nusd=_search_nusd(entry))


def _price(entry: Mapping[str, object]) -> Price | None:
    given, tiers = given_rates(entry)
    return Price.of(given, tiers) if any(given.values()) and given.get("input") is not None else None


def _search_nusd(entry: Mapping[str, object]) -> int | None:
    """What one search of the web costs, with a context of the usual size."""
    by_size = entry.get("search_context_cost_per_query")
    usd = by_size.get("search_context_size_medium") if isinstance(by_size, dict) else None
    return round(usd * NUSD_PER_USD) if isinstance(usd, int | float) and usd >= 0 else None


def given_rates(entry: Mapping[str, object]) -> tuple[GivenRates, Mapping[int, GivenRates]]:
    """The rates of an entry, and those above each prompt size, USD per million tokens."""
    given: dict[str, float] = {}
    tiers: dict[int, dict[str, float]] = {}
    for key, value in entry.items():
        match = RATE_KEY.fullmatch(key)
        if match is None or (rate := _per_million(value)) is None:
            continue
        of_size = given if match["size"] is None else tiers.setdefault(int(match["size"]) * 1000, {})
        kind = _RATE_KEYS[match["key"]]
        if rate or kind != "cache_write":  # providers that do not bill writes bill these tokens as input
            of_size[kind] = rate
    return given, tiers


def _per_million(value: object) -> float | None:
    return round(value * 1e6, 6) if isinstance(value, int | float) and value >= 0 else None


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
