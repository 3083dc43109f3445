"""Keeps a store that does not answer from delaying requests: after a failure it is not asked for a moment."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from gateway.core.vocabulary import Clock

PAUSE_S = 1.0  # until it is asked again
T = TypeVar("T")


class StoreAway(Exception):
    """A store does not answer."""


class Guard:
    """Asks a store, which answers or fails within a time.

    Args:
        name: of what the store is for and of the store, for the log.
        timeout_s: longest wait for an answer.
        clock: monotonic seconds.
        log: gets one line for each change of state.
        level: of the line that says that the store does not answer.

    Attributes:
        away: the store did not answer the last time.
    """

    def __init__(self, name: str, timeout_s: float, clock: Clock, log: logging.Logger, level: int) -> None:
        self.away = False
        self._name = name
        self._timeout_s = timeout_s
        self._clock = clock
        self._log = log
        self._level = level
        self._ask_at = 0.0
        self._questions: set[asyncio.Future[Any]] = set()  # under way; asyncio itself keeps no reference

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer of the store.

        Raises:
            StoreAway: it does not answer, or did not a moment ago.
        """
        if self.away and self._clock() < self._ask_at:
            raise StoreAway(f"{self._name} does not answer")
        try:
            answer = await self._in_time(question)
        except (StoreAway, TimeoutError) as exc:
            if not self.away:
                self._log.log(self._level, "%s does not answer (%s)", self._name, str(exc) or "timeout")
            self.away, self._ask_at = True, self._clock() + PAUSE_S
            raise StoreAway(f"{self._name} does not answer") from exc
        if self.away:
            self._log.warning("%s answers again", self._name)
            self.away = False
        return answer

    async def _in_time(self, question: Callable[[], Awaitable[T]]) -> T:
        """The answer; TimeoutError once the time is over, even if the question cannot be cancelled before a lock is free."""
        task = asyncio.ensure_future(question())
        self._questions.add(task)
        task.add_done_callback(self._forget)
        try:
            await asyncio.wait([task], timeout=self._timeout_s)
            if not task.done():
                raise TimeoutError
            return task.result()
        finally:
            task.cancel()

    def _forget(self, task: asyncio.Future[T]) -> None:
        self._questions.discard(task)
        if not task.cancelled():
            task.exception()  # it is known, so asyncio need not log it
