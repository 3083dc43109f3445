"""A closed-loop load generator: each connection sends a request, reads and checks the whole answer, sends the next.

    python -m benchmarks.load --port 4000 --body body.json --connections 16 --seconds 4      # prints a Result as JSON

Public ones do not fit: they count statuses, but cannot tell whether a stream is whole, whether an answer is the one to its
question, or when its first byte came; and few can be installed from PyPI. This one
needs less than 10 µs for a chat answer.
"""

import asyncio
import contextlib
import math
import random
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import click
import orjson
import uvloop

from benchmarks.machine import LOCAL
from benchmarks.provider import CHUNKS

MARK = b"#0000000000"  # the place of the request's number in its body
LAST_ANSWERS_S = 10.0
_WORDS = CHUNKS - 3


@dataclass(frozen=True)
class Result:
    """What one measurement gave. Latencies until the last byte; the first one until the first. Milliseconds.

    Attributes:
        answers: whole and right, within the time.
        late: the same, but after it.
        wrong: everything else; `sample` shows one of these.
        cpu_s: what the generator itself needed.
    """

    answers: int
    late: int
    wrong: int
    seconds: float
    p50: float
    p99: float
    first_p50: float
    first_p99: float
    cpu_s: float
    sample: str

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


class _Load:
    """What the connections share."""

    def __init__(self, head: bytes, body: bytes, stream: bool, most: int | None) -> None:
        before, mark, after = body.partition(MARK)
        self._before, self._after = head + before, after
        if not mark:
            raise click.ClickException(f"the body lacks {MARK.decode()}")
        self._most = most
        self.stream = stream
        self.sent = self.late = self.wrong = 0
        self._first = random.randrange(
            9 * 10**9
        )  # so that no question is one of an earlier run, whose encoding is kept
        self.times: list[float] = []
        self.first_times: list[float] = []
        self.sample = ""
        self.over = False
        self.open = 0
        self.idle = asyncio.Event()

    def next(self) -> tuple[bytes, bytes] | None:
        """Number and bytes of the next request; None when there shall be no more."""
        if self.over or self.sent == self._most:
            return None
        self.sent += 1
        number = b"#%010d" % (self._first + self.sent)
        return number, b"".join((self._before, number, self._after))

    def closed(self) -> None:
        self.open -= 1
        if not self.open:
            self.idle.set()


class _Connection(asyncio.Protocol):
    def __init__(self, load: _Load) -> None:
        self._load = load
        self._number = b""
        self._answer = b""
        self._first = self._sent = 0.0
        self._end: int | None = None
        self._length: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's is not by its class
        self._load.open += 1
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        load = self._load
        if self._number:
            load.wrong += 1
            load.sample = load.sample or f"cut: {self._answer[-300:]!r}"
        load.closed()

    def data_received(self, data: bytes) -> None:
        if not self._answer:
            self._first = time.perf_counter()
        self._answer = answer = self._answer + data
        if self._end is None:
            end = answer.find(b"\r\n\r\n")
            if end < 0:
                return
            self._end = end + 4
            head = answer[: self._end].lower()
            at = head.find(b"\r\ncontent-length:")
            self._length = int(head[at + 17 : head.index(b"\r\n", at + 17)]) if at >= 0 else None
        if self._length is None:
            if not answer.endswith(b"\r\n0\r\n\r\n"):
                return
        elif len(answer) < self._end + self._length:
            return
        self._take()
        self._next()

    def _take(self) -> None:
        now = time.perf_counter()
        load, answer, end = self._load, self._answer, self._end
        assert end is not None
        body = answer[end:] if self._length is not None else _joined(answer, end)
        right = answer.startswith(b"HTTP/1.1 200 ") and self._number in body
        if load.stream:
            right = right and body.count(b'" word"') == _WORDS and body.rstrip().endswith(b"data: [DONE]")
        else:
            right = right and b'"choices"' in body and body.rstrip().endswith(b"}")
        if not right:
            load.wrong += 1
            load.sample = load.sample or repr(answer[:600])
        elif load.over:
            load.late += 1
        else:
            load.times.append(now - self._sent)
            load.first_times.append(self._first - self._sent)
        self._number = b""

    def _next(self) -> None:
        request = self._load.next()
        self._answer, self._end = b"", None
        if request is None:
            self._transport.close()
            return
        self._number, data = request
        self._sent = time.perf_counter()
        self._transport.write(data)


def _joined(answer: bytes, start: int) -> bytes:
    """The body of a chunked answer."""
    parts: list[bytes] = []
    while True:
        line = answer.index(b"\r\n", start)
        size = int(answer[start:line].partition(b";")[0], 16)
        if not size:
            return b"".join(parts)
        parts.append(answer[line + 2 : line + 2 + size])
        start = line + 2 + size + 2


async def _run(load: _Load, port: int, connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    for _ in range(connections):
        await loop.create_connection(lambda: _Connection(load), LOCAL, port)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(load.idle.wait(), seconds)
    load.over = True
    took = time.perf_counter() - started
    try:
        await asyncio.wait_for(load.idle.wait(), LAST_ANSWERS_S)
    except TimeoutError:
        load.wrong += load.open
        load.sample = load.sample or f"no end of {load.open} answers within {LAST_ANSWERS_S:.0f} s"
    return took


@click.command()
@click.option("--port", type=int, required=True)
@click.option("--path", default="/v1/chat/completions")
@click.option(
    "--body", type=click.Path(path_type=Path), required=True, help=f"With {MARK.decode()} where its number goes."
)
@click.option("--connections", type=int, default=16)
@click.option("--seconds", type=float, default=4.0)
@click.option("--requests", type=int, help="At most so many.")
@click.option("--stream", is_flag=True, help="The answers are streams.")
@click.option("--header", multiple=True, help="As `name: value`.")
def main(
    port: int,
    path: str,
    body: Path,
    connections: int,
    seconds: float,
    requests: int | None,
    stream: bool,
    header: Sequence[str],
) -> None:
    """Sends requests and prints what came back."""
    data = body.read_bytes()
    lines = [
        f"POST {path} HTTP/1.1",
        f"host: {LOCAL}:{port}",
        "content-type: application/json",
        f"content-length: {len(data)}",
        *header,
    ]
    load = _Load("\r\n".join([*lines, "", ""]).encode(), data, stream, requests)
    before = _cpu_s()
    took = uvloop.run(_run(load, port, connections, seconds))
    times, first = sorted(load.times), sorted(load.first_times)
    result = Result(
        answers=len(times),
        late=load.late,
        wrong=load.wrong,
        seconds=took,
        p50=_at(times, 0.5),
        p99=_at(times, 0.99),
        first_p50=_at(first, 0.5),
        first_p99=_at(first, 0.99),
        cpu_s=_cpu_s() - before,
        sample=load.sample,
    )
    click.echo(orjson.dumps(asdict(result)).decode())


def begin(
    port: int,
    body: Path,
    connections: int,
    seconds: float,
    *,
    stream: bool = False,
    requests: int | None = None,
    headers: Sequence[str] = (),
) -> subprocess.Popen[bytes]:
    """A measurement in a process of its own, on the cores of the caller, who waits for it by `end`."""
    command = [sys.executable, "-m", "benchmarks.load", "--port", str(port), "--body", str(body)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    command += ["--stream"] if stream else []
    command += [] if requests is None else ["--requests", str(requests)]
    for header in headers:
        command += ["--header", header]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> Result:
    """What it gave."""
    out, err = process.communicate()
    if process.returncode:
        raise RuntimeError(err.decode())
    fields = orjson.loads(out)
    known: dict[str, Any] = {key: math.nan if value is None else value for key, value in fields.items()}
    return Result(**known)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _at(ordered: Sequence[float], share: float) -> float:
    """A percentile, in milliseconds; NaN of nothing."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 if ordered else math.nan


if __name__ == "__main__":
    main()
