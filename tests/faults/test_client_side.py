"""The client's side: it leaves at any time, reads slowly, or is served while the gateway stops."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from tests.faults.clients import CALM, LONG, ask, at_rest, body, in_flight, read, short, until
from tests.faults.provider import Persona, broken, numbered, play
from tests.gateway.running import Gateway, gateway, write_portfolio
from tests.gateway.upstreams import Call, Reply, ScriptedProvider, chunk, error, head, silent
from tests.ports import free_port

pytestmark = pytest.mark.anyio
TEXT = numbered(200)
ROOT = Path(__file__).parents[2]


class RawClient:
    """A chat request over a plain socket, which a test can read from as it likes and drop at any moment."""

    def __init__(self, run: Gateway, value: dict[str, Any], receive_buffer: int | None = None) -> None:
        self._address = ("127.0.0.1", int(run.url.rsplit(":", 1)[1]))
        data = orjson.dumps(value)
        self._request = (
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%b" % (len(data), data)
        )
        self._receive_buffer = receive_buffer

    async def __aenter__(self) -> "RawClient":
        self.socket = socket.socket()
        if self._receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        self.socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, self._address)
        await loop.sock_sendall(self.socket, self._request)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.leave()

    async def read_until(self, mark: bytes) -> bytes:
        got = b""
        while mark not in got:
            data = await asyncio.get_running_loop().sock_recv(self.socket, 65_536)
            assert data, got
            got += data
        return got

    def leave(self) -> None:
        self.socket.close()


@pytest.mark.parametrize(
    ("phase", "streaming", "upstream"),
    [
        ("waiting", True, silent()),
        ("waiting", False, silent()),
        ("waiting for the rest", False, broken("in the body", "stall")),
        ("waiting for content", True, broken("between events", "stall")),
        ("streaming", True, Persona(TEXT, cut_after=20, ending="stall", usage="each")),
        ("streaming", True, Persona(TEXT, pause_s=0.02, usage="each")),
        ("between retries", True, error(429, headers={"retry-after": "5"})),
        ("between retries", False, error(429, headers={"retry-after": "5"})),
    ],
)
async def test_a_client_that_leaves_ends_the_call(tmp_path: Path, phase: str, streaming: bool, upstream: Reply) -> None:
    long = {"timeout": 30, "first_token_timeout": 30, "idle_timeout": 30}
    async with ScriptedProvider(upstream) as up:
        async with gateway(tmp_path, [short("llama-8b", up.base_url, deployment=long)], gateway=CALM) as run:
            async with RawClient(run, body(stream=streaming)) as client:
                await until(lambda: up.calls)
                if phase == "streaming":
                    await client.read_until(b" w9")
                client.leave()
                left = asyncio.get_running_loop().time()
                await until(lambda: all(call.ended_at for call in up.calls) and not in_flight(run))
                assert asyncio.get_running_loop().time() - left < 4  # no longer wait is over by then
            if phase != "between retries":
                assert up.calls[0].ended == "closed by the caller"
            await until(lambda: at_rest(run))
            (record,) = await run.records()
            assert record["error"] == "client_disconnected"
            if phase == "streaming":
                assert record["served"] == "llama-8b"
                assert 9 <= record["completion_tokens"] <= 200
                assert record["cost_nusd"] > 0
            assert len(up.calls) == 1
            up.default = Persona(TEXT)  # and nothing of it is held against the deployment
            (await ask(run, stream=True)).complete(TEXT, streaming=True)


async def test_tokens_are_recorded_where_the_provider_reports_none_before_the_end(tmp_path: Path) -> None:
    """The client leaves before the usage chunk: what it got is counted all the same."""
    upstream = Persona(TEXT, cut_after=30, ending="stall")
    async with ScriptedProvider(upstream) as up:
        model = short("llama-8b", up.base_url, deployment={"idle_timeout": 30})
        async with gateway(tmp_path, [model], gateway=CALM) as run:
            async with RawClient(run, body(stream=True)) as client:
                await client.read_until(b" w29")
            await until(lambda: not in_flight(run))
            await until(lambda: at_rest(run))
            (record,) = await run.records()
            assert record["error"] == "client_disconnected"
            assert 10 <= record["completion_tokens"] <= 90  # an estimate


@pytest.mark.parametrize("taking_over", ["silent", "streaming"])
async def test_a_client_that_leaves_during_a_takeover(tmp_path: Path, taking_over: str) -> None:
    second: Reply = silent() if taking_over == "silent" else Persona(TEXT, pause_s=0.02)
    long = {"first_token_timeout": 30, "idle_timeout": 30}
    async with ScriptedProvider(Persona(TEXT, cut_after=10)) as a, ScriptedProvider(second) as b:
        models = [short("llama-8b", a.base_url), short("llama-70b", b.base_url, deployment=long)]
        async with gateway(tmp_path, models, gateway=CALM) as run:
            async with RawClient(run, body(stream=True)) as client:
                await client.read_until(b" w9" if taking_over == "silent" else b" w14")
                await until(lambda: b.calls)
            await until(lambda: b.calls[0].closed.is_set() and not in_flight(run))
            await until(lambda: at_rest(run))
            (record,) = await run.records()
            assert record["error"] == "client_disconnected"
            assert len(b.calls) == 1


async def test_a_slow_reader_holds_the_provider_back(tmp_path: Path) -> None:
    """Memory stays bounded: the provider cannot write much more than the client has taken."""
    large = 64_000
    written = 0

    async def flood(call: Call, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(head(200, None, "text/event-stream"))
        for i in range(2_000):
            part = chunk("m", {"content": f" w{i}" + "x" * large})
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            written += len(part)
        part = chunk("m", {}, "stop")
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(part), part))

    async with ScriptedProvider(flood) as up:
        model = short("llama-8b", up.base_url, deployment={"idle_timeout": 0.3})
        async with gateway(tmp_path, [model], gateway=CALM) as run:
            async with RawClient(run, body(stream=True), receive_buffer=20_000) as client:
                await client.read_until(b" w0")
                before = -1
                while written != before:  # until nothing more is taken
                    before = written
                    await asyncio.sleep(0.2)
                assert written < 20_000_000  # of 128 MB: the buffers of four sockets, and one read of the gateway's
                got = b""
                while b"w1999" not in got:  # the client's own pace is no silence of the provider
                    data = await asyncio.get_running_loop().sock_recv(client.socket, 1 << 20)
                    assert data, got[-300:]
                    got = got[-100:] + data
            assert len(up.calls) == 1


async def test_a_refused_request_id_of_the_client_is_replaced(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona("fine")) as up:
        async with gateway(tmp_path, [short("llama-8b", up.base_url)]) as run:
            for given, kept in (("abc-1", True), ("x" * 300, False), ("a b", False)):
                response = await run.http.post(
                    "/v1/chat/completions", json=body(stream=True), headers={"x-request-id": given}
                )
                read(response).complete("fine", streaming=True)
                assert (response.headers["x-request-id"] == given) is kept


# A graceful stop, by the real process


class Process:
    """`locus serve` over a portfolio, on a free port."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> "Process":
        self.port = free_port()
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", "from gateway.commands.main import main; main()", "serve"),
            *("--config", str(self._path), "--port", str(self.port)),
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self.url = f"http://127.0.0.1:{self.port}"
        async with asyncio.timeout(60), httpx.AsyncClient(timeout=60) as http:
            while True:
                with suppress(httpx.HTTPError):
                    if (await http.get(f"{self.url}/health/live")).status_code == 200:
                        return self
                assert self.process.returncode is None, await self.process.stderr.read()  # type: ignore[union-attr]
                await asyncio.sleep(0.05)

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    async def __aexit__(self, *exc: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()


async def test_a_stop_lets_accepted_requests_finish(tmp_path: Path) -> None:
    from gateway.commands.show_log import read_last

    go = asyncio.Event()
    async with ScriptedProvider(Persona(TEXT, gate=go.wait, gate_after=5)) as up:

        async def whole(call: Call, writer: asyncio.StreamWriter) -> Any:
            await go.wait()
            return await Persona(TEXT)(call, writer)

        up.replies.append(whole)
        path = write_portfolio(tmp_path, [short("llama-8b", up.base_url, deployment=LONG)])
        async with Process(path) as served, httpx.AsyncClient(base_url=served.url, timeout=60) as http:
            first = asyncio.create_task(http.post("/v1/chat/completions", json=body(stream=False)))
            await until(lambda: len(up.calls) == 1)
            others = [asyncio.create_task(http.post("/v1/chat/completions", json=body(stream=True))) for _ in range(5)]
            await until(lambda: len(up.calls) == 6)
            served.terminate()
            async with asyncio.timeout(60):
                while True:  # no new client is accepted
                    try:
                        async with httpx.AsyncClient(base_url=served.url, timeout=1) as late:
                            response = await late.get("/health/ready")
                    except httpx.ConnectError:
                        break
                    assert response.status_code in (200, 503)
                    await asyncio.sleep(0.02)
            assert not first.done()
            go.set()
            read(await first).complete(TEXT, streaming=False)
            for other in others:
                read(await other).complete(TEXT, streaming=True)
            async with asyncio.timeout(60):
                assert await served.process.wait() == 0
        records = read_last(tmp_path / "record.db", 10)
        assert len(records) == 6
        assert {(record["status"], record["error"]) for record in records} == {(200, None)}


async def test_a_stop_has_a_limit(tmp_path: Path) -> None:
    """A request that is not done by then gets no false ending, and is in the record."""
    from gateway.commands.show_log import read_last

    async with ScriptedProvider(play([chunk("m", {"content": "half"})], "stall")) as up:
        path = write_portfolio(
            tmp_path, [short("llama-8b", up.base_url, deployment=LONG)], gateway={"shutdown_grace": 0.5}
        )
        async with Process(path) as served, httpx.AsyncClient(base_url=served.url, timeout=60) as http:
            text = ""
            with suppress(httpx.HTTPError):
                async with http.stream("POST", "/v1/chat/completions", json=body(stream=True)) as response:
                    async for part in response.aiter_text():
                        text += part
                        served.terminate()
            assert "half" in text
            assert "[DONE]" not in text
            async with asyncio.timeout(60):
                assert await served.process.wait() == 0
            await until(lambda: up.calls[0].ended == "closed by the caller")
        (record,) = read_last(tmp_path / "record.db", 10)
        assert record["error"] is not None
