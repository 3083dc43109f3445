"""What must hold after a soak of replicas: what the provider billed, what clients saw and what the ledger has, side by side."""

from bisect import bisect_right
from dataclasses import dataclass, field

from scripts.soak.replica_parts import Replica

MINUTE_S = 60.0
TIMEOUT_S = 8.0  # of a request: a question to the store of limits (2 s), and the provider's answer (4 s) with a new try
SLACK_S = 1.5  # of clients and gateways that share the processors
WRITTEN_S = 1.0  # an answer's row is in the database by then, while the database answers
TOLD_S = 20.0  # until all replicas have told Valkey what they hold: a slice in use is renewed after 15 s at the latest
AGAIN_S = 2.0  # until a gateway has found out that the database answers again


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as its client saw it; monotonic seconds.

    Attributes:
        status: of the answer; None if the connection was refused or broke.
    """

    id: str
    key: str
    replica: str
    began: float
    ended: float
    status: int | None


@dataclass(frozen=True, slots=True)
class Bill:
    """One call as the provider saw it. It costs from the moment when it arrives."""

    id: str
    key: str
    at: float
    nusd: int


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A row of the ledger; `request` is None for what was booked for a killed process."""

    request: str | None
    key: str
    nusd: int


@dataclass
class Findings:
    """Attributes:
    broken: what breaks an invariant.
    figures: what was counted.
    """

    broken: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)


def check_budgets(found: Findings, ceilings: dict[str, int], bills: list[Bill], seen: list[Seen]) -> None:
    """No key spends more than its budget with its overshoot; calls of killed gateways, whose memory is gone, are named apart."""
    lost = {one.id for one in seen if one.status is None}
    for key, ceiling in ceilings.items():
        of_key = [bill for bill in bills if bill.key == key]
        spent, in_lost = sum(bill.nusd for bill in of_key), sum(bill.nusd for bill in of_key if bill.id in lost)
        found.figures[f"budget of {key}: billed / bound, USD"] = f"{spent / 1e9:.6f} / {ceiling / 1e9:.6f}"
        if in_lost:
            found.figures["  of this for requests that a fault cut off"] = f"{in_lost / 1e9:.6f}"
        if spent > ceiling:
            found.broken.append(
                f"budget: {key} was billed {spent} nano-USD, {in_lost} of it cut off; its bound is {ceiling}"
            )


def check_rate(found: Findings, key: str, limit: int, bills: list[Bill], forgot: list[float], at_once: int) -> None:
    """No minute has more than the limit and one slice. When Valkey loses its memory the minute begins anew.

    Args:
        forgot: when Valkey lost its memory.
        at_once: requests of the key that a stopped gateway may deliver late.
    """
    slice = limit // 4
    times = sorted(bill.at for bill in bills if bill.key == key)
    most: dict[int, int] = {}  # by the losses of memory in the minute
    for first, at in enumerate(times):
        losses = sum(at <= time <= at + MINUTE_S for time in forgot)
        most[losses] = max(most.get(losses, 0), bisect_right(times, at + MINUTE_S) - first)
    for losses, number in sorted(most.items()):
        lost = f" with {losses} losses of Valkey's memory" if losses else ""
        found.figures[f"rpm: {limit} of {key}: most in a minute{lost}"] = number
        if number > (losses + 1) * (limit + slice) + at_once:
            found.broken.append(f"rate: {number} requests of {key} in a minute{lost}; the limit is {limit}")


def check_parallel(
    found: Findings, limit: int, calls: list[tuple[float, float]], away: list[tuple[float, float]], replicas: int
) -> None:
    """A deployment never has more calls at once than its limit, as its provider sees them.

    While Valkey does not answer, and until every replica has told it again what it holds, each replica has its slice or its share
    of the limit, so that the limit of each of the others may be added.

    Args:
        calls: from when to when each call was open.
        away: from when to when Valkey did not answer; monotonic seconds.
    """
    changes = sorted([(began, 1) for began, _ in calls] + [(ended, -1) for _, ended in calls])
    most, at_once = {False: 0, True: 0}, 0
    for at, change in changes:
        at_once += change
        apart = any(began <= at <= ended + TOLD_S for began, ended in away)
        most[apart] = max(most[apart], at_once)
    for apart, number in most.items():
        without = " around losses of Valkey" if apart else ""
        found.figures[f"max_parallel_requests: {limit}: most at once{without}"] = number
        if number > limit * (replicas if apart else 1):
            found.broken.append(f"parallel: {number} calls at once{without}; the limit is {limit}")


def check_hangs(found: Findings, seen: list[Seen], replicas: list[Replica]) -> None:
    """No request takes longer than its timeout, without the time in which its gateway was stopped."""
    stops = {replica.name: replica.stopped for replica in replicas}
    longest = 0.0
    for one in seen:
        stopped = sum(max(0.0, min(end, one.ended) - max(began, one.began)) for began, end in stops[one.replica])
        longest = max(longest, took := one.ended - one.began - stopped)
        if took > TIMEOUT_S + SLACK_S:
            found.broken.append(f"hang: request {one.id} at {one.replica} took {took:.1f} s")
    found.figures["longest request, s"] = f"{longest:.2f}"


def check_ledger(
    found: Findings,
    seen: list[Seen],
    rows: list[LedgerRow],
    replicas: list[Replica],
    away: list[tuple[float, float]],
) -> None:
    """Each answered request has its row, unless its gateway was killed before it had written the row.

    Args:
        away: while the database did not answer.
    """
    written = {row.request for row in rows}
    kills = {replica.name: replica.killed for replica in replicas}
    answered = [one for one in seen if one.status == 200]
    lost = [one for one in answered if one.id not in written]
    found.figures["answered requests / rows in the ledger"] = f"{len(answered):,} / {len(written - {None}):,}"
    found.figures["  without a row: their gateway was killed"] = len(lost)
    for one in lost:
        waits = [
            at - one.ended - sum(max(0.0, min(e, at) - max(b, one.ended)) for b, e in away) for at in kills[one.replica]
        ]
        if not any(-TIMEOUT_S <= wait <= WRITTEN_S for wait in waits):
            found.broken.append(f"ledger: request {one.id}, answered by {one.replica}, has no row")


def check_booked(found: Findings, keys: list[str], bills: list[Bill], rows: list[LedgerRow]) -> None:
    """For keys with a budget, the ledger has at least what was billed: estimates stand for what killed gateways had not written."""
    for key in keys:
        billed = sum(bill.nusd for bill in bills if bill.key == key)
        booked = sum(row.nusd for row in rows if row.key == key)
        estimated = sum(row.nusd for row in rows if row.key == key and row.request is None)
        found.figures[f"ledger of {key}: booked / billed, USD"] = f"{booked / 1e9:.6f} / {billed / 1e9:.6f}"
        found.figures[f"  of {key} estimated"] = f"{estimated / 1e9:.6f}"
