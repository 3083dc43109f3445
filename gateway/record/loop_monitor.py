"""Measures how long single pieces of work block the event loop."""

import asyncio
import time
from collections.abc import Callable

INTERVAL_S = 0.01  # a hundred checks per second take a thousandth of a core; shorter pauses may be missed
MIN_PAUSE_S = 0.002  # shorter delays are imprecision of the timer


class LoopMonitor:
    """Checks the clock every 10 ms and reports by how much each check is late. Use as an async context manager.

    Args:
        on_pause: called with each pause, in seconds.
        clock: monotonic seconds.
    """

    def __init__(self, on_pause: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_pause = on_pause
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "LoopMonitor":
        self._loop = asyncio.get_running_loop()
        self._schedule()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        self._due = self._clock() + INTERVAL_S
        self._timer = self._loop.call_later(INTERVAL_S, self._check)

    def _check(self) -> None:
        late = self._clock() - self._due
        if late >= MIN_PAUSE_S:
            self._on_pause(late)
        self._schedule()
