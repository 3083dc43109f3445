"""The interface between a process and the store of limits: a lease asks, and gets a grant.

A *lease* is what one process holds of the limits of one key and its team. Requests take their part of a lease without asking
the store; the lease asks for more in time. The amounts of money that a lease may spend are cumulative: "this lease may have
spent up to 5 USD in all". So an ask can be repeated if its grant was lost, and reporting what was spent changes no authorisation.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol

from gateway.config.access import Period
from gateway.store.guard import StoreAway

Resource = Literal["budget", "requests", "tokens", "parallel"]
Counted = Literal["requests", "tokens", "parallel"]

LEASE_S = 60.0  # a lease that its process has not renewed for this long is swept
TOMB_S = 86_400.0  # a swept lease is kept for so long, in case its process is alive after all


class Amounts(NamedTuple):
    """An amount of each resource; money in nano-USD.

    Attributes:
        expected, worst: money, if all goes as expected, and in the worst case.
        places: requests at the same time.
        requests, tokens: per minute.
    """

    expected: int = 0
    worst: int = 0
    places: int = 0
    requests: int = 0
    tokens: int = 0


NOTHING = Amounts()


class Owner(NamedTuple):
    """The key and team whose requests a lease is for; the ledger's columns of the same names."""

    key_id: str | None
    team: str | None


class WindowKey(NamedTuple):
    """Names one window of a budget.

    Attributes:
        scope: "key:ID" or "team:NAME".
        start: seconds since the epoch.
    """

    scope: str
    period: Period
    start: int


class BudgetTerm(NamedTuple):
    """A budget in one of its windows.

    Attributes:
        key: of the window.
        end: of the window, seconds since the epoch.
        limit: nano-USD.
        ceiling: the limit with its overshoot: what is spent and reserved for the worst case never exceeds it.
    """

    key: WindowKey
    end: int
    limit: int
    ceiling: int


class CountTerm(NamedTuple):
    """A limit of requests per minute, tokens per minute or parallel requests."""

    scope: str
    kind: Counted
    limit: int


class Terms(NamedTuple):
    """All limits that one request is under, of its key and its team."""

    budgets: tuple[BudgetTerm, ...]
    counts: tuple[CountTerm, ...]


class Ask(NamedTuple):
    """What one lease asks of the store.

    Attributes:
        lease: its id.
        spent: nano-USD that it has spent in all, including what it reported before.
        expected, worst: what it may spend in all, and keeps in any case; nano-USD, at most as much as it was granted before.
        places: that it keeps in any case.
        owed: requests and tokens beyond those that it was granted; negative: given back.
        need: further amounts: all of them are granted, or none of any resource.
        want: further amounts that would be useful later; the store grants a fair share of what is left.
        ends: the lease keeps nothing, and the store forgets it.
    """

    lease: str
    owner: Owner
    terms: Terms
    spent: int
    expected: int
    worst: int
    places: int = 0
    owed: Amounts = NOTHING
    need: Amounts = NOTHING
    want: Amounts = NOTHING
    ends: bool = False


class Refused(NamedTuple):
    """Why a need was not granted.

    Attributes:
        at: the time from which asking again may help, seconds since the epoch by the store's clock.
    """

    term: BudgetTerm | CountTerm
    at: float


class TermState(NamedTuple):
    """The state of one limit after a grant.

    Attributes:
        used: money that is spent in the window; requests or tokens of the last minute; places that are held.
        expected, worst: reserved money; 0 for other limits.
        full_at: the time from which the whole limit is free again, seconds since the epoch.
    """

    used: int
    expected: int
    worst: int
    full_at: float


class Answer(NamedTuple):
    """The store's answer.

    Attributes:
        now: the store's clock, seconds since the epoch.
        expected, worst: what the lease may spend in all, nano-USD.
        places: that it holds.
        requests, tokens: that it may use, in addition to those granted before.
        booked: nano-USD of its spending that the store has booked.
        refused: why the need was not granted; None if it was.
        tight: less was granted than wanted, because little is left.
        budgets, counts: the state of each limit of the terms.
        leases: the most leases that share one of these budgets.
    """

    now: float
    expected: int
    worst: int
    places: int
    requests: int
    tokens: int
    booked: int
    refused: Refused | None
    tight: bool
    budgets: tuple[TermState, ...]
    counts: tuple[TermState, ...]
    leases: int


class Swept(NamedTuple):
    """What is booked for a lease whose process has ended without settling it.

    Attributes:
        time: in the windows that the lease is of, seconds since the epoch.
        nusd: negative if the process is alive after all, so that the booking is undone.
    """

    lease: str
    owner: Owner
    time: float
    nusd: int


class WindowState(NamedTuple):
    """What the store has of one window of a budget, nano-USD.

    Attributes:
        expected, worst: reserved, if all goes as expected and in the worst case.
    """

    spent: int
    expected: int
    worst: int


class Engine(Protocol):
    """A store of limits. Every method is atomic for each lease."""

    async def exchange(self, asks: Sequence[Ask]) -> list[Answer]:
        """The answers in the order of the asks.

        Raises:
            LimitsAway: the store does not answer.
        """
        ...

    async def windows(self, keys: Sequence[WindowKey]) -> Mapping[WindowKey, WindowState]:
        """The state of windows; one that no lease has asked about is missing. Changes nothing.

        Raises:
            LimitsAway: the store does not answer.
        """
        ...

    async def sweep(self, killed: Collection[str] = ()) -> list[Swept]:
        """Settles the leases whose deadline has passed: what they were expected to spend counts as spent.

        Args:
            killed: processes that are no more, so that their leases have passed too. The id of a lease begins with that of its
                process and a slash.

        Returns:
            what is still to be written to the ledger, including corrections for leases that were in use after all.

        Raises:
            LimitsAway: the store does not answer.
        """
        ...


class LimitsAway(StoreAway):
    """The store of limits does not answer."""
