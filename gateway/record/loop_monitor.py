"""How long the event loop is held: everything else waits while one piece of work runs in it."""

import asyncio
import time
from collections.abc import Callable

INTERVAL_S = 0.01  # a hundred looks a second cost a thousandth of a core; a shorter pause than this may be missed
SMALLEST_S = 0.002  # what is counted: less is the system's own imprecision


class LoopMonitor:
    """Looks at the clock every 10 ms and tells by how much each look was late. Use as an async context manager.

    Args:
        paused: gets each pause, seconds.
        clock: monotonic seconds.
    """

    def __init__(self, paused: Callable[[float], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._paused = paused
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> "LoopMonitor":
        self._loop = asyncio.get_running_loop()
        self._wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _wait(self) -> None:
        self._due = self._clock() + INTERVAL_S
        self._timer = self._loop.call_later(INTERVAL_S, self._look)

    def _look(self) -> None:
        late = self._clock() - self._due
        if late >= SMALLEST_S:
            self._paused(late)
        self._wait()
