import asyncio
import logging
from pathlib import Path

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployments
from gateway.upstream.proxy import Proxies
from gateway.upstream.reachability import Reachability, address_of, connection_error
from tests.gateway.running import entry, eventually, write_portfolio
from tests.ports import free_port

pytestmark = pytest.mark.anyio


class Servers:
    """Servers that accept connections and close them; they count the connections."""

    def __init__(self) -> None:
        self.connections = 0

    async def start(self, port: int = 0) -> asyncio.Server:
        return await asyncio.start_server(self._close, "127.0.0.1", port)

    async def _close(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


def deployments_at(folder: Path, *urls: str) -> LiveDeployments:
    models = [entry(f"m{i}", url) for i, url in enumerate(urls)]
    return LiveDeployments(load_portfolio(write_portfolio(folder, models), {}), clock=lambda: 0.0)


def reachability(live: LiveDeployments, proxies: Proxies | None = None, interval_s: float = 60) -> Reachability:
    return Reachability(lambda: live, lambda: 0.0, proxies or Proxies({}), interval_s)


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://h/v1", ("h", 80)),
        ("https://h/v1", ("h", 443)),
        ("http://H:8000", ("h", 8000)),
        ("http://[::1]:9/v1", ("::1", 9)),
    ],
)
def test_the_address_of_a_url(url: str, address: tuple[str, int]) -> None:
    assert address_of(url) == address


async def test_an_address_accepts_connections_or_has_a_reason() -> None:
    async with await Servers().start() as server:
        port = server.sockets[0].getsockname()[1]
        assert await connection_error(("127.0.0.1", port)) is None
    assert await connection_error(("127.0.0.1", port)) == "connection refused"
    assert await connection_error(("no-such-host.invalid", 80)) == "unknown host name"
    assert await connection_error(("a" * 64 + ".example", 80)) == "unknown host name"


async def test_a_deployment_is_unavailable_until_its_server_accepts_connections(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    live = deployments_at(tmp_path, f"http://127.0.0.1:{port}/v1")
    (deployment,) = live.models["m0"].deployments
    caplog.set_level(logging.INFO, "locus.reachability")
    async with reachability(live, interval_s=0.02):
        assert deployment.unreachable == "connection refused"
        assert deployment.breaker.state(0.0) == "open"
        async with await Servers().start(port):
            await eventually(lambda: deployment.unreachable is None)
            assert deployment.breaker.state(0.0) == "closed"
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert f"127.0.0.1:{port}: connection refused; checked again every 0.02 s" in caplog.text
    assert f"127.0.0.1:{port} accepts connections now: m0/0" in caplog.text


async def test_an_address_is_checked_once_for_all_its_deployments_and_not_again(tmp_path: Path) -> None:
    servers = Servers()
    async with await servers.start() as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        live = deployments_at(tmp_path, url, url)
        check = reachability(live)
        await check.check()
        await check.check()
        await eventually(lambda: servers.connections == 1)
        (deployment,) = live.models["m1"].deployments
        for _ in range(5):
            deployment.breaker.failure(0.0, "connection")
        await check.check()  # requests could not connect
        await eventually(lambda: servers.connections == 2)


async def test_a_deployment_without_a_key_is_not_checked(tmp_path: Path) -> None:
    model = entry("m0", f"http://127.0.0.1:{free_port()}/v1")
    model["deployments"][0]["api_key"] = "os.environ/NO_SUCH_KEY"
    live = LiveDeployments(load_portfolio(write_portfolio(tmp_path, [model]), {}), clock=lambda: 0.0)
    await reachability(live).check()
    assert live.models["m0"].deployments[0].unreachable is None


async def test_the_proxy_must_accept_connections_if_there_is_one(tmp_path: Path) -> None:
    servers = Servers()
    live = deployments_at(tmp_path, "http://no-such-host.invalid/v1")
    async with await servers.start() as server:
        proxies = Proxies({"http_proxy": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"})
        await reachability(live, proxies).check()
        await eventually(lambda: servers.connections == 1)
    assert live.models["m0"].deployments[0].unreachable is None
