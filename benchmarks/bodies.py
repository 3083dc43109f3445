"""Small requests beside large ones: what 10 MB of images, one after the other, do to the latency of all other requests.

    .venv/bin/python -m benchmarks.bodies

The floor app is measured in the same way, since a part of the wait is the kernel's, the load generator's and the provider's.
Then CPU time by size: a body that is twice as large may cost twice as much, not four times.
"""

import os
import tempfile
import time
from pathlib import Path

import click

from benchmarks import machine, servers
from benchmarks.load import begin, end
from benchmarks.parts import images
from benchmarks.run import FLOOR, table

SIZES_MB = (1.25, 2.5, 5, 10)
LARGE_MB = 10
REPEATS = 20


@click.command()
@click.option("--seconds", default=10.0, show_default=True)
@click.option("--connections", default=4, help="That send small requests.", show_default=True)
def main(seconds: float, connections: int) -> None:
    """Measure small requests without and with large ones beside them."""
    core, rest = machine.cores()
    if rest is not None:
        os.sched_setaffinity(0, {rest})
    beside, by_size = [], []
    with (
        tempfile.TemporaryDirectory(prefix="locus-bench-") as name,
        servers.provider(rest) as (_, port),
    ):
        folder = Path(name)
        upstream = f"http://{machine.LOCAL}:{port}/v1"
        floor = next(kind for kind in servers.floors() if kind.name == FLOOR)
        for kind in (floor, servers.gateway(servers.write_portfolio(folder, upstream))):
            with servers.serving(kind, upstream, core, folder / "log") as server:
                for row, model in kind.models.items():
                    beside += _beside(row, model, server, folder, seconds, connections)
                    by_size.append([row, *_by_size(model, server, folder)])
    head = ["server", "beside", "small ones/s", "p50 ms", "p99 ms", "large ones/s", "their p50 ms", "RSS MB"]
    table(head, beside)
    click.echo(f"\nCPU ms of the server for one request by the size of its body, mean of {REPEATS}\n")
    table(["server", *(f"{size:g} MB" for size in SIZES_MB)], by_size)


def _beside(
    row: str, model: str, server: servers.Running, folder: Path, seconds: float, connections: int
) -> list[list[str]]:
    small, large = folder / "small.json", folder / "large.json"
    small.write_bytes(servers.chat_body(model, stream=False))
    large.write_bytes(servers.chat_body(model, stream=False, content=images(LARGE_MB)))
    end(begin(server.port, small, connections, 1.0))
    lines = []
    for others in (False, True):
        process = begin(server.port, large, 1, seconds + 1.5) if others else None
        time.sleep(1.0)
        mine = end(begin(server.port, small, connections, seconds))
        line = [row, f"{LARGE_MB} MB bodies" if others else "nothing"]
        line += [f"{mine.rate:,.0f}", f"{mine.p50:.2f}", f"{mine.p99:.2f}"]
        wrong = [mine] if mine.wrong else []
        if process is None:
            line += ["", ""]
        else:
            theirs = end(process)
            line += [f"{theirs.rate:.1f}", f"{theirs.p50:.0f}"]
            wrong += [theirs] if theirs.wrong else []
        if wrong:
            raise SystemExit(f"{row}: {wrong[0].wrong} wrong answers: {wrong[0].sample}")
        lines.append([*line, f"{server.process.rss_mb():.0f}"])
    return lines


def _by_size(model: str, server: servers.Running, folder: Path) -> list[str]:
    body = folder / "body.json"
    costs = []
    for size in SIZES_MB:
        body.write_bytes(servers.chat_body(model, stream=False, content=images(size)))
        before = server.process.cpu_s()
        result = end(begin(server.port, body, 1, 120.0, requests=REPEATS))
        time.sleep(0.3)  # until its record is written
        costs.append(f"{(server.process.cpu_s() - before) / result.answers * 1000:.0f}")
    return costs


if __name__ == "__main__":
    main()
