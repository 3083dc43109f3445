"""CPU time of servers relative to each other, on a machine that has other work: many short measurements in turn.

    .venv/bin/python -m benchmarks.pairs                               # the floor, and the gateway without and with limits
    .venv/bin/python -m benchmarks.pairs --with 'before=../main/.venv/bin/locus serve --config {plain} --port {port}'

In each turn every server answers for a moment. The ratio to the first one is taken within the turn, so what slows down a turn
slows down both; the result is the median over the turns, with the quartiles. The command of another gateway may have `{plain}`,
`{budget}` and `{limits}`: portfolio files without limits, with a key that has a budget, and with all limits of a key and a team.
"""

import contextlib
import os
import shlex
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median, quantiles

import click

from benchmarks import machine, servers
from benchmarks.load import begin, end
from benchmarks.run import table

WARM_S = 1.5
SETTLE_S = 0.3  # in which records are written


@dataclass(frozen=True)
class Row:
    """A server, and what it is asked for."""

    name: str
    server: servers.Running
    model: str
    stream: bool = False


@click.command()
@click.option("--seconds", default=0.5, show_default=True, help="Of each measurement.")
@click.option("--turns", default=15, show_default=True)
@click.option("--connections", default=16, show_default=True)
@click.option("--shape", type=click.Choice(["chat", "stream", "both"]), default="both", show_default=True)
@click.option("--with", "others", multiple=True, help="NAME=COMMAND of another gateway with the same models.")
def main(seconds: float, turns: int, connections: int, shape: str, others: Sequence[str]) -> None:
    """Compare the CPU time of an answer."""
    core, rest = machine.cores()
    if rest is not None:
        os.sched_setaffinity(0, {rest})
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="locus-bench-")))
        _, port = stack.enter_context(servers.provider(rest))
        upstream = f"http://{machine.LOCAL}:{port}/v1"
        rows = [
            Row(f"{kind.name} {what}", running, model, stream)
            for kind in _kinds(folder, upstream, others)
            for running in [stack.enter_context(servers.serving(kind, upstream, core, folder / "log"))]
            for stream in ((False, True) if shape == "both" else (shape == "stream",))
            for what, model in kind.models.items()
        ]
        for row in rows:
            row.server.process.signal(signal.SIGSTOP)
        for row in rows:
            _cpu_us(row, folder, connections, WARM_S)
        found: list[list[float]] = [[] for _ in rows]
        for turn in range(turns):
            order = list(range(len(rows)))[:: 1 if turn % 2 else -1]
            for i in order:
                found[i].append(_cpu_us(rows[i], folder, connections, seconds))
        for row in rows:
            row.server.process.signal(signal.SIGCONT)
    click.echo(
        f"{turns} turns of {seconds:g} s, {connections} connections; {os.cpu_count()} cores of {machine.cpu_name()}\n"
    )
    lines = [_line(row, mine, found[0]) for row, mine in zip(rows, found, strict=True)]
    table(["server", "", "CPU µs of an answer", f"to the {rows[0].name.strip()}", "quartiles"], lines)


def _kinds(folder: Path, upstream: str, others: Sequence[str]) -> list[servers.Kind]:
    files = _portfolios(folder, upstream)
    pinned, routed = {"pinned": "m0"}, {"pinned": "m0", "routed": "auto"}
    kinds = [
        replace(servers.floors()[1], name="floor", models={"": "bench"}),
        replace(servers.gateway(files["plain"]), name="gateway", models=routed),
        replace(servers.gateway(files["budget"], servers.KEY), name="a budget", models=pinned),
        replace(servers.gateway(files["limits"], servers.KEY), name="all limits", models=routed),
    ]
    for given in others:
        name, _, command = given.partition("=")
        files = _portfolios(folder / name, upstream)  # with databases of its own
        parts = command.format(port="{port}", upstream=upstream, **files)
        kinds.append(servers.Kind(name, tuple(shlex.split(parts)), routed, servers.KEY))
    return kinds


def _portfolios(folder: Path, upstream: str) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    return {
        "plain": servers.write_portfolio(folder, upstream),
        "budget": servers.write_portfolio(folder, upstream, limits=servers.BUDGET),
        "limits": servers.write_portfolio(folder, upstream, limits=servers.LIMITS),
    }


def _cpu_us(row: Row, folder: Path, connections: int, seconds: float) -> float:
    """CPU microseconds of one answer, with what is done for it later."""
    body = folder / "body.json"
    body.write_bytes(servers.chat_body(row.model, stream=row.stream))
    process = row.server.process
    process.signal(signal.SIGCONT)
    try:
        before = process.cpu_ns()
        result = end(begin(row.server.port, body, connections, seconds, stream=row.stream, headers=row.server.headers))
        time.sleep(SETTLE_S)
        spent = process.cpu_ns() - before
    finally:
        process.signal(signal.SIGSTOP)
    if result.wrong:
        raise SystemExit(f"{row.name}: wrong answers: {result.sample}")
    return spent / 1000 / (result.answers + result.late)


def _line(row: Row, mine: Sequence[float], first: Sequence[float]) -> list[str]:
    ratios = [own / other for own, other in zip(mine, first, strict=True)]
    low, _, high = quantiles(ratios, n=4)
    return [
        row.name.strip(),
        "stream" if row.stream else "chat",
        f"{median(mine):.0f}",
        f"{median(ratios):.3f}",
        f"{low:.3f} to {high:.3f}",
    ]


if __name__ == "__main__":
    main()
