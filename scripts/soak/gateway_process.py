"""`locus serve` as a process: what it is told, how much memory it holds, and what an operator does to it meanwhile."""

import asyncio
import contextlib
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click
import httpx
import yaml

from gateway.commands.show_log import read_last
from scripts.soak.providers import CHARACTERS
from tests.gateway.running import EMBEDDINGS
from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
LIMITS = {"timeout": 6.0, "connect_timeout": 1.0, "first_token_timeout": 1.5, "idle_timeout": 1.0}
KEYS = ("sk-soak-gateway-one", "sk-soak-gateway-two")
ADMIN_KEY = "sk-soak-admin"
WRONG_KEY = "sk-soak-gateway-unknown"
DISK_FULL = 1024  # bytes that a file may have while the disk is full
PAUSE_METRIC = re.compile(r"^locus_event_loop_longest_pause_seconds(?:\{[^}]*\})? (\S+)$", re.MULTILINE)


class Gateway:
    """One gateway, started as users start it.

    Attributes:
        memory_mb: resident memory over time of each start, all its processes together.
        answered: clients' requests that had ended by the time of each of those figures.
        pauses_s: the longest pause of the event loop that the metrics told, of each look at them.
        reloads: changed portfolio files that were put in force.
    """

    def __init__(self, folder: Path, base_urls: list[str]) -> None:
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.record = folder / "record.db"
        self.memory_mb: list[list[float]] = []
        self.answered: list[list[int]] = []
        self.pauses_s: list[float] = []
        self.exits: list[int] = []
        self.stop_s: list[float] = []
        self.reloads = 0
        self.reload_errors: list[str] = []
        self.count_answered = lambda: 0
        self._log = folder / "gateway.log"
        self._config = folder / "portfolio.yaml"
        self._portfolio = _portfolio(base_urls, self.record)
        self._write()
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self, workers: int = 1) -> None:
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from gateway.commands.main import main; main()", "serve"),
            *("--config", str(self._config), "--port", str(self.port), "--workers", str(workers)),
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1", "SOAK_KEY": "sk-soak-provider"},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        self.memory_mb.append([])
        self.answered.append([])
        self._tasks += [asyncio.create_task(self._keep_log(process.stderr)), asyncio.create_task(self._watch(process))]
        async with asyncio.timeout(60), httpx.AsyncClient() as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{self.root}/health/live")).status_code == 200:
                        return
                if process.returncode is not None:
                    raise click.ClickException(f"the gateway did not start:\n{self._log.read_text()[-2000:]}")
                await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """SIGTERM, and then its own time."""
        assert self._process is not None
        began = time.monotonic()
        self._process.terminate()
        self.exits.append(await self._process.wait())
        self.stop_s.append(time.monotonic() - began)

    async def reload(self, number: int) -> None:
        """Changes the portfolio file, or sends SIGHUP every second time, and waits until the new portfolio is in force."""
        before = await self._readiness()
        self._portfolio["policies"]["changed"] = {"cost_weight": float(number)}
        self._write()
        if number % 2:
            os.kill(self.pid, signal.SIGHUP)
        for _ in range(100):
            await asyncio.sleep(0.1)
            now = await self._readiness()
            if now.get("reload_error"):
                self.reload_errors.append(str(now["reload_error"]))
                return
            since = now.get("portfolio_since")
            if since is not None and since != before.get("portfolio_since"):
                self.reloads += 1
                return
        self.reload_errors.append("a changed portfolio file was not in force after 100 looks")

    async def look(self) -> None:
        """Reads the metrics for the longest pause of the event loop."""
        async with _operator() as http:
            with contextlib.suppress(httpx.HTTPError):
                text = (await http.get(f"{self.root}/metrics")).text
                self.pauses_s += [float(value) for value in PAUSE_METRIC.findall(text)]

    def fill_disk(self, full: bool) -> None:
        """Every write beyond the first KB of a file fails while it is full: with EFBIG, as ENOSPC would need root."""
        hard = resource.prlimit(self.pid, resource.RLIMIT_FSIZE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (DISK_FULL if full else hard, hard))

    def rows(self) -> int:
        return len(read_last(self.record, 1 << 40)) if self.record.exists() else 0

    async def aclose(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        for task in self._tasks:
            task.cancel()

    async def _readiness(self) -> dict[str, Any]:
        async with _operator() as http:
            with contextlib.suppress(httpx.HTTPError):
                told: dict[str, Any] = (await http.get(f"{self.root}/health/ready")).json()
                return told
        return {}

    def _write(self) -> None:
        fresh = self._config.with_suffix(".new")
        fresh.write_text(yaml.safe_dump(self._portfolio, allow_unicode=True))
        fresh.replace(self._config)

    async def _keep_log(self, stderr: asyncio.StreamReader) -> None:
        with self._log.open("ab") as file:
            while line := await stderr.readline():
                file.write(line)
                file.flush()

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        memory, answered = self.memory_mb[-1], self.answered[-1]
        while process.returncode is None:
            if (now := resident_mb(process.pid)) is not None:
                memory.append(now)
                answered.append(self.count_answered())
            await asyncio.sleep(1.0)


def _operator() -> httpx.AsyncClient:
    return httpx.AsyncClient(timeout=30, headers={"authorization": f"Bearer {ADMIN_KEY}"})


def _portfolio(base_urls: list[str], record: Path) -> dict[str, Any]:
    """Three models of the space, one behind litellm, one that always fails, and one for embeddings."""
    models = []
    vectors: list[dict[str, Any]] = []
    for name in dict.fromkeys(c.model for c in CHARACTERS):
        deployments: list[dict[str, Any]] = []
        for character, url in zip(CHARACTERS, base_urls, strict=True):
            if character.model == name:
                anthropic = character.kind == "messages"
                base = url.removesuffix("/v1") if anthropic else url
                model = f"{'anthropic/claude-soak' if anthropic else 'openai/' + character.name}"
                deployments.append({"model": model, "api_base": base, "api_key": "os.environ/SOAK_KEY"} | LIMITS)
        if name == "vectors":
            vectors = [{"name": name, "deployments": deployments, "price": {"input": 1.0}}]
            continue
        more = {"context_window": 8192, "price": {"input": 1.0, "output": 2.0}, "capabilities": []}
        models.append({"name": name, "deployments": deployments} | more)
        if name in EMBEDDINGS:
            models[-1]["embedding"] = EMBEDDINGS[name]
    gateway = {"record": str(record), "responses": None, "cool_down": 1.0, "max_cool_down": 5.0, "keys": list(KEYS)}
    gateway["admin_key"] = ADMIN_KEY
    policies = {"best": {"cost_weight": 0}, "balanced": {"cost_weight": 10}, "cheap": {"max_loss": 0.05}}
    return {"models": models, "embedding_models": vectors, "policies": policies, "gateway": gateway}


def resident_mb(pid: int) -> float | None:
    """Resident memory of a process and its children; None where it has ended."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        status = [Path(f"/proc/{one}/status").read_text() for one in (pid, *children)]
    except OSError:
        return None
    return sum(int(found.group(1)) for text in status if (found := re.search(r"VmRSS:\s+(\d+)", text))) / 1024
