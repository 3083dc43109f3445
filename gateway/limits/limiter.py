"""The limits of one process: slices of what its keys and teams may use, renewed in the background.

A request takes its part of a slice without waiting. Where a slice does not suffice, the request asks the store; near the end
of a limit every request does, so that the end is exact.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from types import TracebackType
from typing import TypeVar

from gateway.config.access import Grant
from gateway.core.errors import StoreUnavailable
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Clock
from gateway.limits.away import AwayShares
from gateway.limits.budget_watch import BudgetWatch
from gateway.limits.engine import LEASE_S, Amounts, Answer, Ask, Engine, LimitsAway, Refused, Swept
from gateway.limits.exchange import SOON_S
from gateway.limits.hold import Hold
from gateway.limits.processes import Processes
from gateway.limits.refusals import refusal
from gateway.limits.slice import RECENT_S, Slice
from gateway.limits.terms import terms_at

log = logging.getLogger("locus.limits")

T = TypeVar("T")

TICK_S = 1.0
SWEEP_S = LEASE_S / 4
GATHER_S = 0.005  # slices that need the store at about the same time ask together
AWAY = "The store of limits does not answer; try again."
_ONE_REQUEST = Amounts(places=1, requests=1)
BACK_S = 2.5  # after the store is back, until all processes have told it what they used meanwhile
RENEW_S = LEASE_S / 4  # a lease in use is renewed at least this often


class Limiter:
    """Admits requests. Use as an async context manager; leaving it gives back all that the process holds.

    Args:
        engine: the store.
        swept: called with what was booked for processes that ended without settling, for the ledger.
        warned: called with kind ("key" or "team"), name and period of a budget that is nearly spent.
        clock: monotonic seconds.
        wall: seconds since the epoch; replaced by the store's clock as soon as that is known.
        local_if_away: while the store does not answer, the process admits its share of what was left; False: it refuses.
        processes: what is known of those that share the limits.

    Attributes:
        budgets: what is known of them.
        settled_twice: attempts to settle a request again, which do nothing.
    """

    def __init__(
        self,
        engine: Engine,
        swept: Callable[[list[Swept]], None] = lambda _: None,
        warned: Callable[[str, str, str], None] = lambda *_: None,
        clock: Clock = time.monotonic,
        wall: Clock = time.time,
        *,
        local_if_away: bool = True,
        processes: Processes | None = None,
    ) -> None:
        self.settled_twice = 0
        self.clock = clock
        self.budgets = BudgetWatch(engine.windows, warned)
        self._engine = engine
        self._on_swept = swept
        self._offset = wall() - clock()
        self._processes = processes or Processes()
        self._slices: dict[str, Slice] = {}  # by key id
        self._ending: list[Slice] = []
        self._begun = 0
        self._wake = asyncio.Event()
        self._due: dict[Slice, None] = {}
        self._shares = AwayShares(self.budgets, self._processes.number, local_if_away)
        self._away = False
        self._back_at = clock()
        self._task: asyncio.Task[None] | None = None
        self._passed, self._swept_at = clock(), float("-inf")

    async def __aenter__(self) -> "Limiter":
        self._task = asyncio.create_task(self._run(), name="limits")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        self._ending += self.slices()
        self._slices.clear()
        try:
            await self._exchange([(slice, slice.ask(self.clock(), ends=True)) for slice in self._ending if slice.known])
        except LimitsAway:
            log.warning("what this process holds of the limits could not be given back; it ends in %.0f s", LEASE_S)

    @property
    def now(self) -> float:
        """The store's clock, seconds since the epoch."""
        return self.clock() + self._offset

    async def admit(self, grant: Grant) -> Hold:
        """Takes a place and one request of the minute; `Hold.settle` must follow.

        Raises:
            GatewayError: a limit is reached.
        """
        taken = await self.take(grant)
        if isinstance(taken, Refused):
            raise refusal(grant, taken, self.now)
        return taken

    async def take(self, grant: Grant, tokens: int = 0) -> Hold | Refused:
        """Takes a place, one request of the minute, and tokens; `Hold.settle` must follow.

        Raises:
            StoreUnavailable: the store does not answer, and this process may not admit the request without it.
        """
        slice = self._slice(grant)
        if not slice.begin(tokens):
            need = Amounts(places=1, requests=1, tokens=tokens) if tokens else _ONE_REQUEST
            if (refused := await self.ask(slice, need, lambda: slice.begin(tokens))) is not None:
                return refused
            if slice.ended and slice not in self._ending:  # it ended, and was given back, while the store was asked
                self._ending.append(slice)
        elif slice.low:
            self.ask_soon(slice)
        return Hold(self, slice, tokens=tokens)

    def standing(self, grant: Grant) -> Slice:
        """The slice in use for a key, which knows the newest state of its limits."""
        slice = self._slices.get(grant.identity.id)
        return slice if slice is not None and self.now < slice.until else self._slice(grant)

    async def current(self, grant: Grant) -> Slice:
        """The slice of a key, after the store has told the state of its limits. Without a store the state may be older."""
        slice = self._slice(grant)
        with contextlib.suppress(LimitsAway):
            async with slice.lock:
                await self._exchange([(slice, slice.ask(self.clock()))])
        return slice

    def cost_factor(self, grant: Grant) -> float:
        """How much more than usual money counts to policies for a key; 1 if none of its budgets is near its limit."""
        if all(limits.near_limit is None for _, limits in grant.scopes):
            return 1.0
        return self.budgets.cost_factor(self.standing(grant))

    def slices(self) -> Iterator[Slice]:
        """All slices in use."""
        return iter(self._slices.values())

    async def refresh(self) -> None:
        """Tells the store all that it does not know yet, and gives back what is not used."""
        now = self.clock()
        if not self._away and now - self._back_at >= BACK_S:
            self._shares.clear()
        if now - self._passed >= RECENT_S:
            self._passed = now
            for slice in list(self.slices()):
                slice.pass_time(now)
                if slice.idle and not slice.open and not self._away:
                    self._end(slice)
        over = [slice for slice in self._ending if slice.over and not slice.lock.locked()]
        due = [slice for slice in (*self.slices(), *self._ending) if slice not in over and self._is_due(slice, now)]
        self._due.clear()
        async with _locked([*due, *over]):
            await self._exchange(
                [(slice, slice.ask(now, ends=slice in over, shrink=not self._away)) for slice in (*due, *over)]
            )
            self._ending = [slice for slice in self._ending if slice not in over]
        killed = self._processes.killed()
        if now - self._swept_at >= (TICK_S if killed else SWEEP_S):
            self._swept_at = now
            if swept := [one for one in await self._engine.sweep(killed) if one.nusd]:
                self._on_swept(swept)
            self.budgets.forget_before(self.now)

    def _is_due(self, slice: Slice, now: float) -> bool:
        if not slice.known or slice.lock.locked():
            return False
        renewal = now - slice.asked_at >= RENEW_S
        return self._away or slice in self._due or slice.unreported or renewal or slice.unused

    def _slice(self, grant: Grant) -> Slice:
        """The slice in use for a key; a new one if a window has ended, or the limits have changed."""
        slice = self._slices.get(grant.identity.id)
        if slice is not None:
            known = slice.grant
            if self.now < slice.until and (known is grant or known.scopes == grant.scopes):
                return slice
            self._end(slice)
        terms, until = terms_at(grant, self.now)
        self._begun += 1
        self._slices[grant.identity.id] = slice = Slice(
            f"{self._processes.id}/{self._begun}", grant, terms, until, self.clock()
        )
        return slice

    def _end(self, slice: Slice) -> None:
        """Takes a slice out of use. The store forgets it as soon as its requests are over and booked."""
        del self._slices[slice.grant.identity.id]
        slice.ended = True
        if slice.known:
            self._ending.append(slice)

    async def ask(self, slice: Slice, need: Amounts, take: Callable[[], bool]) -> Refused | None:
        """Takes a need from a slice by `take`, after the store has granted what the slice lacks.

        Returns:
            why the store has refused it; None if the need was taken.

        Raises:
            StoreUnavailable: the store does not answer, and this process may not admit the need without it.
        """
        async with slice.lock:
            while not take():  # another request may have taken what was granted
                if not self._away and self._shares.apply_to(slice):
                    if not self._shares.provide(slice, need, self.now):
                        raise StoreUnavailable(AWAY, headers={"retry-after": "1"})
                    if take():
                        return None
                try:
                    answer = await self._answer(slice, need)
                except LimitsAway as exc:
                    if self._shares.provide(slice, need, self.now) and take():
                        return None
                    raise StoreUnavailable(AWAY, headers={"retry-after": "1"}) from exc
                if answer.refused is not None:
                    return _when(answer.refused, answer, slice, need)
        return None

    async def _answer(self, slice: Slice, need: Amounts) -> Answer:
        """The store's answer to a need. What ended slices of the same key do not need is given back first."""
        now = self.clock()
        ended = [one for one in self._ending if one.owner == slice.owner and one.unused and not one.lock.locked()]
        async with _locked(ended):
            asks = [(one, one.ask(now)) for one in ended]
            answers = await self._exchange([*asks, (slice, slice.ask(now, need, shrink=not self._away))])
        return answers[-1]

    async def _exchange(self, asks: list[tuple[Slice, Ask]]) -> list[Answer]:
        """The store's answers, which the slices take over even if the caller is cancelled: the store has granted them."""
        return await _completed(self._exchanged(asks)) if asks else []

    async def _exchanged(self, asks: list[tuple[Slice, Ask]]) -> list[Answer]:
        sent = self.clock()
        try:
            answers = await self._engine.exchange([ask for _, ask in asks])
        except LimitsAway:
            for slice, ask in asks:
                slice.lost(ask)
            self._away = True
            raise
        if self._away:
            self._away, self._back_at = False, self.clock()
        for (slice, ask), answer in zip(asks, answers, strict=True):
            slice.asked_at = sent
            slice.apply(ask, answer)
            self.budgets.note(slice)
        self._offset = answers[-1].now - self.clock()
        return answers

    def ask_soon(self, slice: Slice) -> None:
        self._due[slice] = None
        self._wake.set()

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
                await asyncio.sleep(GATHER_S)
            except TimeoutError:
                pass
            self._wake.clear()
            try:
                await self.refresh()
            except LimitsAway:
                pass
            except Exception as exc:
                log_exception(log, "limits cannot be renewed", exc)


def _when(refused: Refused, answer: Answer, slice: Slice, need: Amounts) -> Refused:
    """A budget in which the need would fit without the requests in progress is worth another try when they are over."""
    for term, state in zip(slice.terms.budgets, answer.budgets, strict=True):
        used = state.used + slice.spent - answer.booked
        fits = term.limit - used >= need.expected and term.ceiling - used >= need.worst
        if term is refused.term and fits:
            return Refused(term, answer.now + SOON_S)
    return refused


@contextlib.asynccontextmanager
async def _locked(slices: Iterable[Slice]) -> AsyncIterator[None]:
    """Holds the locks of several slices, so that of each only one ask is under way."""
    async with contextlib.AsyncExitStack() as stack:
        for slice in slices:
            await stack.enter_async_context(slice.lock)
        yield


async def _completed(work: Coroutine[None, None, T]) -> T:
    """Does the work to its end, even if the caller is cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.gather(task, return_exceptions=True)
        raise
