import asyncio
import sys
import threading

import pytest

from gateway.core.background import SWITCH_INTERVAL_S, in_daemon_thread

pytestmark = pytest.mark.anyio


async def test_the_outcome_of_the_work_or_its_error_is_given() -> None:
    assert await asyncio.wrap_future(in_daemon_thread(lambda: threading.current_thread().name, "work")) == "work"
    with pytest.raises(ZeroDivisionError):
        await asyncio.wrap_future(in_daemon_thread(lambda: 1 // 0, "work"))


async def test_threads_switch_more_often_until_all_work_is_done() -> None:
    before = sys.getswitchinterval()
    ends = [threading.Event(), threading.Event()]
    first, second = (asyncio.wrap_future(in_daemon_thread(end.wait, "work")) for end in ends)
    await asyncio.sleep(0.01)
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    ends[0].set()
    await first
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL_S)
    ends[1].set()
    await second
    assert sys.getswitchinterval() == pytest.approx(before)


async def test_work_whose_outcome_is_not_awaited_goes_on() -> None:
    end, ended = threading.Event(), threading.Event()

    def work() -> None:
        end.wait()
        ended.set()

    outcome = in_daemon_thread(work, "work")
    assert outcome.cancel()
    end.set()
    assert await asyncio.to_thread(ended.wait, 5)
