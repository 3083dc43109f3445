"""A gateway on loopback for a test: a portfolio file, real sockets, the real application."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import openai
import yaml
from starlette.types import ASGIApp

from gateway.api.responses.store import ResponseStore
from gateway.config.access import Access
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.console.app import with_console
from gateway.core.client_limits import LIMITS, ClientLimits
from gateway.core.vocabulary import Clock
from gateway.http.app import create_app
from gateway.http.dialects import dialects_by_path
from gateway.http.service import Service, open_service
from gateway.keys.authentication import Authentication
from gateway.server.server import Server
from gateway.upstream.proxy import Proxies
from router.model.serving import Router

DIALECTS = dialects_by_path(ResponseStore(None))
NO_KEYS = Authentication(Access)

# Three models of the shipped space, and their prices; the first two are near each other.
EMBEDDINGS = {
    "llama-8b": "meta-llama/Llama-3.1-8B-Instruct",
    "llama-70b": "meta-llama/Llama-3.1-70B-Instruct",
    "mistral-7b": "mistralai/Mistral-7B-Instruct-v0.1",
}


@dataclass
class Gateway:
    """A running gateway and the clients to talk to it."""

    url: str
    service: Service
    http: httpx.AsyncClient
    client: openai.AsyncOpenAI
    server: Server

    async def records(self) -> list[dict[str, Any]]:
        """What has been recorded so far, oldest first."""
        from gateway.commands.show_log import read_last

        path = self.service.in_force.portfolio.settings.record
        assert path is not None
        for _ in range(1200):
            if path.exists() and not self.service.metrics.in_flight and not self.service.recorder.pending:
                break
            await asyncio.sleep(0.05)
        return await asyncio.to_thread(read_last, path, 100)


async def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a condition that another task brings about."""
    for _ in range(int(seconds * 100)):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"not true within {seconds} s")


async def leaving(asked: Coroutine[Any, Any, Any], once: Callable[[], bool]) -> None:
    """A client that asks, and goes away without its answer as soon as a condition holds."""
    task = asyncio.create_task(asked)
    try:
        await eventually(lambda: once() or task.done())
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.wait([task])


def entry(name: str, *urls: str, **more: Any) -> dict[str, Any]:
    """A model of the portfolio file, deployed at each URL under the name `up-<name>`."""
    deployments = [{"model": f"openai/up-{name}", "api_base": url, "api_key": "sk-up"} for url in urls]
    base = {"name": name, "embedding": EMBEDDINGS.get(name), "deployments": deployments, "context_window": 8192}
    return base | {"price": {"input": 1.0, "output": 1.0}, "capabilities": []} | more


def write_portfolio(folder: Path, models: list[dict[str, Any]], **more: Any) -> Path:
    path = folder / "portfolio.yaml"
    gateway = {"record": str(folder / "record.db"), "retries": 2} | more.pop("gateway", {})
    path.write_text(yaml.safe_dump({"models": models, "gateway": gateway} | more, allow_unicode=True))
    return path


@asynccontextmanager
async def serving(
    app: ASGIApp, limits: ClientLimits = LIMITS, grace_s: float = 30.0
) -> AsyncIterator[tuple[Server, str]]:
    """Serves an application as `locus serve` does, on a free port, until the block ends; gives the server and its URL."""
    # asyncio's own loop sends at once only on a socket that says it is TCP; uvloop, which `locus serve` has, always does.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(2048)
    server = Server(app, lambda: grace_s, limits)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield server, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.ask_to_stop()
        await task


@cache
def shipped_router() -> Router:
    """The shipped router; loading takes 0.1 s, most of what a gateway needs to start."""
    return Router.load()


@asynccontextmanager
async def running(
    portfolio: Portfolio,
    key: str = "none",
    limits: ClientLimits = LIMITS,
    proxies: Proxies | None = None,
    clock: Clock = time.monotonic,
    environment: Mapping[str, str] | None = None,
    replica: str | None = None,
) -> AsyncIterator[Gateway]:
    """Serves the portfolio on a free port until the block ends."""
    router = None if portfolio.checkpoint is not None or portfolio.spaces else shipped_router()
    more: dict[str, Any] = {"proxies": proxies, "environment": environment, "replica": replica, "router": router}
    async with open_service(portfolio, clock, **more) as service:
        if (litellm := service.failover.upstreams.prepare(portfolio)) is not None:
            await asyncio.wrap_future(litellm)  # so that no timeout of the test includes it
        app = with_console(service, create_app(service))
        async with serving(app, limits, portfolio.settings.shutdown_grace) as (server, url):
            client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0, timeout=60)
            async with httpx.AsyncClient(base_url=url, timeout=60) as http, client:
                yield Gateway(url, service, http, client, server)


@asynccontextmanager
async def gateway(folder: Path, models: list[dict[str, Any]], **more: Any) -> AsyncIterator[Gateway]:
    """A gateway over a portfolio file made of `models`; it lives by `clock` and in `environment`."""
    clock, environment = more.pop("clock", time.monotonic), more.pop("environment", {})
    portfolio = load_portfolio(write_portfolio(folder, models, **more), environment)
    async with running(portfolio, clock=clock, environment=environment) as run:
        yield run
