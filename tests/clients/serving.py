"""The gateway that all client tests talk to, in front of one capable provider."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.provider import provider
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider

EMBEDDING_MODEL = "embed"
CAPABLE = {"capabilities": ["tools", "vision", "json_schema", "audio"], "context_window": 200_000}


@dataclass(frozen=True)
class ServedGateway:
    """Where the gateway is, and what its provider has seen.

    Attributes:
        root: the gateway's address without `/v1`.
    """

    root: str
    provider: ScriptedProvider

    @property
    def url(self) -> str:
        return f"{self.root}/v1"


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[ServedGateway]:
    """A gateway over two models; agents need tools and long prompts, so both are capable."""
    async with provider() as up:
        models = [entry(name, up.base_url, **CAPABLE) for name in ("llama-8b", "llama-70b")]
        models[0]["deployments"][0]["apis"] = ["completions"]  # for `suffix`
        deployment = {"model": "openai/up-embed", "api_base": up.base_url, "api_key": "sk-up"}
        vectors = {"name": EMBEDDING_MODEL, "deployments": [deployment], "price": {"input": 0.1}}
        async with gateway(folder, models, embedding_models=[vectors]) as run:
            yield ServedGateway(run.url, up)
