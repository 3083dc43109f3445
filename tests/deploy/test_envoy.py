"""Envoy with deploy/envoy.yaml in front of two gateways: a killed gateway loses only the requests that it was answering."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploy.tools import DEPLOY, run, tool
from tests.gateway.running import entry, write_portfolio
from tests.gateway.upstreams import Call, ScriptedProvider, events, head
from tests.ports import free_port

pytestmark = pytest.mark.anyio
CONFIG = DEPLOY / "envoy.yaml"
KEY = "sk-gate-of-the-test"
BODY = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
CLIENTS = 20
NOTICED_S = 0.1  # by then Envoy has read the end of its connections, even on a busy machine


def test_envoy_accepts_the_file() -> None:
    done = run("envoy", "--mode", "validate", "-c", CONFIG)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower()


def adapted(ports: list[int], listen: int) -> dict[str, Any]:
    """The file, with other addresses."""
    config: dict[str, Any] = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["admin"]["address"]["socket_address"]["port_value"] = free_port()
    resources = config["static_resources"]
    resources["listeners"][0]["address"]["socket_address"] = {"address": "127.0.0.1", "port_value": listen}
    cluster = resources["clusters"][0]
    del cluster["cluster_type"]
    cluster["type"] = "STATIC"
    cluster["load_assignment"]["endpoints"][0]["lb_endpoints"] = [
        {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in ports
    ]
    return config


@asynccontextmanager
async def process(*command: str, **environment: str) -> AsyncIterator[Process]:
    started = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdout=DEVNULL, stderr=DEVNULL
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def ready(url: str) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        for _ in range(300):
            try:
                if (await http.get(f"{url}/health/ready")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
    raise AssertionError(f"{url} is not ready")


@asynccontextmanager
async def behind_envoy(folder: Path, provider: ScriptedProvider) -> AsyncIterator[tuple[str, list[Process]]]:
    """Two gateways behind Envoy, whose address it gives."""
    envoy = tool("envoy")
    portfolio = write_portfolio(
        folder, [entry("llama-8b", provider.base_url)], gateway={"record": None, "keys": ["os.environ/KEY"]}
    )
    ports, listen = [free_port(), free_port()], free_port()
    async with AsyncExitStack() as stack:
        serve = (sys.executable, "-m", "gateway.commands.main", "serve", "--config", str(portfolio), "--port")
        gateways = [await stack.enter_async_context(process(*serve, str(port), KEY=KEY)) for port in ports]
        await asyncio.gather(*(ready(f"http://127.0.0.1:{port}") for port in ports))
        config = folder / "envoy.yaml"
        config.write_text(yaml.safe_dump(adapted(ports, listen)), encoding="utf-8")
        await stack.enter_async_context(
            process(envoy, "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error")
        )
        url = f"http://127.0.0.1:{listen}"
        await ready(url)
        yield url, gateways


async def test_a_killed_gateway_loses_only_its_requests_in_flight(tmp_path: Path) -> None:
    outcomes: list[tuple[float, bool]] = []  # when a request began, and whether its answer was complete
    over = False

    async def ask(http: httpx.AsyncClient) -> None:
        while not over:
            began = time.monotonic()
            try:
                answered = await http.post("/v1/chat/completions", json=BODY)
                outcomes.append((began, answered.status_code == 200 and b"[DONE]" in answered.content))
            except httpx.TransportError:
                outcomes.append((began, False))

    async def slow(call: Call, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, None, "text/event-stream"))
        for part in events("one two three", "m"):
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(0.02)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with ScriptedProvider(slow) as provider, behind_envoy(tmp_path, provider) as (url, gateways):
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            clients = [asyncio.create_task(ask(http)) for _ in range(CLIENTS)]
            await asyncio.sleep(1)
            gateways[0].send_signal(signal.SIGKILL)
            await gateways[0].wait()
            dead_at = time.monotonic()
            await asyncio.sleep(2)
            over = True
            await asyncio.gather(*clients)
    lost = [began for began, complete in outcomes if not complete]
    assert len(lost) <= CLIENTS
    late = [began - dead_at for began in lost if began > dead_at + NOTICED_S]
    assert not late, "lost although they began after the gateway was dead"
    assert sum(began > dead_at for began, _ in outcomes) > CLIENTS


async def test_events_are_passed_on_at_once(tmp_path: Path) -> None:
    go = asyncio.Event()

    async def waiting(call: Call, writer: asyncio.StreamWriter) -> None:
        writer.write(head(200, None, "text/event-stream"))
        parts = events("one two", "m")
        for part in parts[:2]:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        await writer.drain()
        await go.wait()
        for part in parts[2:]:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async with ScriptedProvider(waiting) as provider, behind_envoy(tmp_path, provider) as (url, _):
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as http:
            async with http.stream("POST", "/v1/chat/completions", json=BODY) as answered:
                lines = answered.aiter_lines()
                while "one" not in await anext(lines):
                    pass
                go.set()
                assert [line async for line in lines if "[DONE]" in line]
