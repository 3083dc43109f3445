"""The limits that a deployment has of its own (`rpm`, `tpm`, `max_parallel_requests`), as its process knows them.

All processes share them, so only the store of limits knows what is left (`gateway.limits.deployments`). After it has refused a call
no further one is tried until that may help. Requests that wait for a place wait here.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from gateway.config.access import Grant, Limits
from gateway.config.portfolio import Deployment
from gateway.core.identity import KeyIdentity
from gateway.core.vocabulary import Clock

SCOPE = "deployment"  # the kind of the limits' scope in the store
PARALLEL = "max_parallel_requests"


@dataclass(frozen=True, slots=True)
class Reached:
    """A limit that was reached.

    Attributes:
        reason: such as "rpm reached".
        until: before this time no call is tried, monotonic seconds.
        free_at: the time at which the limit admits a call if nothing is given back before, monotonic seconds.
        limit: the field of the portfolio; None if the store of limits does not answer.
    """

    reason: str
    until: float
    free_at: float
    limit: str | None


class OwnLimits:
    """The limits of one deployment in one process.

    Attributes:
        grant: the limits, for the store of limits; None without limits.
        in_flight: the number of running calls.
    """

    def __init__(self, spec: Deployment, clock: Clock) -> None:
        self.grant = _grant(spec)
        self.in_flight = 0
        self._most = spec.max_parallel_requests
        self._clock = clock
        self._reached: Reached | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._retry: asyncio.TimerHandle | None = None

    @property
    def reached(self) -> Reached | None:
        """The limit that forbids a call now; None if a call may be tried."""
        now = self._clock()
        if self._most is not None and self.in_flight >= self._most:
            return Reached(f"{PARALLEL} reached", now, now, PARALLEL)
        if self._reached is not None and now >= self._reached.until:
            self._reached = None
        return self._reached

    @property
    def busy(self) -> bool:
        """True if as many calls are running as `max_parallel_requests` allows."""
        reached = self.reached
        return reached is not None and reached.limit == PARALLEL

    def refuse(self, reached: Reached) -> None:
        """Notes that the store of limits has refused a call."""
        self._reached = reached

    def start(self) -> None:
        """A call begins."""
        self.in_flight += 1
        self._reached = None
        self.pass_turn()

    def finish(self) -> None:
        """A call is over, and the next waiting request tries to have its place."""
        self.in_flight -= 1
        if self._reached is not None and self._reached.limit == PARALLEL:
            self._reached = None
        self._wake()

    async def wait_for_place(self, limit_s: float, most: int, *, again: bool = False) -> bool:
        """Waits until a place may be free, first come, first served. False if none was in time.

        Another process may have the place: then the caller waits again.

        Args:
            limit_s: longest wait, seconds.
            most: the most requests that may wait; with more the answer is False at once.
            again: the caller has its turn already, and got no place.
        """
        if not again and len(self._waiting) >= most:
            return False
        try:
            async with asyncio.timeout(limit_s):
                while self.busy:
                    await self._turn(again)
                    again = True  # a newer request took the place
        except TimeoutError:
            return False
        return True

    async def _turn(self, again: bool) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if again else self._waiting.append)(turn)
        self._retry_later()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it has its turn, and cannot take it
                self._wake()
            elif turn in self._waiting:  # else it was passed over already
                self._waiting.remove(turn)
            raise

    def pass_turn(self) -> None:
        """Lets the next waiting request try if a place may be free: what had its turn took none, or left another one."""
        if self._waiting and not self.busy:
            self._wake()

    def _retry_later(self) -> None:
        """Wakes the first one that waits when another process may have given back a place."""
        if self._retry is None and self._reached is not None:
            delay_s = max(0.0, self._reached.until - self._clock())
            self._retry = asyncio.get_running_loop().call_later(delay_s, self._retried)

    def _retried(self) -> None:
        self._retry = None
        if self._waiting and not self.busy:
            self._wake()
        elif self._waiting:
            self._retry_later()

    def _wake(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # one that is cancelled has not left the queue yet
                turn.set_result(None)
                return


def _grant(spec: Deployment) -> Grant | None:
    limits = Limits((), spec.rpm, spec.tpm, spec.max_parallel_requests)
    if limits == Limits():
        return None
    return Grant(KeyIdentity(f"{SCOPE}:{spec.id}", spec.id), scopes=(((SCOPE, spec.id), limits),))
