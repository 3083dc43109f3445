"""Hedged requests: where one call takes long, others begin beside it. The first that answers wins, the others end."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from gateway.answering.attempts import CANCELLED, HEDGED, Attempt, Attempts
from gateway.answering.open_call import OpenCall
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.routing.candidate import Candidate


@dataclass(slots=True)
class _Call:
    candidate: Candidate
    live: LiveDeployment
    attempts: Attempts
    started: float
    silent: bool = False


class Hedge:
    """Use as an async context manager: leaving it ends every call but the winner's.

    Args:
        ask: makes one call, and writes what fails into the attempts that it is given.
        judge: told of every failure; may raise to end the hedge.
        attempts: of the request; gets everything at the end.
    """

    def __init__(
        self,
        ask: Callable[[Candidate, LiveDeployment, Attempts], Coroutine[Any, Any, OpenCall]],
        judge: Callable[[UpstreamFailure, Candidate], None],
        attempts: Attempts,
        clock: Clock,
    ) -> None:
        self._ask = ask
        self._judge = judge
        self._attempts = attempts
        self._clock = clock
        self._calls: dict[asyncio.Task[OpenCall], _Call] = {}
        self._running: set[asyncio.Task[OpenCall]] = set()
        self._winner: OpenCall | None = None
        self._began = clock()

    async def __aenter__(self) -> "Hedge":
        return self

    def start(self, candidate: Candidate, live: LiveDeployment) -> None:
        """One more call."""
        call = _Call(candidate, live, Attempts(), self._clock())
        task = asyncio.create_task(self._ask(candidate, live, call.attempts))
        self._calls[task] = call
        self._running.add(task)

    @property
    def paused_s(self) -> float:
        """How long the call that joined last has kept, or is to keep, from asking again, seconds."""
        return next(reversed(self._calls.values())).attempts.paused_s

    async def result(self, wait_s: float | None) -> OpenCall | None:
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
                    self._judge(failure, self._calls[task].candidate)
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
        self._attempts.waited_s += now - self._began
        ended = CANCELLED if kind is asyncio.CancelledError else HEDGED
        for task, call in self._calls.items():
            self._attempts.entries += call.attempts.entries
            self._attempts.failures += call.attempts.failures
            if not task.done():
                beaten = call.silent and self._winner is not None
                cause = Cause.TIMEOUT.value if beaten else ended
                self._attempts.entries.append(
                    Attempt(call.candidate, call.live.spec.id, cause, None, now - call.started)
                )
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


def _has_failed(task: asyncio.Task[OpenCall]) -> bool:
    return task.cancelled() or task.exception() is not None
