"""An engine of limits that answers or fails within a time."""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TypeVar

from gateway.core.vocabulary import Clock
from gateway.limits.engine import Answer, Ask, Engine, LimitsAway, Swept, WindowKey, WindowState
from gateway.store.guard import Guard, StoreAway

log = logging.getLogger("locus.limits")

T = TypeVar("T")


class GuardedEngine:
    """An engine behind a guard.

    Args:
        name: of the store, for the log.
        timeout_s: longest wait for an answer.
        clock: monotonic seconds.
    """

    def __init__(self, engine: Engine, name: str, timeout_s: float, clock: Clock) -> None:
        self._engine = engine
        self._guard = Guard(f"limits: {name}", timeout_s, clock, log, logging.CRITICAL)

    @property
    def away(self) -> bool:
        """True if the store did not answer the last time."""
        return self._guard.away

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        return await self._ask(lambda: self._engine.exchange(asks))

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        return await self._ask(lambda: self._engine.windows(keys))

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        return await self._ask(lambda: self._engine.sweep(killed))

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._guard.ask(question)
        except StoreAway as exc:
            raise LimitsAway(str(exc)) from exc
