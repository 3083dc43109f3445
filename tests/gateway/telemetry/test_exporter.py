"""The export: a collector that is away, slow, busy or refuses, and the last spans at a stop."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.telemetry import exporter as module
from gateway.telemetry.exporter import Encoded, Exporter
from gateway.telemetry.options import Options
from gateway.telemetry.span import Span, encode
from gateway.telemetry.trace_context import TraceContext
from tests.gateway.running import eventually
from tests.gateway.telemetry.collector import Collector, collecting

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:9/v1/traces"


def spans(number: int = 1) -> Encoded:
    root = Span("POST /", "server", 1e9, 1e9 + 1, (("n", number),))
    return Encoded(encode(TraceContext(number, number, 0, True), root, []), 1)


@asynccontextmanager
async def exporting(url: str, timeout_s: float = 5.0) -> AsyncIterator[Exporter]:
    options = Options(f"{url}/v1/traces", timeout_s=timeout_s, delay_s=0.01)
    exporter = Exporter(lambda: options, lambda url: None)
    try:
        yield exporter
    finally:
        await exporter.aclose()


def numbers(collector: Collector) -> list[int]:
    return [span["n"] for span in collector.spans]


async def test_spans_are_sent_in_one_batch() -> None:
    async with collecting() as collector, exporting(collector.url) as exporter:
        for number in range(1, 6):
            exporter.add(spans(number))
        await eventually(lambda: len(collector.spans) == 5)
    assert len(collector.headers) == 1
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert exporter.lost == 0


async def test_a_busy_collector_gets_the_same_spans_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "locus.telemetry")
    async with collecting() as collector, exporting(collector.url) as exporter:
        collector.statuses = [503]
        exporter.add(spans(1))
        await eventually(lambda: numbers(collector) == [1])
    assert exporter.lost == 0
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "status 503" in caplog.text
    assert collector.url not in caplog.text


async def test_spans_that_the_collector_refuses_are_counted_and_not_sent_again() -> None:
    async with collecting() as collector, exporting(collector.url) as exporter:
        collector.statuses = [400]
        exporter.add(spans(1))
        await eventually(lambda: exporter.lost == 1)
        collector.rejects = 1
        exporter.add(spans(2))
        await eventually(lambda: exporter.lost == 2)
    assert numbers(collector) == [2]


async def test_without_a_collector_the_oldest_spans_are_dropped_and_one_line_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    size = len(spans().data)
    monkeypatch.setattr(module, "BUFFER_BYTES", 3 * size)
    async with exporting("http://127.0.0.1:9") as exporter:
        for number in range(1, 21):
            exporter.add(spans(number))
            await asyncio.sleep(0.002)
        await eventually(lambda: bool(caplog.records))
        assert exporter.lost == 17
    assert exporter.lost == 20
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]  # and one at the stop
    assert caplog.records[-1].message == "3 spans could not be sent before the stop"


async def test_a_collector_that_does_not_answer_delays_a_stop_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLUSH_S", 0.1)
    async with collecting() as collector:
        collector.hangs = True
        async with asyncio.timeout(30):
            async with exporting(collector.url, timeout_s=60) as exporter:
                exporter.add(spans(1))
                await eventually(lambda: bool(collector.headers))
                exporter.add(spans(2))
    assert exporter.lost == 2


async def test_an_answer_that_is_late_counts_as_a_failure() -> None:
    async with collecting() as collector, exporting(collector.url, timeout_s=0.05) as exporter:
        collector.hangs = True
        exporter.add(spans(1))
        await eventually(lambda: len(collector.headers) == 1)
        collector.hangs = False
        await eventually(lambda: numbers(collector) == [1])
    assert exporter.lost == 0


async def test_a_stop_sends_what_waits() -> None:
    async with collecting() as collector:
        options = Options(f"{collector.url}/v1/traces", delay_s=3600)
        exporter = Exporter(lambda: options, lambda url: None)
        exporter.add(spans(1))
        await asyncio.sleep(0.01)
        exporter.add(spans(2))
        await exporter.aclose()
        assert numbers(collector) == [1, 2]


async def test_a_full_batch_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH_BYTES", 2 * len(spans().data))
    async with collecting() as collector:
        options = Options(f"{collector.url}/v1/traces", delay_s=3600)
        exporter = Exporter(lambda: options, lambda url: None)
        for number in range(1, 4):
            exporter.add(spans(number))
        await eventually(lambda: numbers(collector) == [1, 2, 3])
        assert len(collector.headers) == 2
        await exporter.aclose()
