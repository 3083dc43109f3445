"""`GET /v1/models`: the models and policies that a request can name, in OpenAI's format with common extensions, or in Anthropic's.

`auto` has the capabilities of all models that it chooses from, since it sends each request to a model that can serve it.
"""

from collections.abc import Iterable, Iterator, Sequence

from gateway.config.access import EVERYTHING, Allowed
from gateway.config.portfolio import BUILT_IN, Model
from gateway.config.price import Price, Rates
from gateway.core.json_types import JsonObject
from gateway.http.in_force import InForce
from gateway.request.model_names import unknown_model
from gateway.routing.decision import AUTO
from gateway.routing.requested_policy import default_policy
from gateway.routing.standing import Standing

_INPUTS = {
    "vision": "image",
    "audio": "audio",
    "files": "file",
}  # capability -> OpenRouter's name of the input modality
_OUTPUTS = {"audio_output": "audio", "image_output": "image"}
_PARAMETERS = {  # capability -> request fields that need it
    "tools": ("tools", "tool_choice", "parallel_tool_calls"),
    "json_schema": ("response_format", "structured_outputs"),
    "reasoning": ("reasoning", "reasoning_effort"),
}
_ALWAYS = ("max_tokens", "max_completion_tokens", "temperature", "top_p", "stop", "stream", "user")

_RATES = ("input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning")

Entry = JsonObject


def model_list(in_force: InForce, allowed: Allowed = EVERYTHING, *, anthropic: bool = False) -> JsonObject:
    """The answer of `GET /v1/models`.

    Args:
        allowed: only the models and policies that the key may use are listed.
        anthropic: use Anthropic's format, for clients that send an `anthropic-version` header; it lists chat models only.
    """
    entries = list_models(in_force, allowed)
    if not anthropic:
        return {"object": "list", "data": entries}
    data = [_anthropic(in_force, entry) for entry in entries if entry["mode"] == "chat"]
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return {"data": data, "has_more": False, "first_id": first, "last_id": last}


def one_model(in_force: InForce, name: str, allowed: Allowed = EVERYTHING, *, anthropic: bool = False) -> JsonObject:
    """The answer of `GET /v1/models/{name}`.

    Raises:
        UnknownModel: no model or policy that the key may use has this name.
    """
    entry = find_model(in_force, name, allowed)
    return _anthropic(in_force, entry) if anthropic else entry


def list_models(in_force: InForce, allowed: Allowed = EVERYTHING) -> list[Entry]:
    """`auto` and its policies first, then the portfolio in its order, then its embedding models and the built-in one."""
    return list(_entries(in_force, allowed))


def find_model(in_force: InForce, name: str, allowed: Allowed = EVERYTHING) -> Entry:
    """One entry of the list.

    Raises:
        UnknownModel: no model or policy has this name.
    """
    entries = {entry["id"]: entry for entry in _entries(in_force, allowed)}
    if name not in entries:
        raise unknown_model(name, entries)
    return entries[name]


def _entries(in_force: InForce, allowed: Allowed) -> Iterator[Entry]:
    portfolio = in_force.portfolio
    base = {"object": "model", "created": int(in_force.since.timestamp()), "owned_by": "locus"}
    base |= {"simulated": True} if portfolio.simulated else {}
    chat = [model for model in portfolio.models if allowed.model(model.name)]
    pool = [model for model in chat if model.embedding is not None] or chat
    policies = [policy for policy in portfolio.policies if allowed.policy(policy)] if pool else []
    for policy in (None, *policies) if policies else ():
        name = AUTO if policy is None else f"{AUTO}:{policy}"
        description = f"chooses by the policy {policy or default_policy(portfolio, allowed)}"
        yield {"id": name, **base, "description": description, **_auto(pool)}
    for model in chat:
        yield {"id": model.name, **base, **_chat_model(model, in_force.standings[model.name])}
    for model in portfolio.embedding_models:
        if allowed.model(model.name):
            yield {"id": model.name, **base, **_embedding_model(model, model.dimensions)}
    if not allowed.model(BUILT_IN.name):
        return
    about = {"description": "the gateway's own query encoder, computed in its process"}
    yield {"id": BUILT_IN.name, **base, **about, **_embedding_model(BUILT_IN, in_force.router.encoder.text_dim)}


def _auto(pool: Sequence[Model]) -> Entry:
    """The capabilities of all models together, and the range of their prices, since the model that will answer is not known yet."""
    capabilities = frozenset[str]().union(*(model.capabilities for model in pool))
    outputs = [model.max_output_tokens for model in pool if model.max_output_tokens is not None]
    rates = [_usd_per_mtok(model.price.rates) for model in pool if model.price is not None]
    ranges = (
        {key: [min(rate[key] for rate in rates), max(rate[key] for rate in rates)] for key in rates[0]}
        if rates
        else None
    )
    return {
        **_capabilities(capabilities, pool),
        **_limits(max(model.context_window for model in pool), max(outputs, default=None)),
        "pricing": None,
        "price_range": ranges,
    }


def _chat_model(model: Model, standing: Standing) -> Entry:
    return {
        "embedding": standing.shown(model.embedding),
        "embedding_version": standing.version,
        "state": standing.state,
        "state_reason": standing.why or None,
        **_capabilities(model.capabilities, [model]),
        **_limits(model.context_window, model.max_output_tokens),
        "pricing": _pricing(model.price),
    }


def _embedding_model(model: Model, dimensions: int | None) -> Entry:
    return {
        "mode": "embedding",
        "capabilities": [],
        "architecture": _architecture(["text"], ["embeddings"]),
        "supported_parameters": ["dimensions", "encoding_format", "user"],
        **_limits(model.context_window, None),
        "dimensions": dimensions,
        "pricing": _pricing(model.price),
    }


def _capabilities(capabilities: frozenset[str], models: Iterable[Model]) -> Entry:
    deployments = [deployment for model in models for deployment in model.deployments]
    parameters = [*_ALWAYS, *(name for key, names in _PARAMETERS.items() if key in capabilities for name in names)]
    parameters += ["n"] if any(deployment.several for deployment in deployments) else []
    parameters += ["logprobs", "top_logprobs"] if any(deployment.logprobs for deployment in deployments) else []
    inputs = ["text", *(kind for capability, kind in _INPUTS.items() if capability in capabilities)]
    outputs = ["text", *(kind for capability, kind in _OUTPUTS.items() if capability in capabilities)]
    parameters += ["modalities"] if len(outputs) > 1 else []
    return {
        "mode": "chat",
        "capabilities": sorted(capabilities),
        "architecture": _architecture(inputs, outputs),
        "supported_parameters": sorted(parameters),
    }


def _architecture(inputs: list[str], outputs: list[str]) -> Entry:
    return {
        "modality": f"{'+'.join(inputs)}->{'+'.join(outputs)}",
        "input_modalities": inputs,
        "output_modalities": outputs,
    }


def _limits(context_window: int, max_output_tokens: int | None) -> Entry:
    """Token limits; the context window has both names that clients read."""
    return {
        "context_length": context_window,
        "context_window": context_window,
        "max_output_tokens": max_output_tokens,
    }


def _pricing(price: Price | None) -> Entry | None:
    """Prices in USD per million tokens, and per token as text, as OpenRouter writes them; None if the price is not known."""
    if price is None:
        return None
    rates = price.rates
    pricing: Entry = {
        **_usd_per_mtok(rates),
        "prompt": usd_per_token(rates.input),
        "completion": usd_per_token(rates.output),
        "input_cache_read": usd_per_token(rates.cached_input),
        "input_cache_write": usd_per_token(rates.cache_write),
        "internal_reasoning": usd_per_token(rates.reasoning),
    }
    tiers = [{"above_prompt_tokens": tier.above, **_usd_per_mtok(tier.rates)} for tier in price.tiers]
    return pricing | ({"tiers": tiers} if tiers else {})


def _usd_per_mtok(rates: Rates) -> dict[str, float]:
    return {f"{kind}_usd_per_mtok": getattr(rates, kind) for kind in _RATES}


def usd_per_token(usd_per_mtok: float) -> str:
    """The price of one token as text: `usd_per_token(0.15)` is "0.00000015"."""
    return f"{usd_per_mtok / 1e6:.12f}".rstrip("0").rstrip(".")


def _anthropic(in_force: InForce, entry: Entry) -> Entry:
    return {
        "type": "model",
        "id": entry["id"],
        "display_name": entry["id"],
        "created_at": in_force.since.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "lifecycle": "active",
        "max_input_tokens": entry["context_window"],
        "max_tokens": entry["max_output_tokens"],
    }
