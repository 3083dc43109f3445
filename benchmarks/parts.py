"""What the parts of a request cost, each by itself. pytest-benchmark times them; the test suite never collects them.

make bench-parts                    # or .venv/bin/python -m pytest benchmarks/parts.py
"""

import asyncio
import base64
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.load import MARK
from benchmarks.provider import CHUNKS, STREAM
from benchmarks.servers import QUESTION, chat_body, write_portfolio
from gateway.answering.relay import Relay
from gateway.answering.transcript import Transcript
from gateway.api.chat.stream_writer import ChatWriter
from gateway.bodies.sse import EventReader
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployments
from gateway.record import recorder as recorder_module
from gateway.record.metrics import Metrics
from gateway.record.recorder import Recorder
from gateway.record.request_record import Part, Record
from gateway.request.chat_request import parse_chat
from gateway.routing.routing import Routing
from gateway.store.database import Database
from gateway.upstream.direct_stream import DirectStream
from router.encode.encoder import QueryEncoder
from router.model.serving import Router

TOKENS = 64
IMAGE_MB = 10


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


@pytest.fixture
def question() -> Callable[[], str]:
    """Gives a question that was not asked before: the encoder remembers some."""
    numbers = itertools.count()
    return lambda: QUESTION % f"#{next(numbers):010d}"


def fresh(encoder: QueryEncoder, question: Callable[[], str]) -> None:
    encoder.encode([question()])


def test_tokenise_and_encode_64_tokens(
    benchmark: BenchmarkFixture, router: Router, question: Callable[[], str]
) -> None:
    benchmark(fresh, router.encoder, question)


@pytest.mark.parametrize("at_once", [1, 16])
@pytest.mark.parametrize("models", [8, 100, 1_000])
@pytest.mark.parametrize("asked", ["new", "known"])
def test_choose(
    benchmark: BenchmarkFixture,
    router: Router,
    tmp_path: Path,
    question: Callable[[], str],
    models: int,
    asked: str,
    at_once: int,
) -> None:
    """Of all these models, with a question of 64 tokens: a new one, or one whose encoding is known. For all that come at once."""
    portfolio = load_portfolio(write_portfolio(tmp_path, "http://127.0.0.1:9/v1", models), {})
    routing = Routing(portfolio, router, LiveDeployments(portfolio))
    request = parse_chat(chat_body("auto", stream=False))
    known = request.query

    async def decide() -> None:
        content = question() if asked == "new" else known
        fields = request.fields | {"messages": [{"role": "user", "content": content}]}
        await routing.decide(replace(request, fields=fields))

    async def decide_all() -> None:
        await asyncio.gather(*[decide() for _ in range(at_once)])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        benchmark(lambda: runner.run(decide_all()))


def test_split_a_stream_of_20_chunks(benchmark: BenchmarkFixture) -> None:
    """The event reader alone, fed a chunk at a time."""

    def split() -> int:
        reader = EventReader()
        return sum(len(reader.feed(piece)) for piece in _PIECES)

    assert benchmark(split) == CHUNKS + 2  # the usage and [DONE]


def test_relay_a_stream_of_20_chunks(benchmark: BenchmarkFixture) -> None:
    """From the provider's bytes to the client's: split, read, take the usage out, put the model's name in."""
    request = parse_chat(chat_body("m0", stream=True))

    async def relay() -> int:
        loop = asyncio.get_running_loop()
        source = DirectStream(_Response(), "chat", 1)  # type: ignore[arg-type]
        out = Relay(source, "m0", Transcript(request), ChatWriter(usage_requested=False), 30.0, 3600.0, lambda: True)
        await out.open(loop.time() + 30.0)
        events = 0
        while (data := await out.read()) is not None:
            events += data.count(b"\n\n")
        await out.aclose()
        return events

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert benchmark(lambda: runner.run(relay())) == CHUNKS  # the usage was not asked for


_PIECES = [
    event + b"\n\n"
    for piece in STREAM
    for event in b"".join(part for part in piece.split(b"\r\n") if b"data: " in part).split(b"\n\n")
    if event
]


class _Response:
    """What the relay needs of a client library's response: bytes that come a chunk at a time."""

    def __init__(self) -> None:
        self.content = self
        self.headers: dict[str, str] = {}
        self.content_type = "text/event-stream"
        self._pieces = iter(_PIECES)

    async def read(self, most: int) -> bytes:
        return next(self._pieces, b"")

    def at_eof(self) -> bool:
        return True

    def release(self) -> None: ...


def images(megabytes: float) -> list[dict[str, Any]]:
    """A question with images of so many megabytes in all, as base64."""
    data = base64.b64encode(bytes(range(256)) * int(megabytes / 4 * 3 / 4 * 1e6 / 256)).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    return [{"type": "text", "text": QUESTION % MARK.decode()}, *(image for _ in range(4))]


@pytest.mark.parametrize("megabytes", [0, 1, IMAGE_MB])
def test_parse_a_body(benchmark: BenchmarkFixture, megabytes: int) -> None:
    """A small one, and such with images: parsed, checked, and as it goes to the provider."""
    body = chat_body("auto", stream=False, content=images(megabytes) if megabytes else None)

    def there_and_back() -> bytes:
        return parse_chat(body).upstream_body("up-m0")

    assert len(benchmark(there_and_back)) > megabytes * 1e6


RECORD = Record(
    **{
        **dict.fromkeys(Record._fields),
        "request_id": "req_0123456789abcdef",
        "time": 1.7e9,
        "requested": "auto",
        "policy": "balanced",
        "chosen": "m0",
        "served": "m0",
        "deployment": "m0#1",
        "candidates": orjson.dumps(
            [{"model": f"m{i}", "p_correct": 0.5, "price_usd": 1e-5} for i in range(8)]
        ).decode(),
        "stream": False,
        "status": 200,
        "latency_ms": 1.0,
        "first_token_ms": 1.0,
        "overhead_ms": 0.5,
    }  # type: ignore[arg-type]
)
ROWS = 1_000


def test_record_and_count_a_request(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """What is done before the next request: its record into the buffer, its numbers into the metrics."""
    recorder, metrics = Recorder(Database(DatabaseLocation(tmp_path / "record.db"))), Metrics()
    parts = [Part("m0", "m0#1", 64, 20, 10_000, False)]

    def take() -> None:
        metrics.request_started()
        metrics.request_finished()
        recorder.add(RECORD)
        metrics.count_request(RECORD, parts, ())

    benchmark(take)


def test_write_1000_records(benchmark: BenchmarkFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a thread does with them later, without the pause between two writings."""
    monkeypatch.setattr(recorder_module, "FLUSH_S", 0.0)

    async def write() -> None:
        for _ in range(ROWS):
            recorder.add(RECORD)
        while recorder.pending:  # noqa: ASYNC110 - it has no event for it
            await asyncio.sleep(0)

    recorder = Recorder(Database(DatabaseLocation(tmp_path / "record.db")))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(recorder.__aenter__())
        benchmark(lambda: runner.run(write()))
        runner.run(recorder.__aexit__())
