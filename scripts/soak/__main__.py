"""Random faults under load: every request must end in a whole answer or an honest error, and be recorded once.

    make soak MINUTES=10   or        .venv/bin/python -m scripts.soak --minutes 10 --seed 1

Starts providers that fail in every way that `tests.faults.provider` knows, `locus serve` as users start it, and 50
clients of five APIs with their official packages. Meanwhile the portfolio file changes, the gateway's disk is full for a
while, and the gateway is restarted once, with two workers. At the end what the clients saw, what the gateway recorded and
what the providers billed are laid side by side; a broken invariant gives exit status 1. docs/reliability.md says what is
promised.
"""

import asyncio
import contextlib
import statistics
import sys
import tempfile
import time
from pathlib import Path

import click
import orjson
from rich.console import Console

from gateway.commands.show_log import read_last
from scripts.soak.clients import Clients
from scripts.soak.gateway_process import ROOT, Gateway
from scripts.soak.providers import Billed, run_providers
from scripts.soak.reconciliation import Reconciliation
from scripts.soak.report import report

GROWTH_MB = 40.0  # of the gateway's memory in the second half of a start's life; more is a leak
GROWTH_KB = 8.0  # the same for each request in that time: tables and caches take some 3 KB of it until they are full
GRAIN_MB = 10.0  # what a start takes once, such as for the first portfolio files that change
PAUSE_S = 2.0  # of the event loop; importing litellm alone takes up to a second of it on a busy machine
WORKERS = 2  # of the second start
RELOAD_S = 7.0


async def soak(minutes: float, rate: float, seed: int, folder: Path) -> bool:
    """Runs it all, prints the figures, and says whether every invariant held."""
    console = Console()
    bill = folder / "bill.jsonl"
    providers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.soak", "--provide", str(bill), "--rate", str(rate), "--seed", str(seed)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert providers.stdout is not None
        gateway = Gateway(folder, orjson.loads(await providers.stdout.readline()))
        clients = Clients(gateway.root, seed)
        gateway.count_answered = lambda: len(clients.seen)
        try:
            away, written_while_full = await _run(console, gateway, clients, minutes * 60)
        finally:
            await gateway.aclose()
    finally:
        providers.terminate()
        await providers.wait()
    billed = [Billed(**orjson.loads(line)) for line in bill.read_bytes().splitlines()]
    found = Reconciliation(clients.seen, read_last(gateway.record, 1 << 40), billed, away)
    found.run()
    _check_gateway(found, gateway, written_while_full)
    report(console, found, gateway, clients)
    return not found.broken


async def _run(console: Console, gateway: Gateway, clients: Clients, seconds: float) -> tuple[tuple[float, float], int]:
    """The load and what happens meanwhile; says while when the gateway was away, and what a full disk took."""
    await gateway.start()
    await clients.warm_up()
    running = asyncio.create_task(clients.run())
    operating = asyncio.create_task(_operate(gateway))
    try:
        full_s = min(60.0, seconds * 0.1)
        await asyncio.sleep(seconds * 0.25)
        gateway.fill_disk(True)
        await asyncio.sleep(1.0)
        before = await asyncio.to_thread(gateway.rows)
        await asyncio.sleep(full_s)
        written_while_full = await asyncio.to_thread(gateway.rows) - before
        gateway.fill_disk(False)
        console.print(f"the disk was full for {full_s:.0f} s; {written_while_full} records were written meanwhile")
        await asyncio.sleep(seconds * 0.25 - full_s)
        await gateway.look()
        await _end(operating)
        went = time.monotonic()
        await gateway.stop()
        await gateway.start(WORKERS)
        away = (went, time.monotonic())
        await clients.warm_up()
        console.print(f"restarted: stopped in {gateway.stop_s[-1]:.1f} s, back after {away[1] - away[0]:.1f} s")
        operating = asyncio.create_task(_operate(gateway))
        await asyncio.sleep(seconds * 0.5)
        clients.stop()
        await running
        await gateway.look()
        await _end(operating)
        await gateway.stop()
    finally:
        for task in (running, operating):
            await _end(task)
    return away, written_while_full


async def _operate(gateway: Gateway) -> None:
    """What an operator does: changes the portfolio file now and then, and looks at the metrics."""
    number = 0
    while True:
        await asyncio.sleep(RELOAD_S)
        number += 1
        await gateway.reload(number)
        await gateway.look()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _check_gateway(found: Reconciliation, gateway: Gateway, written_while_full: int) -> None:
    """What the gateway's processes showed."""
    if written_while_full:
        found.breaks("a full disk was simulated", f"{written_while_full} records written")
    if any(gateway.exits):
        found.breaks("SIGTERM ends the gateway in order", f"exit status {gateway.exits}")
    if gateway.reload_errors or not gateway.reloads:
        found.breaks("changed portfolio files are put in force", f"{gateway.reloads}, {gateway.reload_errors[:3]}")
    if not gateway.pauses_s:
        found.breaks("the metrics tell how long the event loop paused", "no figure")
    elif max(gateway.pauses_s) > PAUSE_S:
        found.breaks(f"the event loop never pauses for {PAUSE_S} s", f"{max(gateway.pauses_s):.2f} s")
    for memory, answered in zip(gateway.memory_mb, gateway.answered, strict=True):
        grown_mb, requests = grown(memory, answered)
        if grown_mb > min(GROWTH_MB, GRAIN_MB + requests * GROWTH_KB / 1024):
            found.breaks("memory is flat", f"{grown_mb:.1f} MB more after {requests} requests")


def grown(memory_mb: list[float], answered: list[int]) -> tuple[float, int]:
    """MB between the middle of a start's life and its last answers, by medians, and the requests answered in that time."""
    last = answered.index(answered[-1])  # later it only stops
    if last < 8:
        return 0.0, 0
    some = max(1, last // 10)
    middle = last // 2
    mb = statistics.median(memory_mb[last - some : last]) - statistics.median(memory_mb[middle : middle + some])
    return mb, answered[last] - answered[middle]


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(min=0.2))
@click.option(
    "--rate", default=0.2, show_default=True, type=click.FloatRange(0, 1), help="Share of calls with a fault."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), help="Keep everything here.")
@click.option("--provide", type=click.Path(path_type=Path), hidden=True, help="Be the providers.")
def main(minutes: float, rate: float, seed: int, folder: Path | None, provide: Path | None) -> None:
    """Put the gateway under random faults and load, and check its records."""
    if provide is not None:
        asyncio.run(run_providers(rate, seed, provide))
        return
    with tempfile.TemporaryDirectory() as temporary:
        where = folder or Path(temporary)
        where.mkdir(parents=True, exist_ok=True)
        held = asyncio.run(soak(minutes, rate, seed, where))
    sys.exit(not held)


if __name__ == "__main__":
    main()
