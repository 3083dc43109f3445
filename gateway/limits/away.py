"""What a process may use of a limit while the store does not answer: its share of what was left when it answered last. Pure."""

from collections.abc import Callable

from gateway.limits import rates
from gateway.limits.budget_watch import BudgetWatch
from gateway.limits.engine import Amounts, CountTerm
from gateway.limits.exchange import SHARES
from gateway.limits.rates import MINUTE_S, Cells
from gateway.limits.slice import Slice


class AwayShare:
    """The share of one slice, from the time when the store went away.

    In the first minute the shares of all processes are what was left of the limit; later they are the limit. So no minute has more
    than the limit. A process that has not asked yet does not know what was left, and takes as much as a first slice would be.

    Args:
        money: expected and worst nano-USD that the slice may use; None if its budgets are not known.
        shares: the number of processes that share the limits.
        now: seconds since the epoch.
    """

    def __init__(self, slice: Slice, money: tuple[int, int] | None, shares: int, now: float) -> None:
        self._slice = slice
        self._shares = shares
        self._began = now
        self._minute: dict[str, Cells] = {"requests": {}, "tokens": {}}
        self.known = money is not None or not slice.has_budget
        if money is not None:
            slice.expected += money[0]
            slice.worst += money[1]
        self._left = {term: term.limit // SHARES for term in slice.terms.counts}
        if slice.last is not None:
            for term, state in zip(slice.terms.counts, slice.last.counts, strict=True):
                self._left[term] = max(0, term.limit - state.used)
        for term in slice.terms.counts:
            if term.kind == "parallel":
                slice.places = max(slice.places, max(1, term.limit // shares))

    def provide(self, need: Amounts, now: float) -> bool:
        """Gives the slice what it needs of requests and tokens; False if that is more than the share of this minute.

        The store hears of it when it answers again.
        """
        if not self.known:
            return False
        needed = {"requests": need.requests, "tokens": need.tokens}
        for term in self._slice.terms.counts:
            if (amount := needed.get(term.kind, 0)) > 0:
                share = self._share(term, now)
                if not share or rates.prune(self._minute[term.kind], now) + min(amount, share) > share:
                    return False
        for kind, amount in needed.items():
            rates.charge(self._minute[kind], now, max(0, amount))
        self._slice.lend(need.requests, need.tokens)
        return True

    def _share(self, term: CountTerm, now: float) -> int:
        if now < self._began + MINUTE_S:
            return self._left[term] // self._shares
        return max(1, term.limit // self._shares)


class AwayShares:
    """The shares of all slices of a process.

    Args:
        budgets: what is known of them.
        processes: the number of processes that share the limits, as far as it is known without the store.
        local: False: there are no shares, so that a process uses only what it holds.
    """

    def __init__(self, budgets: BudgetWatch, processes: Callable[[], int], local: bool) -> None:
        self._budgets = budgets
        self._processes = processes
        self._local = local
        self._shares: dict[Slice, AwayShare] = {}

    def provide(self, slice: Slice, need: Amounts, now: float) -> bool:
        """Gives a slice a part of its share; False if the share is used up."""
        if not self._local:
            return False
        share = self._shares.get(slice)
        if share is None:
            shares = max(self._processes(), *(state.leases for state in self._budgets.states()), 1)
            share = self._shares[slice] = AwayShare(slice, self._budgets.share(slice), shares, now)
        return share.provide(need, now)

    def apply_to(self, slice: Slice) -> bool:
        """True if a slice had a share while the store was away, to which it keeps until all processes have told the store."""
        share = self._shares.get(slice)
        return share is not None and share.known

    def clear(self) -> None:
        """The store knows what all processes used."""
        self._shares.clear()
