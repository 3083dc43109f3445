"""A race: calls for one request beside each other, where one alone takes long. The first that answers wins, the others end."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gateway.fleet import Clock, LiveDeployment
from gateway.served import Served
from gateway.trail import CANCELLED, HEDGED, Attempt, Hop, Trail
from gateway.upstream.failures import Cause, UpstreamFailure


@dataclass(slots=True)
class _Call:
    hop: Hop
    live: LiveDeployment
    trail: Trail
    started: float
    silent: bool = False


class Race:
    """Use as an async context manager: leaving it ends every call but the winner's.

    Args:
        ask: makes one call, and writes what fails into the trail that it is given.
        judge: told of every failure; may raise to end the race.
        trail: of the request; gets everything at the end.
    """

    def __init__(
        self,
        ask: Callable[[Hop, LiveDeployment, Trail], Coroutine[Any, Any, Served]],
        judge: Callable[[UpstreamFailure, Hop], None],
        trail: Trail,
        clock: Clock,
    ) -> None:
        self._ask = ask
        self._judge = judge
        self._trail = trail
        self._clock = clock
        self._calls: dict[asyncio.Task[Served], _Call] = {}
        self._running: set[asyncio.Task[Served]] = set()
        self._winner: Served | None = None
        self._began = clock()

    async def __aenter__(self) -> "Race":
        return self

    def start(self, hop: Hop, live: LiveDeployment) -> None:
        """One more call."""
        call = _Call(hop, live, Trail(), self._clock())
        task = asyncio.create_task(self._ask(hop, live, call.trail))
        self._calls[task] = call
        self._running.add(task)

    @property
    def paused_s(self) -> float:
        """How long the call that joined last has kept, or is to keep, from asking again, seconds."""
        return next(reversed(self._calls.values())).trail.paused_s

    async def result(self, wait_s: float | None) -> Served | None:
        """The winner; None where there is none after so many seconds.

        Raises:
            UpstreamFailure: all have failed; the last one.
        """
        while True:
            done, self._running = await asyncio.wait(self._running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                return None
            failed: UpstreamFailure | None = None
            for task in sorted(done, key=_has_failed):  # an answer counts, whatever else failed in the same moment
                try:
                    self._winner = task.result()
                    return self._winner
                except UpstreamFailure as failure:
                    self._judge(failure, self._calls[task].hop)
                    failed = failure
            if failed is not None and not self._running:
                raise failed

    def silent(self) -> None:
        """Those that run have said nothing for too long: that counts against them if another one wins."""
        for task in self._running:
            self._calls[task].silent = True

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        now = self._clock()
        self._trail.waited_s += now - self._began
        ended = CANCELLED if kind is asyncio.CancelledError else HEDGED
        for task, call in self._calls.items():
            self._trail.attempts += call.trail.attempts
            self._trail.failures += call.trail.failures
            if not task.done():
                beaten = call.silent and self._winner is not None
                cause = Cause.TIMEOUT.value if beaten else ended
                self._trail.attempts.append(Attempt(call.hop, call.live.spec.id, cause, None, now - call.started))
                if beaten:
                    call.live.breaker.failure(now, cause)
                task.cancel()
        if len(self._calls) > 1 or self._winner is None:
            await self._close()

    async def _close(self) -> None:
        tasks = list(self._calls)
        winner = self._winner
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError:
            winner = None
            raise
        finally:
            for task in tasks:
                if task.done() and not task.cancelled() and task.exception() is None and task.result() is not winner:
                    await task.result().aclose()


def _has_failed(task: asyncio.Task[Served]) -> bool:
    return task.cancelled() or task.exception() is not None
