"""`/v1/models`: what can be asked for, with context window, prices and capabilities."""

from typing import Any

from gateway.errors import UnknownModel
from gateway.portfolio import Model
from gateway.routing import AUTO
from gateway.service import InForce


def list_models(in_force: InForce) -> list[dict[str, Any]]:
    """`auto` and its policies first, then the portfolio in its order."""
    portfolio = in_force.portfolio
    default = portfolio.default_policy
    created = int(in_force.since.timestamp())
    automatic = [_auto(AUTO, f"chooses by the policy {default}", created)]
    automatic += [_auto(f"{AUTO}:{name}", f"chooses by the policy {name}", created) for name in portfolio.policies]
    return automatic + [_model(model, created, simulated=portfolio.simulated) for model in portfolio.models]


def find_model(in_force: InForce, name: str) -> dict[str, Any]:
    """One entry of the list.

    Raises:
        UnknownModel: no model or policy of that name.
    """
    for entry in list_models(in_force):
        if entry["id"] == name:
            return entry
    raise UnknownModel(f"The model `{name}` is not in the portfolio.", param="model")


def _auto(name: str, description: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "locus", "description": description}


def _model(model: Model, created: int, *, simulated: bool) -> dict[str, Any]:
    entry = {
        "id": model.name,
        "object": "model",
        "created": created,
        "owned_by": "locus",
        "embedding": model.embedding,
        "context_window": model.context_window,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": sorted(model.capabilities),
        "pricing": {
            "input_usd_per_mtok": model.price.usd_per_mtok_in,
            "output_usd_per_mtok": model.price.usd_per_mtok_out,
        },
    }
    return entry | {"simulated": True} if simulated else entry
