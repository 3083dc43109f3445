"""Requests to stop a process, from signals and from the supervisor."""

import asyncio

import pytest

from gateway.server.run import StopRequests

pytestmark = pytest.mark.anyio


async def test_each_signal_is_one_request() -> None:
    requests: list[int] = []
    stop = StopRequests(once=False)
    stop.action = lambda: requests.append(1)
    stop.signalled()
    stop.signalled()
    assert len(requests) == 2


async def test_all_signals_to_a_worker_are_one_request_and_the_supervisor_makes_the_second() -> None:
    requests: list[int] = []
    stop = StopRequests(once=True)
    stop.action = lambda: requests.append(1)
    stop.signalled()
    stop.from_supervisor(False)
    stop.signalled()
    assert len(requests) == 1
    stop.from_supervisor(True)
    stop.from_supervisor(True)
    assert len(requests) == 2


async def test_a_worker_that_only_its_supervisor_stops_at_once_gets_both_requests() -> None:
    requests: list[int] = []
    stop = StopRequests(once=True)
    stop.action = lambda: requests.append(1)
    stop.from_supervisor(True)
    assert len(requests) == 2


async def test_a_process_that_has_not_started_is_cancelled() -> None:
    async def start() -> None:
        StopRequests(once=False).signalled()
        await asyncio.sleep(10)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(start())
