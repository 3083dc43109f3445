"""Keeps a store of limits that does not answer from delaying requests: after a failure it is not asked for a moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.core.vocabulary import Clock
from gateway.limits.engine import Answer, Ask, Engine, LimitsAway, Swept

log = logging.getLogger("locus.limits")

PAUSE_S = 1.0  # until it is asked again
T = TypeVar("T")


class Guard:
    """An engine that answers or fails within a time.

    Args:
        name: of the store, for the log.
        timeout_s: longest wait for an answer.
        clock: monotonic seconds.

    Attributes:
        away: the store did not answer the last time.
    """

    def __init__(self, engine: Engine, name: str, timeout_s: float, clock: Clock) -> None:
        self.away = False
        self._engine = engine
        self._name = name
        self._timeout_s = timeout_s
        self._clock = clock
        self._ask_at = 0.0

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        return await self._guarded(lambda: self._engine.exchange(asks))

    async def sweep(self) -> list[Swept]:
        return await self._guarded(self._engine.sweep)

    async def _guarded(self, call: Callable[[], Awaitable[T]]) -> T:
        if self.away and self._clock() < self._ask_at:
            raise LimitsAway(f"{self._name} does not answer")
        try:
            async with asyncio.timeout(self._timeout_s):
                result = await call()
        except (LimitsAway, TimeoutError) as exc:
            if not self.away:
                log.critical("limits: %s does not answer (%s)", self._name, str(exc) or "timeout")
            self.away, self._ask_at = True, self._clock() + PAUSE_S
            raise LimitsAway(f"{self._name} does not answer") from exc
        if self.away:
            log.warning("limits: %s answers again", self._name)
            self.away = False
        return result
