"""What a process may use of a limit while the store does not answer: its share of what was left when it answered last. Pure."""

from gateway.limits import rates
from gateway.limits.engine import Amounts
from gateway.limits.rates import Cells
from gateway.limits.slice import Slice


class AwayShare:
    """The share of one slice, from the time when the store went away.

    Args:
        money: expected and worst nano-USD that the slice may use; None if its budgets are not known.
        shares: the number of processes that share the limits.
    """

    def __init__(self, slice: Slice, money: tuple[int, int] | None, shares: int) -> None:
        self._slice = slice
        self._shares = shares
        self._minute: dict[str, Cells] = {"requests": {}, "tokens": {}}
        self.known = money is not None or not slice.has_budget
        if money is not None:
            slice.expected += money[0]
            slice.worst += money[1]
        for term in slice.terms.counts:
            if term.kind == "parallel":
                slice.places = max(slice.places, self._share(term.limit))

    def provide(self, need: Amounts, now: float) -> bool:
        """Gives the slice what it needs of requests and tokens; False if that is more than the share of this minute."""
        if not self.known:
            return False
        needed = {"requests": need.requests, "tokens": need.tokens}
        for term in self._slice.terms.counts:
            if (amount := needed.get(term.kind, 0)) > 0:
                share = self._share(term.limit)
                if rates.prune(self._minute[term.kind], now) + min(amount, share) > share:
                    return False
        for kind, amount in needed.items():
            rates.charge(self._minute[kind], now, max(0, amount))
        self._slice.requests += need.requests if self._slice.limits_requests else 0
        self._slice.tokens += need.tokens if self._slice.limits_tokens else 0
        return True

    def _share(self, limit: int) -> int:
        return max(1, limit // self._shares)
