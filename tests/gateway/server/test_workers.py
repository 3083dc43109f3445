"""`locus serve --workers 2`, the real processes: one gateway to clients, operators and process managers."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.commands.show_log import read_last
from tests.gateway.commands.test_demo import REPOSITORY
from tests.gateway.running import entry, write_portfolio
from tests.gateway.server.test_stop import BODY, STREAM, one, slow, varied, words
from tests.gateway.upstreams import Call, ScriptedProvider, answer
from tests.ports import free_port

pytestmark = pytest.mark.anyio
AVAILABLE = ("locus_deployment_available", ("llama-8b/0", "llama-8b"))


class Run:
    """One `locus serve --workers 2`: the supervisor's process and what all of them log."""

    def __init__(self, process: "subprocess.Popen[bytes]", url: str, folder: Path, http: httpx.AsyncClient) -> None:
        self.process = process
        self.url = url
        self._folder = folder
        self._http = http  # opens a connection for each request, which any worker may get

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def pids(self) -> list[int]:
        """The newest process of each worker."""
        pids = {number: int(pid) for number, pid in re.findall(r"worker (\d+) is process (\d+)", self.log)}
        return [pids[number] for number in sorted(pids)]

    def alive(self) -> list[int]:
        """Workers that have not ended."""
        every = [int(pid) for pid in re.findall(r"is process (\d+)", self.log)]
        return [pid for pid in every if _exists(pid)]

    async def ended(self, seconds: float = 60) -> int:
        await until(lambda: self.process.poll() is not None, seconds)
        return self.process.returncode

    def records(self) -> list[dict[str, Any]]:
        path = self._folder / "record.db"
        return read_last(path, 10_000) if path.exists() else []

    async def ask(self, body: dict[str, Any] = BODY) -> httpx.Response:
        return await self._http.post("/v1/chat/completions", json=body)

    async def ready(self) -> dict[str, Any]:
        return (await self._http.get("/health/ready")).json()

    async def workers(self, holds: Callable[[dict[str, Any]], bool] = lambda report: True) -> list[dict[str, Any]]:
        """What each worker says of itself, as soon as that `holds` for both."""
        reports: list[dict[str, Any]] = []
        for _ in range(600):
            reports = [await self._without(pid) for pid in reversed(self.pids())]
            if all(holds(report) for report in reports):
                return reports
            await asyncio.sleep(0.05)
        raise AssertionError(f"not as they should be: {reports}\n{self.log}")

    async def _without(self, other: int) -> dict[str, Any]:
        """By chance one worker could accept every connection, so the other is held up."""
        os.kill(other, signal.SIGSTOP)
        try:
            return await self.ready()
        finally:
            os.kill(other, signal.SIGCONT)

    async def metrics(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """By name and label values."""
        text = (await self._http.get("/metrics")).text
        return {
            (sample.name, tuple(sample.labels[k] for k in sorted(sample.labels))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    async def requests(self) -> float:
        """How many were counted."""
        return sum(value for (name, _), value in (await self.metrics()).items() if name == "locus_requests_total")


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - other processes have no event for it
            await asyncio.sleep(0.02)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _popen(command: list[str], environment: dict[str, str], folder: Path) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stderr=log, start_new_session=True)


@asynccontextmanager
async def launched(path: Path, *options: str) -> AsyncIterator[Run]:
    port = free_port()
    command = [
        "-m",
        "gateway.commands.main",
        "serve",
        "--workers",
        "2",
        "--port",
        str(port),
        "--config",
        str(path),
        *options,
    ]
    environment = {k: v for k, v in os.environ.items() if not k.endswith("_API_KEY")} | {"PYTHONPATH": str(REPOSITORY)}
    url = f"http://127.0.0.1:{port}"
    process = _popen([sys.executable, *command], environment, path.parent)
    http = httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
    run = Run(process, url, path.parent, http)
    try:
        async with http:
            yield run
    finally:
        if process.poll() is None:
            process.kill()  # the workers see it, and stop
            process.wait()
        await until(lambda: not run.alive())


@asynccontextmanager
async def gateway(folder: Path, up: ScriptedProvider, **settings: Any) -> AsyncIterator[Run]:
    async with launched(write_portfolio(folder, [entry("llama-8b", up.base_url)], gateway=settings)) as run:
        await until(lambda: len(run.pids()) == 2)
        await run.workers()
        yield run


async def stopped(run: Run) -> None:
    """Stops it in order, and looks whether it did."""
    run.process.send_signal(signal.SIGTERM)
    assert await run.ended() == 0
    assert run.alive() == []
    assert "Traceback" not in run.log
    assert run.log.count("try     curl") == 1


async def recorded(run: Run, number: int) -> None:
    await until(lambda: len(run.records()) == number)


async def killed(run: Run, worker: int) -> int:
    """Kills a worker, and waits until another process has its place; gives the one that was killed."""
    pid = run.pids()[worker]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: run.pids()[worker] != pid)
    return pid


async def test_counts_and_records_are_of_all_workers_also_of_one_that_was_killed(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, up) as run:
        asked = 0
        for worker, backoff in ((0, "0.25"), (0, "0.50"), (1, "0.25")):
            responses = await asyncio.gather(*(run.ask() for _ in range(40)))
            asked += 40
            assert [r.status_code for r in responses] == [200] * 40
            assert {await run.requests() for _ in range(6)} == {asked}  # from each worker alike
            metrics = await run.metrics()
            assert metrics["locus_overhead_seconds_count", ()] == asked
            assert metrics["locus_request_seconds_bucket", ("+Inf", "llama-8b")] == asked
            assert metrics[AVAILABLE] == 1
            await recorded(run, asked)
            pid = await killed(run, worker)
            line = (
                f"worker {worker + 1}, process {pid}, was killed by SIGKILL; another one takes its place in {backoff} s"
            )
            assert line in run.log
            await run.workers()
            assert {await run.requests() for _ in range(6)} == {asked}
        assert (await run.metrics())["locus_requests_in_flight", ()] == 0
        await stopped(run)
        assert len(run.records()) == asked
        assert len({r["request_id"] for r in run.records()}) == asked


async def test_gauges_are_sums_of_those_that_live(tmp_path: Path) -> None:
    async with ScriptedProvider(slow(30)) as up, gateway(tmp_path, up, shutdown_grace=0.1) as run:
        tasks = [asyncio.create_task(run.ask()) for _ in range(12)]
        await until(lambda: len(up.calls) == 12)
        assert (await run.metrics())["locus_requests_in_flight", ()] == 12
        await killed(run, 0)
        async with asyncio.timeout(60):
            while (await run.metrics())["locus_requests_in_flight", ()] != 12 - sum(task.done() for task in tasks):
                pass
        assert await run.requests() == 0
        run.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert await run.ended() == 0


async def test_sigterm_under_load_loses_nothing_that_was_accepted(tmp_path: Path) -> None:
    outcomes: list[str] = []
    async with ScriptedProvider() as up, gateway(tmp_path, up, shutdown_grace=10) as run:
        up.default = varied

        async def client(streaming: bool) -> None:
            async with openai.AsyncOpenAI(base_url=f"{run.url}/v1", api_key="none", max_retries=0, timeout=60) as ask:
                while True:
                    try:
                        outcomes.append(await one(ask, streaming=streaming))
                    except openai.APIConnectionError as exc:
                        if type(exc.__cause__).__name__ != "ConnectError":
                            raise
                        return

        clients = [asyncio.create_task(client(i % 2 == 0)) for i in range(16)]
        await until(lambda: len(up.calls) >= 150)
        run.process.send_signal(signal.SIGTERM)
        await asyncio.gather(*clients)
        assert await run.ended() == 0
        assert run.alive() == []
    assert set(outcomes) == {"whole"}
    assert len(run.records()) == len(outcomes)
    assert "Traceback" not in run.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_to_all_processes_is_one_signal_and_a_second_ends_the_wait(tmp_path: Path, number: int) -> None:
    """A terminal's Ctrl-C reaches the whole group, and so does systemd's SIGTERM."""
    async with ScriptedProvider(words(12, 0.1)) as up, gateway(tmp_path, up, shutdown_grace=60) as run:
        streams = [asyncio.create_task(run.ask(STREAM)) for _ in range(6)]
        await until(lambda: len(up.calls) == 6)
        up.default = words(1000, 0.1)
        endless = [asyncio.create_task(run.ask(STREAM)) for _ in range(6)]
        await until(lambda: len(up.calls) == 12)
        os.killpg(run.process.pid, number)
        for response in await asyncio.gather(*streams):
            assert response.text.endswith("data: [DONE]\n\n")
        assert run.process.poll() is None
        os.killpg(run.process.pid, number)
        for response in await asyncio.gather(*endless):
            assert "gateway_stopped" in response.text
        assert await run.ended(30) == 0  # before the end of its grace period
        assert run.alive() == []


async def test_workers_do_not_outlive_their_supervisor(tmp_path: Path) -> None:
    async with ScriptedProvider(slow(1)) as up, gateway(tmp_path, up) as run:
        task = asyncio.create_task(run.ask())
        await until(lambda: len(up.calls) == 1)
        run.process.kill()
        assert (await task).status_code == 200
        await until(lambda: not run.alive())


async def test_a_worker_that_is_stopped_by_hand_is_replaced(tmp_path: Path) -> None:
    async with ScriptedProvider(slow(0.5)) as up, gateway(tmp_path, up) as run:
        tasks = [asyncio.create_task(run.ask()) for _ in range(10)]
        await until(lambda: len(up.calls) == 10)
        pid = run.pids()[1]
        os.kill(pid, signal.SIGTERM)
        assert {r.status_code for r in await asyncio.gather(*tasks)} == {200}
        await until(lambda: run.pids()[1] != pid)
        assert f"process {pid}, ended with status 0" in run.log
        await run.workers()
        assert await run.requests() == 10
        await stopped(run)


async def test_a_changed_file_reaches_all_workers_and_those_that_come_later(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, up) as run:
        first = await run.workers()
        both = [entry("llama-8b", up.base_url), entry("mistral-7b", up.base_url)]
        path = write_portfolio(tmp_path, both)
        changed = await run.workers(lambda report: "mistral-7b" in report["models"])
        before = {report["portfolio_since"] for report in first + changed}
        assert len(before) == 4

        run.process.send_signal(signal.SIGHUP)
        await run.workers(lambda report: report["portfolio_since"] not in before)

        path.write_text("models: nonsense")
        await run.workers(lambda report: report["reload_error"] is not None)
        await killed(run, 0)
        # The new one serves what the others do, and says of the file what they say.
        await run.workers(lambda report: "mistral-7b" in report["models"] and report["reload_error"] is not None)

        write_portfolio(tmp_path, both[:1])
        await run.workers(lambda report: "mistral-7b" not in report["models"] and report["reload_error"] is None)
        await stopped(run)


async def test_limits_of_the_file_hold_for_all_workers_together(tmp_path: Path) -> None:
    now = most = 0

    async def counted(call: Call, writer: asyncio.StreamWriter) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.05)
        now -= 1
        return await answer("fine")(call, writer)

    async with ScriptedProvider(counted) as up, gateway(tmp_path, up, max_requests=3, max_queued=100) as run:
        responses = await asyncio.gather(*(run.ask() for _ in range(24)))
        assert {r.status_code for r in responses} == {200}
        assert most <= 3
        await stopped(run)


async def test_no_record_is_lost_while_the_database_is_locked(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, up) as run:
        await asyncio.gather(*(run.ask() for _ in range(10)))
        await recorded(run, 10)
        with contextlib.closing(sqlite3.connect(tmp_path / "record.db", isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            for _ in range(5):
                await asyncio.gather(*(run.ask() for _ in range(20)))
                await asyncio.sleep(0.1)
            run.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.5)
            db.execute("COMMIT")
        assert await run.ended() == 0
        assert len(run.records()) == 110


async def test_what_is_wrong_with_all_workers_is_said_once(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://192.0.2.1/v1", embedding="no-provider/nothing")])
    async with launched(path) as run:
        assert await run.ended() == 1
        assert run.log.count("no-provider/nothing") == 1
        assert "Traceback" not in run.log
        assert "try     curl" not in run.log


async def test_the_simulated_provider_stays_in_one_process(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://192.0.2.1/v1")])
    async with launched(path, "--demo") as run:
        await until(lambda: "try     curl" in run.log)
        assert "warning: simulated models are served by one process" in run.log
        assert run.pids() == []
        assert (await run.ask(BODY | {"model": "auto"})).status_code == 200
        run.process.send_signal(signal.SIGTERM)
        assert await run.ended() == 0
