"""A slice: this process's end of a lease. Requests take from it without asking the store. Pure, except for its lock.

The store's side is always at least what the slice believes to hold: an ask lowers the slice before it is sent, and the answer
raises it. So a lost answer strands a part of the limit until the next one, and never exceeds it.
"""

import asyncio

from gateway.config.access import Grant
from gateway.limits.engine import NOTHING, Amounts, Answer, Ask, Owner, Terms
from gateway.limits.exchange import SHARES

RECENT_S = 5.0  # a slice holds at most what its process used in this time, and gives it back after as long without use
SHORTEST_S = 0.5  # from which a rate is taken
_UNLIMITED = 1 << 62
_NEVER_LOW = Amounts(expected=_UNLIMITED, worst=_UNLIMITED)


class Slice:
    """What this process holds of the limits of one key and its team, in the windows of one time.

    Attributes:
        lease: its id in the store.
        grant: of the key.
        until: the end of its first window, by the store's clock; later requests need another slice.
        spent: nano-USD in all; `expected` and `worst` are what it may spend in all.
        open_expected, open_worst: reserved by requests in progress.
        open: requests in progress.
        last: the newest grant; None before the first.
        asked_at: when the store was asked last, by the process's clock.
        ended: requests that arrive take another slice, so it keeps only what its requests in progress hold.
    """

    def __init__(self, lease: str, grant: Grant, terms: Terms, until: float, now: float) -> None:
        self.lease, self.grant, self.terms, self.until = lease, grant, terms, until
        self.owner = Owner(grant.identity.id, grant.identity.team)
        self.spent = self.expected = self.worst = self.open_expected = self.open_worst = 0
        self.places = self.open = self.requests = self.tokens = 0
        self.ended = False
        self.lock = asyncio.Lock()
        self.last: Answer | None = None
        self.asked_at = 0.0
        self._passed = now
        kinds = {term.kind for term in terms.counts}
        self.has_budget = bool(terms.budgets)
        self.limits_places = "parallel" in kinds
        self.limits_requests = "requests" in kinds
        self.limits_tokens = "tokens" in kinds
        self._owed_requests = self._owed_tokens = 0
        self._fair = Amounts(*[_UNLIMITED] * 5)
        self._low = _NEVER_LOW  # what may be spent and reserved, and requests and tokens, before more is asked for
        self._now, self._before = [0] * 5, [0] * 5  # what was taken in this and in the last `RECENT_S`
        self._reported = 0

    def begin(self, tokens: int = 0) -> bool:
        """Takes a place, one request, and tokens; False if the slice does not suffice."""
        if (self.limits_places and self.open >= self.places) or (self.limits_requests and not self.requests):
            return False
        if tokens and not self.reserve(0, 0, tokens):
            return False
        self.open += 1
        if self.limits_places:
            self._now[2] = max(self._now[2], self.open)
        if self.limits_requests:
            self.requests -= 1
            self._now[3] += 1
        return True

    def reserve(self, expected: int, worst: int, tokens: int) -> bool:
        """Takes money and tokens; False if the slice does not suffice."""
        if self.has_budget:
            to_expect, at_worst = self.open_expected + expected, self.open_worst + worst
            if self.spent + to_expect > self.expected or self.spent + at_worst > self.worst:
                return False
        if self.limits_tokens:
            if tokens > self.tokens:
                return False
            self.tokens -= tokens
            self._now[4] += tokens
        if self.has_budget:
            self.open_expected, self.open_worst = to_expect, at_worst
            self._now[0] += expected
            self._now[1] += worst
        return True

    def settle(self, expected: int, worst: int, nusd: int) -> None:
        """Ends a reservation, of which `nusd` were spent."""
        if self.has_budget:
            self.open_expected -= expected
            self.open_worst -= worst
            self.spent += nusd

    def finish(self) -> None:
        """A request is over."""
        self.open -= 1

    def lend(self, requests: int, tokens: int) -> None:
        """Adds requests and tokens that the store has not granted, and hears of later."""
        if self.limits_requests:
            self.requests += requests
            self._owed_requests += requests
        if self.limits_tokens:
            self.tokens += tokens
            self._owed_tokens += tokens

    def owe_tokens(self, tokens: int) -> None:
        """Notes tokens that were used beyond those reserved; negative: that were not used."""
        if self.limits_tokens:
            self._owed_tokens += tokens

    # What the store should hear

    @property
    def free(self) -> Amounts:
        """What the slice has left."""
        return Amounts(
            self.expected - self.spent - self.open_expected,
            self.worst - self.spent - self.open_worst,
            self.places - self.open,
            self.requests,
            self.tokens,
        )

    @property
    def low(self) -> bool:
        """True if it should ask for more before it has nothing left."""
        spent, low = self.spent, self._low
        return (
            spent + self.open_expected > low[0]
            or spent + self.open_worst > low[1]
            or self.requests < low[3]
            or self.tokens < low[4]
        )

    @property
    def excess(self) -> bool:
        """True if it holds more than its fair share of what is left, so that other processes may be refused."""
        spent, fair = self.spent, self._fair
        return (
            self.expected - spent - self.open_expected > fair[0]
            or self.worst - spent - self.open_worst > fair[1]
            or self.places - self.open > fair[2]
            or self.requests > fair[3]
            or self.tokens > fair[4]
        )

    @property
    def unreported(self) -> bool:
        """True if the store does not know all that was spent and used."""
        return self.spent != self._reported or bool(self._owed_requests or self._owed_tokens)

    @property
    def unused(self) -> bool:
        """True if it holds something beside its requests in progress that it does not need."""
        return (self.ended or self.idle) and any(have > 0 for have in self.free)

    @property
    def over(self) -> bool:
        """True if no request is in progress, and the store has booked all that was spent."""
        return not self.open and (0 if self.last is None else self.last.booked) >= self.spent

    @property
    def known(self) -> bool:
        """True if the store has it, or must get it: its requests may have spent money while the store did not answer."""
        return self.last is not None or self.open > 0 or self.spent > 0

    @property
    def idle(self) -> bool:
        """True if nothing was taken for `RECENT_S`."""
        return not any(self._now) and not any(self._before)

    def pass_time(self, now: float) -> None:
        """Forgets what was taken longer ago. Called every `RECENT_S`, with the process's clock."""
        self._passed = now
        self._before, self._now = self._now, [0, 0, self.open, 0, 0]

    def ask(self, now: float, need: Amounts = NOTHING, *, shrink: bool = True, ends: bool = False) -> Ask:
        """The ask for a need, and for what the process will use soon. Lowers the slice to what it asks to keep.

        Args:
            now: by the process's clock.
            shrink: keep no more than what will be used soon, and a fair share; False: keep all.
            ends: keep nothing.
        """
        # At the rate since the last `pass_time`; a first burst may be the beginning of more.
        rate = RECENT_S / min(max(now - self._passed, SHORTEST_S), RECENT_S)
        recent = [max(int(taken * rate), before) for taken, before in zip(self._now, self._before, strict=True)]
        recent[2] = max(0, max(self._now[2], self._before[2]) - self.open)
        ends_soon = ends or self.ended
        target = [0 if ends_soon else min(pair) for pair in zip(recent, self._fair, strict=True)]
        keep = [max(0, min(pair) if shrink else pair[0]) for pair in zip(self.free, target, strict=True)]
        open_expected, open_worst = self.spent + self.open_expected, self.spent + self.open_worst
        expected, worst, places = open_expected + keep[0], open_worst + keep[1], self.open + keep[2]
        self.expected, self.worst = min(self.expected, expected), min(self.worst, worst)
        self.places = min(self.places, places)
        self._owed_requests += keep[3] - self.requests
        self._owed_tokens += keep[4] - self.tokens
        self.requests, self.tokens = keep[3], keep[4]
        owed = Amounts(requests=self._owed_requests, tokens=self._owed_tokens)
        self._owed_requests = self._owed_tokens = 0
        lacking = Amounts(*(max(0, needed - have) for needed, have in zip(need, keep, strict=True)))
        want = Amounts(*(0 if ends_soon else most - have for most, have in zip(recent, keep, strict=True)))
        return Ask(
            self.lease,
            self.owner,
            self.terms,
            self.spent,
            expected,
            worst,
            places if self.limits_places else 0,
            owed,
            lacking,
            want._replace(places=self.open if need.places else 0),
            ends,
        )

    def lost(self, ask: Ask) -> None:
        """The store did not answer an ask."""
        self._owed_requests += ask.owed.requests
        self._owed_tokens += ask.owed.tokens

    def apply(self, ask: Ask, answer: Answer) -> None:
        """Holds what the store granted."""
        self.last = answer
        self._reported = ask.spent
        self.expected, self.worst, self.places = answer.expected, answer.worst, answer.places
        self.requests += answer.requests
        self.tokens += answer.tokens
        self._fair = self._fair_share(answer)
        half = [have // 2 for have in self.free]
        money = (self.expected - half[0], self.worst - half[1]) if self.has_budget else _NEVER_LOW[:2]
        self._low = _NEVER_LOW if answer.tight else Amounts(*money, 0, half[3], half[4])

    def _fair_share(self, answer: Answer) -> Amounts:
        """The most that the slice should hold beside its requests in progress, by the newest state of its limits."""
        fair = [_UNLIMITED] * 5
        own = self.free
        for term, state in zip(self.terms.budgets, answer.budgets, strict=True):
            shares = SHARES * answer.leases
            fair[0] = min(fair[0], (term.limit - state.used - state.expected + own.expected) // shares)
            fair[1] = min(fair[1], (term.ceiling - state.used - state.worst + own.worst) // shares)
        for count, used in zip(self.terms.counts, answer.counts, strict=True):
            index = {"parallel": 2, "requests": 3, "tokens": 4}[count.kind]
            fair[index] = min(fair[index], (count.limit - used.used + own[index]) // SHARES)
        return Amounts(*(max(0, share) for share in fair))
