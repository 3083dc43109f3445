"""What a store does with an ask, as a pure function of its rows. Engines load the rows, call it, and write them back.

Each window of a budget keeps two bounds: `spent + expected <= limit`, and `spent + worst <= ceiling`. A lease contributes to
`expected` and `worst` what it may still spend. Its need is granted if both bounds hold for each of its windows, and if each of
its other limits has room too.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.limits import rates
from gateway.limits.engine import (
    LEASE_S,
    NOTHING,
    Amounts,
    Answer,
    Ask,
    Counted,
    CountTerm,
    Owner,
    Refused,
    Swept,
    TermState,
    WindowKey,
)
from gateway.limits.rates import Cells

SHARES = 4  # a lease gets at most this share of what is left, divided by the number of leases, beyond its need
SOON_S = 1.0  # until a refused request may be tried again, if others in progress are the reason
HELD = 0  # the cell of a limit of parallel requests: places are held, not charged at a time


@dataclass(slots=True)
class WindowRow:
    """One window of a budget; nano-USD.

    Attributes:
        leases: the number of leases that share it.
    """

    spent: int = 0
    expected: int = 0
    worst: int = 0
    leases: int = 0


@dataclass(slots=True)
class LeaseRow:
    """One lease; see `gateway.limits.engine.Ask`.

    Attributes:
        parallel: scopes whose places it holds.
        began: a time in all of its windows, seconds since the epoch.
        spent: that it reported, nano-USD.
        expected, worst: what it may spend in all.
        deadline: seconds since the epoch; of a swept lease the time when it was swept.
        swept: nano-USD that were booked when its deadline had passed; None if it is in use.
        estimated: of these, what the ledger got as an estimate.
    """

    owner: Owner
    windows: tuple[WindowKey, ...]
    parallel: tuple[str, ...]
    began: float
    spent: int = 0
    expected: int = 0
    worst: int = 0
    places: int = 0
    deadline: float = 0.0
    swept: int | None = None
    estimated: int = 0


@dataclass(slots=True)
class Rows:
    """The rows that one ask is about, or all rows of a store."""

    windows: dict[WindowKey, WindowRow] = field(default_factory=dict)
    leases: dict[str, LeaseRow] = field(default_factory=dict)
    cells: dict[tuple[str, Counted], Cells] = field(default_factory=dict)


def exchange(rows: Rows, ask: Ask, now: float) -> tuple[Answer, Swept | None]:
    """The answer to an ask; changes the rows.

    Args:
        rows: every window and limit of the ask has its row; a new lease has none.
        now: the store's clock, seconds since the epoch.

    Returns:
        also the correction for the ledger, if the lease had been swept although its process is alive.
    """
    lease = rows.leases.get(ask.lease)
    correction = None
    if lease is None or lease.swept is not None:
        lease, correction = _begin(rows, ask, lease, now)
    windows = [rows.windows[term.key] for term in ask.terms.budgets]
    _withdraw(lease, windows)
    book(lease, windows, max(0, ask.spent - lease.spent))
    lease.expected, lease.worst = max(ask.expected, lease.spent), max(ask.worst, lease.spent)
    lease.deadline = now + LEASE_S
    for term in ask.terms.counts:
        cells = rows.cells[term.scope, term.kind]
        if term.kind == "parallel":
            cells[HELD] = cells.get(HELD, 0) + ask.places - lease.places
        else:
            rates.prune(cells, now)
            rates.charge(cells, now, ask.owed.requests if term.kind == "requests" else ask.owed.tokens)
    lease.places = ask.places
    refused, granted, tight = _granted(rows, ask, lease, now)
    lease.expected += granted.expected
    lease.worst += granted.worst
    lease.places += granted.places
    _deposit(lease, windows)
    for term in ask.terms.counts:
        _charge(rows.cells[term.scope, term.kind], term, granted, now)
    answer = _answer(rows, ask, lease, now)._replace(
        requests=granted.requests, tokens=granted.tokens, refused=refused, tight=tight
    )
    if ask.ends:
        end(rows, ask.lease)
    return answer, correction


def book(lease: LeaseRow, windows: Iterable[WindowRow], nusd: int) -> None:
    """Counts money as spent by a lease that is withdrawn from its windows."""
    lease.spent += nusd
    for window in windows:
        window.spent += nusd


def book_in_use(rows: Rows, lease_id: str, nusd: int) -> Swept | None:
    """Counts money as spent by a lease that holds its reservations; the reservations shrink by as much.

    Returns:
        the correction for the ledger, if the lease has been swept: what is billed replaces what was booked then.
    """
    lease = rows.leases[lease_id]
    windows = [rows.windows[key] for key in lease.windows]
    if lease.swept is not None:
        undone = min(lease.swept, nusd)
        lease.swept -= undone
        lease.estimated -= undone
        book(lease, windows, nusd)
        for window in windows:
            window.spent -= undone
        return Swept(lease_id, lease.owner, lease.began, -undone) if undone else None
    _withdraw(lease, windows)
    book(lease, windows, nusd)
    _deposit(lease, windows)
    return None


def sweep(rows: Rows, lease_id: str, now: float, recorded: int | None = None) -> Swept:
    """Settles a lease whose deadline has passed: what it was expected to spend counts as spent.

    Args:
        recorded: nano-USD that the ledger has of this lease's calls. Its process may have ended between writing the ledger and
            reporting to the store. Default: what it reported.
    """
    lease = rows.leases[lease_id]
    windows = [rows.windows[key] for key in lease.windows]
    _withdraw(lease, windows)
    recorded = lease.spent if recorded is None else recorded
    total = max(lease.spent, lease.expected, recorded)
    lease.swept, lease.estimated = total - lease.spent, total - recorded
    for window in windows:
        window.spent += lease.swept
        window.leases -= 1
    _free_places(rows, lease)
    lease.expected = lease.worst = lease.spent
    lease.deadline = now
    return Swept(lease_id, lease.owner, lease.began, lease.estimated)


def end(rows: Rows, lease_id: str) -> None:
    """Forgets a lease, and frees what it holds."""
    lease = rows.leases.pop(lease_id)
    if lease.swept is not None:
        return
    windows = [rows.windows[key] for key in lease.windows]
    _withdraw(lease, windows)
    for window in windows:
        window.leases -= 1
    _free_places(rows, lease)


def _begin(rows: Rows, ask: Ask, swept: LeaseRow | None, now: float) -> tuple[LeaseRow, Swept | None]:
    """A new lease, or a swept one that is in use after all."""
    windows = tuple(term.key for term in ask.terms.budgets)
    correction = None
    if swept is None:
        parallel = tuple(term.scope for term in ask.terms.counts if term.kind == "parallel")
        rows.leases[ask.lease] = swept = LeaseRow(ask.owner, windows, parallel, now)
    elif swept.estimated:
        correction = Swept(ask.lease, ask.owner, swept.began, -swept.estimated)
    undone, swept.swept, swept.estimated = swept.swept or 0, None, 0
    for key in windows:
        rows.windows[key].spent -= undone
        rows.windows[key].leases += 1
    return swept, correction


def _granted(rows: Rows, ask: Ask, lease: LeaseRow, now: float) -> tuple[Refused | None, Amounts, bool]:
    """The refusal, or the need and a share of the rest; and whether the rest was too little for what is wanted."""
    need, want = ask.need, ask.want
    expected = worst = 1 << 62
    for term in ask.terms.budgets:
        window = rows.windows[term.key]
        more = term.limit - window.spent - window.expected - (lease.expected - lease.spent) - need.expected
        most = term.ceiling - window.spent - window.worst - (lease.worst - lease.spent) - need.worst
        if (need.expected > 0 or need.worst > 0) and (more < 0 or most < 0):
            return Refused(term, float(term.end)), NOTHING, True
        shares = SHARES * max(1, window.leases)
        expected, worst = min(expected, more // shares), min(worst, most // shares)
    left = {"requests": 1 << 62, "tokens": 1 << 62, "parallel": 1 << 62}
    for count in ask.terms.counts:
        cells, needed = rows.cells[count.scope, count.kind], _of(count.kind, need)
        room = count.limit - sum(cells.values()) - (needed if count.kind == "parallel" else min(needed, count.limit))
        if needed > 0 and room < 0:
            at = now + SOON_S if count.kind == "parallel" else rates.free_at(cells, count.limit, needed, now)
            return Refused(count, at), NOTHING, True
        left[count.kind] = min(left[count.kind], room // SHARES)
    spare = Amounts(expected, worst, left["parallel"], left["requests"], left["tokens"])
    # A multiple of the need: a rest that is too small for a request would help this process no more than any other.
    extra = [
        max(0, min(wanted, most)) // (one or 1) * (one or 1)
        for wanted, most, one in zip(want, spare, need, strict=True)
    ]
    tight = any(most < wanted for wanted, most in zip(want, spare, strict=True))
    return None, Amounts(*(one + more for one, more in zip(need, extra, strict=True))), tight


def _answer(rows: Rows, ask: Ask, lease: LeaseRow, now: float) -> Answer:
    budgets, leases = [], 1
    for term in ask.terms.budgets:
        window = rows.windows[term.key]
        budgets.append(TermState(window.spent, window.expected, window.worst, float(term.end)))
        leases = max(leases, window.leases)
    counts = []
    for count in ask.terms.counts:
        cells = rows.cells[count.scope, count.kind]
        full_at = now if count.kind == "parallel" else rates.empty_at(cells, now)
        counts.append(TermState(sum(cells.values()), 0, 0, full_at))
    states = tuple(budgets), tuple(counts), leases
    return Answer(now, lease.expected, lease.worst, lease.places, 0, 0, lease.spent, None, False, *states)


def _charge(cells: Cells, term: CountTerm, granted: Amounts, now: float) -> None:
    amount = _of(term.kind, granted)
    if term.kind == "parallel":
        cells[HELD] = cells.get(HELD, 0) + amount
    elif amount:
        rates.charge(cells, now, amount)


def _of(kind: Counted, amounts: Amounts) -> int:
    if kind == "parallel":
        return amounts.places
    return amounts.requests if kind == "requests" else amounts.tokens


def _withdraw(lease: LeaseRow, windows: Iterable[WindowRow]) -> None:
    for window in windows:
        window.expected -= max(0, lease.expected - lease.spent)
        window.worst -= max(0, lease.worst - lease.spent)


def _deposit(lease: LeaseRow, windows: Iterable[WindowRow]) -> None:
    for window in windows:
        window.expected += max(0, lease.expected - lease.spent)
        window.worst += max(0, lease.worst - lease.spent)


def _free_places(rows: Rows, lease: LeaseRow) -> None:
    for scope in lease.parallel:
        rows.cells[scope, "parallel"][HELD] -= lease.places
    lease.places = 0
