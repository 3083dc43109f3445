"""Admission: limits the requests in progress, with a short queue in front of them, and refuses the rest.

A request is admitted before its body is read, so a request that waits or is refused needs little memory.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.bodies.memory_budget import MemoryBudget
from gateway.config.settings import LoadSettings
from gateway.core.client import Client
from gateway.core.client_limits import LIMITS
from gateway.core.errors import Overloaded
from gateway.http.body_timeout import BodyTimeout
from gateway.record.metrics import Metrics


class Admission:
    """The places of one gateway process; waiting requests get them in the order of their arrival.

    Args:
        limits: gives the settings in force; called for each request, so a reload changes them.
        metrics: counts refused and waiting requests.

    Attributes:
        in_progress: requests that hold a place.
        memory: the budget that the admitted requests share.
    """

    def __init__(self, limits: Callable[[], LoadSettings], metrics: Metrics) -> None:
        self.in_progress = 0
        self._limits = limits
        self._queue: deque[asyncio.Future[None]] = deque()
        self._metrics = metrics
        self.memory = MemoryBudget(lambda: limits().max_memory_bytes, lambda: metrics.request_refused("memory"))
        metrics.watch_admission(lambda: self.waiting, lambda: self.memory.charged)

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def enter(self, client: Client | None = None) -> None:
        """Takes a place; `leave` gives it back.

        Raises:
            Overloaded: the queue is full, or the wait took too long.
            ConnectionResetError: the client disconnected while it waited.
        """
        limits = self._limits()
        if self._queue:  # a reload may have raised the limit
            self._admit(limits)
        if not self._queue and self.in_progress < limits.max_requests:
            self.in_progress += 1
            return
        if len(self._queue) >= limits.max_queued:
            raise self._overloaded("queue_full", limits)
        await self._wait(limits, client)

    def leave(self) -> None:
        """Gives a place back; the request that has waited longest gets it."""
        self.in_progress -= 1
        if self._queue:
            self._admit(self._limits())

    async def _wait(self, limits: LoadSettings, client: Client | None) -> None:
        place = asyncio.get_running_loop().create_future()
        self._queue.append(place)
        if client is not None:
            client.on_disconnect = place.cancel
        try:
            await asyncio.wait([place], timeout=limits.queue_timeout)
        except asyncio.CancelledError:
            if not self._remove(place):
                self.leave()
            raise
        finally:
            if client is not None:
                client.on_disconnect = None
        if place.cancelled():
            self._remove(place)
            raise ConnectionResetError("client disconnected while it waited for a place")
        if self._remove(place):
            raise self._overloaded("queue_timeout", limits)

    def _remove(self, place: "asyncio.Future[None]") -> bool:
        """Removes a place from the queue; return False if the request holds the place already."""
        if place.done() and not place.cancelled():
            return False
        if place in self._queue:
            self._queue.remove(place)
        return True

    def _admit(self, limits: LoadSettings) -> None:
        while self._queue and self.in_progress < limits.max_requests:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                self.in_progress += 1

    def _overloaded(self, reason: str, limits: LoadSettings) -> Overloaded:
        self._metrics.request_refused(reason)
        seconds = str(max(1, math.ceil(limits.queue_timeout)))
        return Overloaded(
            f"The gateway is at its limit of {limits.max_requests} requests; try again in {seconds} s.",
            headers={"retry-after": seconds},
        )


class Admitted:
    """Runs an application only while it holds a place: from before its body is read until the client has received its answer."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client: Client | None = scope["state"].get("connection")
        await self._admission.enter(client)
        try:
            if client is None:
                receive = BodyTimeout(receive, LIMITS)
            elif client.body_incomplete:
                receive = BodyTimeout(receive, client.limits)
            with self._admission.memory.account():
                await self._app(scope, receive, send)
                if client is not None:
                    await client.drained()
        finally:
            self._admission.leave()
