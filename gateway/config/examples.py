"""Examples of values in a portfolio file, for error messages and for docs/configuration.md."""

import json
from collections.abc import Mapping

from pydantic import BaseModel

from gateway.config.access import BudgetEntry, KeyEntry, NearLimitEntry, TeamEntry
from gateway.config.ensemble import CascadeEntry, EnsembleEntry, WhenEntry
from gateway.config.schema import (
    DeploymentEntry,
    EmbeddingDeploymentEntry,
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
from gateway.config.yaml_reader import Place

# One line of a file for each key whose form does not follow from its type or default.
_EXAMPLES: Mapping[str, str] = {
    "store": "store: os.environ/LOCUS_STORE",
    "record_retention": "record_retention: 30d",
    "models": "models: [{name: small, deployments: [{model: ollama/gpt-oss:20b}]}]",
    "embedding_models": "embedding_models: [{name: vectors, deployments: [{model: openai/text-embedding-3-small}]}]",
    "deployments": "deployments: [{model: openai/gpt-5.4-mini}]",
    "model": "model: openai/gpt-5.4-mini",
    "name": "name: small",
    "embedding": "embedding: openai/gpt-5.4-2026-03-05",
    "price": "price: {input: 2.5, output: 10}",
    "input": "input: 2.5",
    "output": "output: 10",
    "cached_input": "cached_input: 1.25",
    "cache_write": "cache_write: 3.125",
    "cache_write_1h": "cache_write_1h: 5",
    "reasoning": "reasoning: 10",
    "audio_input": "audio_input: 40",
    "audio_output": "audio_output: 80",
    "tiers": "tiers: [{above: 200000, input: 5, output: 15}]",
    "above": "above: 200000",
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
    "policies": "policies: {cheap: {max_loss: 0.05}}",
    "cost_weight": "cost_weight: 10",
    "max_loss": "max_loss: 0.05",
    "min_p_correct": "min_p_correct: 0.6",
    "quality": "quality: 5",
    "max_predicted_loss": "max_predicted_loss: 0.05",
    "checkpoint": "checkpoint: runs/mine",
    "spaces": "spaces: [more.safetensors]",
    "gateway": "gateway: {port: 4000, keys: [os.environ/LOCUS_KEY]}",
    "keys": "keys: [{name: ci, key: os.environ/LOCUS_KEY_CI, team: build, rpm: 60}]",
    "teams": "teams: [{name: build, budget: [{usd: 300, per: month}]}]",
    "key": "key: os.environ/LOCUS_KEY_CI",
    "team": "team: build",
    "budget": "budget: [{usd: 5, per: day}, {usd: 50, per: month}]",
    "usd": "usd: 5",
    "per": "per: day",
    "timezone": "timezone: Europe/Berlin",
    "expires": "expires: 2027-01-01",
    "tags": "tags: [batch]",
    "near_limit": "near_limit: {at: 0.8, cost_weight: 4}",
    "admin_key": "admin_key: os.environ/LOCUS_ADMIN_KEY",
    "cors_origins": "cors_origins: [https://app.example]",
    "max_memory_mb": "max_memory_mb: 2048",
    "record": "record: locus.db",
    "responses": "responses: responses.db",
    "utility_calls": "utility_calls: {policy: cheap, front_ends: [open-webui]}",
    "front_ends": "front_ends: [open-webui]",
    "patterns": "patterns: ['^Generate a title']",
    "hedging": "hedging: {quantile: 0.95, budget: 0.05}",
    "cache": "cache: {ttl: 1h}",
    "ttl": "ttl: 1h",
    "ensemble": "ensemble: true",
    "when": "when: {gap_below: 0.15, p_below: 0.85}",
    "judge": "judge: small",
    "max_calls": "max_calls: 6",
    "max_usd": "max_usd: 0.05",
    "cascade": "cascade: {cheap_first: true}",
    "otel": "otel: {endpoint: http://127.0.0.1:4318}",
    "endpoint": "endpoint: http://127.0.0.1:4318",
    "headers": "headers: {Authorization: os.environ/COLLECTOR_AUTHORIZATION}",
    "sample": "sample: 0.1",
    "content": "content: spans",
    "propagate": "propagate: true",
}
_ITEMS: Mapping[str, str] = {  # of lists and mappings
    "models": "{name: small, deployments: [{model: ollama/gpt-oss:20b}]}",
    "embedding_models": "{name: vectors, deployments: [{model: openai/text-embedding-3-small}]}",
    "deployments": "{model: openai/gpt-5.4-mini}",
    "tiers": "{above: 200000, input: 5, output: 15}",
    "policies": "{max_loss: 0.05}",
    "keys": "{name: ci, key: os.environ/LOCUS_KEY_CI}",
    "teams": "{name: build}",
    "budget": "{usd: 50, per: month}",
    "tags": "batch",
    "spaces": "more.safetensors",
    "extra_headers": "a text",
}


_ACCESS_LISTS: Mapping[str, str] = {  # names of a key or team that mean something else elsewhere
    "models": "models: [small]",
    "policies": "policies: [cheap]",
    "cost_weight": "cost_weight: 4",
}


def example_of(where: Place) -> str:
    """A text that is valid at a place of the file, such as `port: 4000`."""
    if where[0] == "embedding_models" and where[-1] == "price":
        return "price: {input: 0.02}"
    if where == ("gateway", "cache"):
        return "cache: {max_mb: 256}"
    if where[:2] == ("gateway", "keys"):  # plain ones
        return "os.environ/LOCUS_KEY" if isinstance(where[-1], int) else "keys: [os.environ/LOCUS_KEY]"
    if where[0] in ("keys", "teams") and where[-1] in _ACCESS_LISTS:
        return _ACCESS_LISTS[str(where[-1])]
    if isinstance(where[-1], int) or where[-2:-1] in (("policies",), ("extra_headers",)):
        return _ITEMS.get(str(where[-2]), str(where[-2]))
    name = str(where[-1])
    level = mapping_at(where)
    field = None if level is None else level.model_fields.get(name)
    if name in _EXAMPLES or field is None or field.is_required():
        return _EXAMPLES.get(name, f"{name}: …")
    return f"{name}: {json.dumps(field.default)}"


def mapping_at(where: Place) -> type[BaseModel] | None:
    """The model of the mapping that a key belongs to, or None."""
    match where:
        case (_,):
            return PortfolioEntry
        case ("gateway", _):
            return Settings
        case ("gateway", "utility_calls", _):
            return UtilityCalls
        case ("gateway", "hedging", _):
            return Hedging
        case ("gateway", "cache", _):
            return CacheSettings
        case ("gateway", "otel", _):
            return Otel
        case ("models", _, "deployments", _, _):
            return DeploymentEntry
        case ("embedding_models", _, "deployments", _, _):
            return EmbeddingDeploymentEntry
        case ("models", _, *_, "price", _):
            return PriceEntry
        case ("models", _, *_, "price", "tiers", _, _):
            return PriceTierEntry
        case ("models", _, _):
            return ModelEntry
        case ("embedding_models", _, *_, "price", _):
            return EmbeddingPriceEntry
        case ("embedding_models", _, _):
            return EmbeddingModelEntry
        case ("policies", _, "cache", _):
            return PolicyCacheEntry
        case ("policies", _, "ensemble", _):
            return EnsembleEntry
        case ("policies", _, "ensemble", "when", _):
            return WhenEntry
        case ("policies", _, "ensemble", "cascade", _):
            return CascadeEntry
        case ("policies", _, _):
            return PolicyEntry
        case ("keys" | "teams", _, "budget", _, _):
            return BudgetEntry
        case ("keys" | "teams", _, "near_limit", _):
            return NearLimitEntry
        case ("keys", _, _):
            return KeyEntry
        case ("teams", _, _):
            return TeamEntry
    return None
