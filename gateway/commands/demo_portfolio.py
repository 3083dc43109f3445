"""The portfolio of the demo, and a check whether any model of a real portfolio can be called."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import gateway.demo
from gateway.config.access import Access, AccessKey, Team
from gateway.config.portfolio import Deployment, Model, Portfolio
from gateway.config.price import Price
from gateway.config.providers import is_local
from gateway.demo.skills import MODELS, SimulatedModel
from gateway.upstream.reachability import address_of, connection_error

SPACE = Path(gateway.demo.__file__).parent / "space.safetensors"
CONTEXT_WINDOW = 200_000  # agents send long prompts, and ask for 32,000 tokens whatever the model


def demo_portfolio(base_urls: Mapping[str, str], real: Portfolio) -> Portfolio:
    """Returns the simulated models as a portfolio, with the settings and keys of the real one, but files of its own.

    Its keys have no limits.

    Args:
        base_urls: the base URL of each model.
    """
    return Portfolio(
        path=None,
        models=tuple(
            Model(
                name=model.name,
                deployments=(_deployment(model, base_urls[model.name]),),
                embedding=model.name,
                price=_price(model),
                context_window=CONTEXT_WINDOW,
                capabilities=frozenset({"tools"}),
            )
            for model in MODELS
        ),
        spaces=(SPACE,),
        settings=real.settings.of_demo(),
        access=Access(
            tuple(AccessKey(key.identity, secret=key.secret) for key in real.access.keys),
            tuple(Team(team.name) for team in real.access.teams),
        ),
        simulated=True,
    )


def _deployment(model: SimulatedModel, base_url: str) -> Deployment:
    name, price = model.name, _price(model)
    return Deployment(
        f"{name}/0",
        name,
        "direct",
        name,
        api_base=base_url,
        several=False,
        logprobs=False,
        price=price,
        provider="simulated",
    )


def _price(model: SimulatedModel) -> Price:
    usd_in, usd_out = model.usd_per_mtok
    return Price.of({"input": usd_in, "output": usd_out})


async def reachable(portfolio: Portfolio) -> bool:
    """Return True if any model of the portfolio can probably be called; no model is called to find out.

    A deployment on another machine counts if its key is set or if it needs none. A deployment on this machine counts if a
    server listens at its address.
    """
    usable = [d for m in portfolio.models for d in m.deployments if d.missing_key is None]
    if any(d.api_base is None or not is_local(d.api_base) for d in usable):
        return True
    addresses = {address_of(d.api_base) for d in usable if d.api_base is not None}
    return None in await asyncio.gather(*map(connection_error, addresses))
