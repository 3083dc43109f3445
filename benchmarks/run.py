"""The gateway beside the least that a proxy can be, under the same load: throughput, latency, CPU, memory, start.

    make bench                          # or .venv/bin/python -m benchmarks.run --seconds 4 --rounds 2

The server runs on one core, the provider and the load generator on another. Every server is started before the first
measurement; those that are not measured are stopped (SIGSTOP). Rounds alternate between them. Ratios within one run are what
counts: absolute figures are the machine's. What it means is in docs/performance.md.

Another gateway can be measured beside, if it is installed; it must send to the provider at {upstream}:

    --with 'litellm=litellm --config litellm.yaml --port {port}' --provider-port 9000 --model litellm=bench \\
    --header 'litellm=authorization: Bearer sk-1234'
"""

import contextlib
import math
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median

import click

from benchmarks import machine, servers
from benchmarks.load import Result, begin, end

FLOOR = "Starlette + aiohttp"
DIRECT = "no proxy"
QUIET = 0.05  # of a core: with more of it spent on other things, a figure is none
SETTLE_S = 0.4  # in which records are written: they are a part of the cost
ROUTED_BEFORE_RSS = 1_000
VERSIONS = ("uvicorn", "uvloop", "httptools", "aiohttp", "starlette", "orjson", "numpy", "tokenizers")


@dataclass(frozen=True)
class Row:
    """One measurement of one server."""

    name: str
    stream: bool
    connections: int
    result: Result
    cpu_s: float
    rss_mb: float
    foreign: float

    @property
    def cpu_ms(self) -> float:
        done = self.result.answers + self.result.late + self.result.wrong
        return self.cpu_s / done * 1000 if done else math.nan


@dataclass(frozen=True)
class Target:
    """A row of the table: a server, and the model that is asked of it."""

    name: str
    model: str
    port: int
    process: machine.Process
    headers: tuple[str, ...] = ()


@click.command()
@click.option("--seconds", default=4.0, help="Of each measurement.", show_default=True)
@click.option("--rounds", default=2, show_default=True)
@click.option("--connections", default="1,16,64", show_default=True)
@click.option(
    "--with", "others", multiple=True, help="NAME=COMMAND of another gateway; {port} and {upstream} are filled in."
)
@click.option("--model", "models", multiple=True, help="NAME=MODEL that the other gateway is asked for.")
@click.option("--header", "headers", multiple=True, help="NAME=HEADER that the other gateway needs.")
@click.option("--starts", default=3, show_default=True, help="Of each server, whose median is the time of a start.")
@click.option("--provider-port", type=int, help="Where the provider listens; any free port by default.")
def main(
    seconds: float,
    rounds: int,
    connections: str,
    others: Sequence[str],
    models: Sequence[str],
    headers: Sequence[str],
    starts: int,
    provider_port: int | None,
) -> None:
    """Measure the gateway beside the floor."""
    core, rest = machine.cores()
    if rest is not None:
        os.sched_setaffinity(0, {rest})  # what is started from here on stays on it, but for the servers
    asked = dict(given.split("=", 1) for given in models)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="locus-bench-")))
        mock, port = stack.enter_context(servers.provider(rest, provider_port))
        upstream = f"http://{machine.LOCAL}:{port}/v1"
        ours = servers.gateway(servers.write_portfolio(folder, upstream))
        kinds = [*servers.floors(), *(servers.other(given, asked, headers) for given in others), ours]
        say(f"starting {', '.join(kind.name for kind in kinds)}")
        start_s = {kind.name: median(_start(kind, upstream, core, folder) for _ in range(starts)) for kind in kinds}
        running = [
            stack.enter_context(servers.serving(kind, upstream, core, folder / f"{i}.log"))
            for i, kind in enumerate(kinds)
        ]
        targets = [Target(DIRECT, "bench", port, mock)]
        for server in running:
            for name, model in server.kind.models.items():
                targets.append(Target(name, model, server.port, server.process, server.headers))
        idle = {server.kind.name: server.process.rss_mb() for server in running}
        _ask(targets[-1], folder, ROUTED_BEFORE_RSS)
        routed_mb = running[-1].process.rss_mb()
        for server in running:
            server.process.signal(signal.SIGSTOP)
        cases = [(stream, int(c)) for stream in (False, True) for c in connections.split(",")]
        rows = []
        for number in range(rounds):
            for stream, c in cases:
                for target in targets:
                    rows.append(_measure(target, stream, c, seconds, folder, mock))
                    _tell(rows[-1], number)
        for server in running:
            server.process.signal(signal.SIGCONT)
        _report(rows, cases, targets, rounds, seconds, pinned=core is not None)
        table(
            ["server", "start to first 200, s", "RSS then, MB", "after the run"],
            [
                [
                    server.kind.name,
                    f"{start_s[server.kind.name]:.2f}",
                    f"{idle[server.kind.name]:.0f}",
                    _most(rows, server),
                ]
                for server in running
            ],
        )
        click.echo(f"\nThe gateway's RSS after {ROUTED_BEFORE_RSS:,} routed requests: {routed_mb:.0f} MB")
    if any(row.result.wrong for row in rows):
        sys.exit("some answers were wrong: these are no figures")


def _start(kind: servers.Kind, upstream: str, core: int | None, folder: Path) -> float:
    with servers.serving(kind, upstream, core, folder / "start.log") as server:
        return server.first_200_s


def _ask(target: Target, folder: Path, requests: int) -> None:
    body = _body(target, False, folder)
    end(begin(target.port, body, 16, 60.0, requests=requests, headers=target.headers))


def _measure(
    target: Target, stream: bool, connections: int, seconds: float, folder: Path, mock: machine.Process
) -> Row:
    body = _body(target, stream, folder)
    target.process.signal(signal.SIGCONT)
    try:
        end(begin(target.port, body, connections, seconds / 4, stream=stream, headers=target.headers))
        time.sleep(SETTLE_S)
        started, busy, cpu, mock_cpu = time.monotonic(), machine.busy_s(), target.process.cpu_s(), mock.cpu_s()
        own = _children_s()
        result = end(begin(target.port, body, connections, seconds, stream=stream, headers=target.headers))
        time.sleep(SETTLE_S)
        spent = target.process.cpu_s() - cpu
        ours = _children_s() - own + mock.cpu_s() - mock_cpu + (0.0 if target.process is mock else spent)
        foreign = (machine.busy_s() - busy - ours) / (time.monotonic() - started)
        rss = target.process.rss_mb()
    finally:
        if target.process is not mock:
            target.process.signal(signal.SIGSTOP)
    return Row(target.name, stream, connections, result, spent, rss, max(0.0, foreign))


def _children_s() -> float:
    """CPU seconds of load generators that have ended, and of this process."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _body(target: Target, stream: bool, folder: Path) -> Path:
    path = folder / "body.json"
    path.write_bytes(servers.chat_body(target.model, stream=stream))
    return path


def _tell(row: Row, number: int) -> None:
    noise = f"  other things took {row.foreign:.0%} of a core" if row.foreign > QUIET else ""
    wrong = f"  {row.result.wrong} WRONG: {row.result.sample}" if row.result.wrong else ""
    what = f"{'stream' if row.stream else 'chat':6} c={row.connections:<3} {row.name:20}"
    say(f"round {number + 1}  {what} {row.result.rate:9,.0f}/s  p50 {row.result.p50:7.2f} ms{noise}{wrong}")


def _report(
    rows: Sequence[Row],
    cases: Sequence[tuple[bool, int]],
    targets: Sequence[Target],
    rounds: int,
    seconds: float,
    *,
    pinned: bool,
) -> None:
    foreign = median(row.foreign for row in rows)
    where = f"{os.cpu_count()} cores of {machine.cpu_name()}, {platform.system()} {platform.release()}"
    click.echo(f"\n{where}, Python {platform.python_version()}")
    click.echo(", ".join(f"{name} {version(name)}" for name in VERSIONS))
    click.echo(f"{rounds} rounds of {seconds:g} s; {'one core each' if pinned else 'NOT pinned to cores'}")
    click.echo(
        f"other things took {foreign:.1%} of a core (median){', so THE MACHINE WAS NOT QUIET' * (foreign > QUIET)}\n"
    )
    lines = []
    for stream, c in cases:
        of = {
            target.name: [r for r in rows if (r.name, r.stream, r.connections) == (target.name, stream, c)]
            for target in targets
        }
        floor, floor_cpu = _median(of[FLOOR], lambda r: r.result.rate), _median(of[FLOOR], lambda r: r.cpu_ms)
        direct = _median(of[DIRECT], lambda r: r.result.p50)
        direct_first = _median(of[DIRECT], lambda r: r.result.first_p50)
        for name, mine in of.items():
            rate, p50 = _median(mine, lambda r: r.result.rate), _median(mine, lambda r: r.result.p50)
            first = _median(mine, lambda r: r.result.first_p50) - direct_first
            cpu = _median(mine, lambda r: r.cpu_ms)
            lines.append(
                [
                    f"{'stream' if stream else 'chat'}, {c}",
                    name,
                    f"{rate:,.0f}",
                    f"{rate / floor:.2f}",
                    f"{p50:.2f}",
                    f"{_median(mine, lambda r: r.result.p99):.2f}",
                    "" if name == DIRECT else f"{p50 - direct:.2f}",
                    "" if name == DIRECT or not stream else f"{first:.2f}",
                    "" if name == DIRECT else f"{cpu:.3f}",
                    "" if name == DIRECT else f"{floor_cpu / cpu:.2f}",
                    f"{max(r.foreign for r in mine):.0%}",
                ]
            )
    head = ["load", "server", "answers/s", "to the floor", "p50 ms", "p99 ms", "added p50 ms", "added first byte ms"]
    table([*head, "CPU ms each", "by CPU", "others' CPU"], lines)
    click.echo("")


def _median(rows: Iterable[Row], of: Callable[[Row], float]) -> float:
    return median(map(of, rows))


def _most(rows: Sequence[Row], server: servers.Running) -> str:
    return f"{max(row.rss_mb for row in rows if row.name in server.kind.models):.0f}"


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """Prints a Markdown table."""
    for line in [head, ["---"] * len(head), *lines]:
        click.echo(f"| {' | '.join(line)} |")


def say(text: str) -> None:
    """Progress, beside the results."""
    click.echo(text, err=True)


if __name__ == "__main__":
    main()
