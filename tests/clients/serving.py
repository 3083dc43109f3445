"""The gateway that all client tests talk to, in front of one capable provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.provider import provider
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider

CAPABLE = {"capabilities": ["tools", "vision", "json_schema", "audio"], "context_window": 200_000}


@dataclass(frozen=True)
class Served:
    """Where the gateway is, and what its provider has seen.

    Attributes:
        root: the gateway's address without `/v1`.
        failing: the provider of the model `mistral-7b`, which only requests that name it reach first.
    """

    root: str
    provider: ScriptedProvider
    failing: ScriptedProvider

    @property
    def url(self) -> str:
        return f"{self.root}/v1"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[Served]:
    """A gateway over two models; agents need tools and long prompts, so both are capable."""
    async with provider() as up, provider() as failing:
        models = [entry(name, up.base_url, **CAPABLE) for name in ("llama-8b", "llama-70b")]
        async with gateway(folder, models) as run:
            yield Served(run.url, up, failing)
