"""A stop, as its clients see it: the real `locus serve`, real signals, load while it happens.

The contract: nothing new is accepted; what was accepted is answered within the grace period, also what still waits for a
place; answers say `connection: close`; what is not done by then is told so, in a stream by an error event without [DONE];
records are written; the exit code is 0. A second signal ends the wait.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest

from gateway.commands.show_log import read_last
from tests.gateway.commands.test_demo import REPOSITORY
from tests.gateway.running import entry, write_portfolio
from tests.gateway.upstreams import Call, ScriptedProvider, answer, chunk, stream
from tests.ports import free_port

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
BODY = {"model": "llama-8b", "messages": ASK}
STREAM: dict[str, Any] = BODY | {"stream": True}


class Run:
    """One `locus serve` process."""

    def __init__(self, process: Process, port: int, folder: Path) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.log = ""
        self._folder = folder

    def stop(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60) -> int:
        """The exit code."""
        _, log = await asyncio.wait_for(self.process.communicate(), seconds)
        self.log = log.decode()
        assert self.process.returncode is not None
        return self.process.returncode

    def records(self) -> list[dict[str, Any]]:
        return read_last(self._folder / "record.db", 1000)


async def start(path: Path, port: int, *arguments: str) -> Run:
    """Starts it and waits until it answers."""
    command = ["-m", "gateway.commands.main", "serve", "--port", str(port), "--config", str(path), *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")} | {"PYTHONPATH": str(REPOSITORY)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=path.parent, env=environment, stderr=PIPE
    )
    run = Run(process, port, path.parent)
    async with httpx.AsyncClient(timeout=60) as http:
        for _ in range(1200):
            assert process.returncode is None, (await run.ended(), run.log)
            try:
                await http.get(f"{run.url}/health/live", headers={"connection": "close"})
                return run
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    raise AssertionError("the gateway does not answer")


@asynccontextmanager
async def gateway(folder: Path, up: ScriptedProvider, **settings: Any) -> AsyncIterator[Run]:
    run = await start(write_portfolio(folder, [entry("llama-8b", up.base_url)], gateway=settings), free_port())
    try:
        yield run
    finally:
        if run.process.returncode is None:
            run.process.kill()
            await run.process.wait()


async def calls(up: ScriptedProvider, number: int) -> None:
    async with asyncio.timeout(60):
        while len(up.calls) < number:  # noqa: ASYNC110 - the provider has no event for it
            await asyncio.sleep(0.01)


def slow(seconds: float) -> Any:
    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        await asyncio.sleep(seconds)
        return await answer("late but whole")(call, writer)

    return send


def words(number: int, pause_s: float) -> Any:
    parts = [chunk("m", {"content": f"w{i} "}) for i in range(number)]
    return stream([*parts, chunk("m", {}, "stop"), b"data: [DONE]\n\n"], pause_s=pause_s)


async def test_what_is_under_way_or_waits_is_answered(tmp_path: Path) -> None:
    async with ScriptedProvider(slow(0.6)) as up, gateway(tmp_path, up, max_requests=2) as run:
        async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
            assert (await http.get("/v1/models")).headers.get("connection") != "close"
            up.replies.append(words(8, 0.1))
            tasks = [asyncio.create_task(http.post("/v1/chat/completions", json=STREAM))]
            await calls(up, 1)
            tasks += [asyncio.create_task(http.post("/v1/chat/completions", json=BODY)) for _ in range(3)]
            await calls(up, 2)
            while "waiting 2" not in (await http.get("/metrics")).text:
                pass
            run.stop()
            streamed, *whole = await asyncio.gather(*tasks)
            assert streamed.text.endswith("data: [DONE]\n\n")
            assert streamed.text.count('"content"') == 8
            for response in whole:
                assert response.json()["choices"][0]["message"]["content"] == "late but whole"
                assert response.headers["connection"] == "close"
            assert await run.ended() == 0
            assert [r["status"] for r in run.records()] == [200] * 4
            assert "Traceback" not in run.log


async def test_what_is_not_done_within_the_grace_period_is_told_so(tmp_path: Path) -> None:
    async with ScriptedProvider(words(200, 0.05)) as up, gateway(tmp_path, up, shutdown_grace=0.5) as run:
        async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
            streamed = asyncio.create_task(http.post("/v1/chat/completions", json=STREAM))
            await calls(up, 1)
            up.default = slow(30)
            whole = asyncio.create_task(http.post("/v1/chat/completions", json=BODY))
            await calls(up, 2)
            run.stop()
            events = [line[6:] for line in (await streamed).text.splitlines() if line.startswith("data: ")]
            assert len(events) > 2
            assert orjson.loads(events[-1])["error"]["code"] == "gateway_stopped"  # and so no [DONE]
            response = await whole
            assert (response.status_code, response.json()["error"]["code"]) == (503, "gateway_stopped")
            assert response.headers["x-request-id"]
            assert await run.ended() == 0
        assert [c.closed.is_set() for c in up.calls] == [True, True]
        assert [r["error"] for r in run.records()] == ["gateway_stopped"] * 2
        assert "Traceback" not in run.log
        assert "Exception" not in run.log


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_wait(tmp_path: Path, first: int) -> None:
    async with ScriptedProvider(words(1000, 0.05)) as up, gateway(tmp_path, up, shutdown_grace=60) as run:
        async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
            streamed = asyncio.create_task(http.post("/v1/chat/completions", json=STREAM))
            await calls(up, 1)
            run.stop(first)
            await asyncio.sleep(0.5)
            assert run.process.returncode is None
            run.stop(signal.SIGTERM)
            assert "gateway_stopped" in (await streamed).text
            assert await run.ended(30) == 0  # before the end of its grace period
        assert [r["error"] for r in run.records()] == ["gateway_stopped"]


async def test_new_connections_are_refused_and_idle_ones_closed(tmp_path: Path) -> None:
    async with ScriptedProvider(slow(1.5)) as up, gateway(tmp_path, up) as run:
        idle, writer = await asyncio.open_connection("127.0.0.1", run.port)
        late, late_writer = await asyncio.open_connection("127.0.0.1", run.port)
        async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
            task = asyncio.create_task(http.post("/v1/chat/completions", json=BODY))
            await calls(up, 1)
            run.stop()
            with contextlib.suppress(ConnectionRefusedError):
                while True:
                    with contextlib.suppress(
                        ConnectionResetError
                    ):  # one that the listener still took, in its last moment
                        (await asyncio.open_connection("127.0.0.1", run.port))[1].close()
            late_writer.write(b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n")  # accepted before, so it is still served
            answered = await asyncio.wait_for(late.read(), 60)
            assert answered.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answered
            assert await asyncio.wait_for(idle.read(), 60) == b""
            assert (await task).status_code == 200
            assert await run.ended() == 0
        writer.close()
        late_writer.close()


async def test_a_stop_before_the_start_is_a_stop(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)])
        command = ["-m", "gateway.commands.main", "serve", "--port", str(free_port()), "--config", str(path)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, stderr=PIPE
        )
        await asyncio.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        _, log = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode in (0, -signal.SIGTERM)  # the latter before Python could take notice
        assert b"Traceback" not in log


async def test_a_restart_under_load_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    """Clients of both kinds ask all the time. One process is stopped, the next binds its port while the old one drains.

    A request may meet a closed door in between (connection refused); every other one gets its whole answer.
    """
    outcomes: list[str] = []
    done = asyncio.Event()
    async with ScriptedProvider() as up, gateway(tmp_path, up, shutdown_grace=10) as run:
        up.default = varied

        async def client(i: int) -> None:
            async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="none", max_retries=0, timeout=60) as ask:
                while not done.is_set():
                    try:
                        outcomes.append(await one(ask, streaming=i % 2 == 0))
                    except openai.APIConnectionError as exc:
                        cause = type(exc.__cause__).__name__
                        outcomes.append("refused" if cause == "ConnectError" else cause)
                        await asyncio.sleep(0.02)

        clients = [asyncio.create_task(client(i)) for i in range(16)]
        await calls(up, 100)
        run.stop()
        while True:  # as soon as the old process has let go of the port, which is long before it ends
            try:
                socket.create_server(("127.0.0.1", run.port)).close()
                break
            except OSError:
                await asyncio.sleep(0.01)
        assert run.process.returncode is None
        following = await start(tmp_path / "portfolio.yaml", run.port)
        try:
            assert await run.ended() == 0
            before = len(up.calls)
            await calls(up, before + 50)
            done.set()
            await asyncio.gather(*clients)
        finally:
            following.stop()
            assert await following.ended() == 0
    assert set(outcomes) <= {"whole", "refused"}, set(outcomes)
    whole = outcomes.count("whole")
    assert whole > 150
    recorded = [r for r in run.records() if r["status"] == 200 and r["error"] is None]
    assert len(recorded) == min(whole, 1000)
    assert "Traceback" not in run.log + following.log


async def varied(call: Call, writer: asyncio.StreamWriter) -> Any:
    await asyncio.sleep(0.02)
    if call.body.get("stream"):
        return await words(5, 0.01)(call, writer)
    return await answer("fine")(call, writer)


async def one(client: openai.AsyncOpenAI, *, streaming: bool) -> str:
    """Asks once: "whole", or what was wrong with the answer."""
    if not streaming:
        completed = await client.chat.completions.create(model="llama-8b", messages=ASK)
        return "whole" if completed.choices[0].message.content == "fine" else repr(completed)
    text, finish = "", None
    async for part in await client.chat.completions.create(model="llama-8b", messages=ASK, stream=True):
        text += part.choices[0].delta.content or ""
        finish = part.choices[0].finish_reason or finish
    return "whole" if (text, finish) == ("w0 w1 w2 w3 w4 ", "stop") else f"{text!r} {finish}"
