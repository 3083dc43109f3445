"""CPU time of a request by what may grow: its prompt, its turns, the models, the keys, the records. One picture for each.

    .venv/bin/python -m benchmarks.growth docs/images/growth           # all; about 15 minutes
    .venv/bin/python -m benchmarks.growth /tmp/growth --only models --only keys

Each point is the median over requests on one connection, one after the other, of the server's CPU time from the request to its
record. The title of a picture says how the time grows: by which factor over the whole range, and by which power of it at the end.
"""

import asyncio
import http.client
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import click
import orjson
import yaml

from benchmarks import machine, servers
from benchmarks.run import say, table

if TYPE_CHECKING:
    from gateway.record.finished import Finished

PROMPTS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
TURNS = (1, 10, 100, 1_000)
MODELS = (1, 10, 100, 1_000, 10_000)
KEYS = (1, 100, 10_000, 100_000)
RECORDS = (0, 1_000, 10_000, 100_000, 1_000_000)
REQUESTS = 60  # of each point
LARGE = 1_000_000  # bytes of a request, from which a tenth of them is enough
FLAT = 1.3  # a factor over the whole range up to which the time is called the same
PAUSE_S = 0.02  # between requests, so that the work after an answer counts for it
BATCH = 10_000  # records that are written at once


class Point(NamedTuple):
    """CPU milliseconds of a request for each kind of request."""

    size: int
    pinned: float
    routed: float


Measure = Callable[[Path, str], Iterator[Point]]


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--only", multiple=True, type=click.Choice(["prompt", "turns", "models", "keys", "records"]))
def main(folder: Path, only: Sequence[str]) -> None:
    """Measure, and draw pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (measure, what, unit) in MEASURES.items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory(prefix="locus-bench-") as place, servers.provider(None) as (_, port):
            points = []
            for point in measure(Path(place), f"http://{machine.LOCAL}:{port}/v1"):
                points.append(point)
                say(f"{name} {point.size:,}: pinned {point.pinned:.2f} ms, routed {point.routed:.2f} ms")
        title = f"CPU time of a request by {what}: {finding(points)}"
        click.echo(f"\n{title}\n")
        table(
            [unit, "pinned, ms", "routed, ms"], [[f"{p.size:,}", f"{p.pinned:.2f}", f"{p.routed:.2f}"] for p in points]
        )
        _draw(points, title, unit, folder / f"{name}.png")


def finding(points: Sequence[Point]) -> str:
    """In words, how the times grow."""
    found = []
    for kind in ("pinned", "routed"):
        times = [getattr(point, kind) for point in points]
        if max(times) <= FLAT * times[0]:
            found.append(f"{kind} the same")
            continue
        power = math.log(times[-1] / times[-2]) / math.log(points[-1].size / points[-2].size)
        found.append(
            f"{kind} {times[-1] / times[0]:.1f} times from end to end, at last with the power {max(0.0, power):.2f}"
        )
    return "; ".join(found)


def _prompts(folder: Path, upstream: str) -> Iterator[Point]:
    path = servers.write_portfolio(folder, upstream)
    # So large that no prompt is in doubt: else its tokens would be counted, a second of work for 10 MB, in a thread.
    path.write_text(path.read_text().replace("context_window: 131072", f"context_window: {2 * PROMPTS[-1]}"))
    with _gateway(path, folder) as server:
        for size in PROMPTS:
            text = "How warm is it? " * (size // 16 + 1)
            yield _point(size, server, [{"role": "user", "content": text[:size]}])


def _turns(folder: Path, upstream: str) -> Iterator[Point]:
    with _gateway(servers.write_portfolio(folder, upstream), folder) as server:
        for turns in TURNS:
            messages = [
                {"role": ("assistant", "user")[(turns - i) % 2], "content": f"Turn {i}: " + "why? " * 20}
                for i in range(turns)
            ]
            yield _point(turns, server, messages)


def _models(folder: Path, upstream: str) -> Iterator[Point]:
    for number in MODELS:
        with _gateway(servers.write_portfolio(folder, upstream, number), folder) as server:
            yield _point(number, server)


def _keys(folder: Path, upstream: str) -> Iterator[Point]:
    for number in KEYS:
        path = servers.write_portfolio(folder, upstream, limits=servers.BUDGET)
        fields = yaml.safe_load(path.read_text())
        fields["gateway"]["keys"] = [f"sk-bench-key-{i:06}" for i in range(number - 1)]
        path.write_bytes(orjson.dumps(fields))  # JSON is YAML, and much faster to write
        with _gateway(path, folder, servers.KEY) as server:
            yield _point(number, server)


def _records(folder: Path, upstream: str) -> Iterator[Point]:
    path = servers.write_portfolio(folder, upstream)
    database = Path(yaml.safe_load(path.read_text())["gateway"]["record"])
    known = 0
    for number in RECORDS:
        asyncio.run(_write_records(database, number - known))
        known = number
        with _gateway(path, folder) as server:
            yield _point(number, server)


async def _write_records(path: Path, number: int) -> None:
    from gateway.config.database_location import DatabaseLocation
    from gateway.record.rows import rows_of, write
    from gateway.store.database import Database

    database = Database(DatabaseLocation(file=path))
    try:
        for start in range(0, number, BATCH):
            rows = rows_of([_finished(i) for i in range(start, min(number, start + BATCH))], requests=True)
            async with database.begin() as connection:
                await write(connection, rows)
    finally:
        await database.close()


def _finished(number: int) -> "Finished":
    from benchmarks.parts import RECORD
    from gateway.record.finished import Finished
    from gateway.record.request_record import Part

    record = RECORD._replace(request_id=f"req_{number:032x}", time=time.time() - number % 2_592_000, latency_ms=1.0)
    return Finished(record, [Part("m0", "m0#1", 64, 20, 10_000, False)], None, None)


@contextmanager
def _gateway(path: Path, folder: Path, headers: tuple[str, ...] = ()) -> Iterator[servers.Running]:
    with servers.serving(servers.gateway(path, headers), "", None, folder / "log", 600.0) as running:
        yield running


def _point(size: int, server: servers.Running, messages: Sequence[object] | None = None) -> Point:
    return Point(size, *(_cpu_ms(server, model, messages) for model in ("m0", "auto")))


def _cpu_ms(server: servers.Running, model: str, messages: Sequence[object] | None) -> float:
    connection = http.client.HTTPConnection(machine.LOCAL, server.port, timeout=120)
    headers = {"content-type": "application/json"} | dict(header.split(": ", 1) for header in server.headers)
    spent = []
    try:
        for number in range(REQUESTS):
            fields = orjson.loads(servers.chat_body(model, stream=False, content=servers.QUESTION % f"#{number:010}"))
            if messages is not None:
                fields["messages"] = messages
            body = orjson.dumps(fields)
            before = server.process.cpu_ns()
            connection.request("POST", "/v1/chat/completions", body, headers)
            answer = connection.getresponse()
            if b'"choices"' not in answer.read() or answer.status != 200:
                raise SystemExit(f"a request of {len(body):,} bytes got {answer.status}")
            time.sleep(PAUSE_S)
            spent.append((server.process.cpu_ns() - before) / 1e6)
            if len(body) >= LARGE and number >= REQUESTS // 10:
                break
    finally:
        connection.close()
    return median(spent)


def _draw(points: Sequence[Point], title: str, unit: str, path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4))
    sizes = [max(1, point.size) for point in points]
    for kind in ("pinned", "routed"):
        axes.plot(sizes, [getattr(point, kind) for point in points], "o-", label=kind)
    axes.set(xscale="log", yscale="log", xlabel=unit, ylabel="CPU time of a request, ms")
    axes.set_title(title, wrap=True, fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


MEASURES: dict[str, tuple[Measure, str, str]] = {
    "prompt": (_prompts, "the length of its prompt", "bytes of the prompt"),
    "turns": (_turns, "the turns of its conversation", "turns"),
    "models": (_models, "the number of models", "models of the portfolio"),
    "keys": (_keys, "the number of keys", "keys of the portfolio"),
    "records": (_records, "the records in the database", "records in the database (SQLite)"),
}


if __name__ == "__main__":
    main()
