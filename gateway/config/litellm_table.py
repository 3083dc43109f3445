"""Prices, context windows and capabilities from the table that the litellm package brings, read without importing it."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from gateway.core.vocabulary import OUTPUT_CAPABILITIES, Capability

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


@dataclass(frozen=True, slots=True)
class Listed:
    """What the table says of a model; None where it says nothing. Prices in USD per million tokens."""

    usd_per_mtok_in: float | None
    usd_per_mtok_out: float | None
    context_window: int | None
    max_output_tokens: int | None
    capabilities: frozenset[Capability]
    prefill: bool = False  # whether it goes on from an assistant message at the end
    usd_per_mtok_cached: float | None = None  # of the part of a prompt that the provider has in its cache
    dimensions: int | None = None  # of an embedding model's vectors


def entry(model: str) -> Mapping[str, Any] | None:
    """What the table says of a LiteLLM model name: by its full name, else without its provider."""
    table = _table()
    bare = model.partition("/")[2]
    found = table.get(model) or (table.get(bare) if bare else None)
    return found if isinstance(found, dict) else None


def look_up(model: str) -> Listed | None:
    """The entry of a LiteLLM model name, as `entry` finds it; None where there is none."""
    found = entry(model)
    if found is None:
        return None
    return Listed(
        _per_million(found.get("input_cost_per_token")),
        _per_million(found.get("output_cost_per_token")),
        _count(found.get("max_input_tokens")) or _count(found.get("max_tokens")),
        _count(found.get("max_output_tokens")),
        _capabilities(found),
        found.get("supports_assistant_prefill") is True,
        _per_million(found.get("cache_read_input_token_cost")),
        _count(found.get("output_vector_size")),
    )


def _capabilities(found: Mapping[str, Any]) -> frozenset[Capability]:
    able: set[Capability] = {name for flag, name in CAPABILITIES.items() if found.get(flag) is True}
    outputs = found.get("supported_output_modalities")
    if isinstance(outputs, list):  # of images the table has no flag
        able |= {capability for kind, capability in OUTPUT_CAPABILITIES.items() if kind in outputs}
    return frozenset(able)


@cache
def _table() -> Mapping[str, Any]:
    """The parsed table, some 40 ms; read only where a portfolio leaves something to it. Empty without the package."""
    package = importlib.util.find_spec("litellm")
    if package is None or package.origin is None:
        return {}
    try:
        table = orjson.loads((Path(package.origin).parent / TABLE).read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return table if isinstance(table, dict) else {}


def _per_million(value: Any) -> float | None:
    return round(value * 1e6, 6) if isinstance(value, int | float) else None


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
