"""Pauses of the event loop appear in the metrics."""

import asyncio

import pytest

from gateway.record.loop_monitor import LoopMonitor
from gateway.record.metrics import Metrics
from gateway.record.totals import Totals

pytestmark = pytest.mark.anyio


async def test_work_that_blocks_the_loop_is_measured() -> None:
    now = 0.0
    pauses: list[float] = []
    async with LoopMonitor(pauses.append, clock=lambda: now):
        now += 3.0  # as if something had run for so long
        await asyncio.sleep(0.05)
        now += 0.001
    assert len(pauses) == 1
    assert 2.9 < pauses[0] < 3.0


def test_the_longest_pause_of_several_processes() -> None:
    one, other = Metrics(), Metrics()
    for metrics, pauses in ((one, (0.007, 0.3)), (other, (0.02,))):
        for pause in pauses:
            metrics.loop_paused(pause)
    totals = Totals()
    totals.merge(one.dump())
    totals.merge(other.dump())
    assert totals.gauges["locus_event_loop_longest_pause_seconds"] == 0.3
    text = one.render().decode()
    assert 'locus_event_loop_pause_seconds_bucket{le="0.01"} 1.0' in text
    assert "locus_event_loop_pause_seconds_count 2.0" in text
    assert "locus_event_loop_longest_pause_seconds 0.3" in text
