"""The demo's portfolio, and whether a real one can be reached at all."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from gateway.demo.skills import MODELS
from gateway.portfolio import Deployment, Model, Portfolio, Price, Settings
from gateway.providers import is_local

SPACE = Path(__file__).parent / "space.safetensors"
CONNECT_S = 0.5


def demo_portfolio(base_urls: Mapping[str, str], settings: Settings) -> Portfolio:
    """The simulated models as a portfolio, with the settings of the real one.

    Args:
        base_urls: where each model is served.
    """
    return Portfolio(
        path=None,
        models=tuple(
            Model(
                name=model.name,
                deployments=(
                    Deployment(f"{model.name}/0", model.name, "direct", model.name, api_base=base_urls[model.name]),
                ),
                embedding=model.name,
                price=Price(*model.usd_per_mtok, model.usd_per_mtok[0]),
                context_window=32_768,
            )
            for model in MODELS
        ),
        spaces=(SPACE,),
        settings=settings,
        simulated=True,
    )


async def reachable(portfolio: Portfolio) -> bool:
    """Can any model of the portfolio be called?

    A deployment elsewhere counts where its key is set, or where it needs none; one on this machine where something listens.
    """
    usable = [d for m in portfolio.models for d in m.deployments if d.missing_key is None]
    if any(d.api_base is None or not is_local(d.api_base) for d in usable):
        return True
    addresses = {address(d.api_base) for d in usable if d.api_base is not None}
    return any(await asyncio.gather(*(_listens(host, port) for host, port in addresses)))


def address(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(host, port)
    except OSError:  # TimeoutError is one
        return False
    writer.close()
    return True
