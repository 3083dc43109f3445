"""What the gateway did in the last hours or days, from the sums: no request is read. Imports SQLAlchemy.

Sums by hour are read for a day, sums by UTC day for a longer time, so that a month of many keys and models is a few thousand rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Boolean, Connection, func, literal_column, select

from gateway.record.latency import quantile
from gateway.record.reading import SYSTEM
from gateway.record.sums import DAY_S, HOUR_S, scope_of
from gateway.store.usage_tables import LATENCY_HOURLY, SUMS, USAGE_DAILY, USAGE_HOURLY

MOST_KEYS = 10  # of the keys that have spent most
_QUANTILES = (0.5, 0.99)
_SHOWN = tuple(name for name in SUMS if not name.endswith("_tokens"))


class Span(NamedTuple):
    """Whole hours or whole UTC days up to now.

    Attributes:
        since: the beginning, seconds since the epoch.
        step_s: `HOUR_S` or `DAY_S`.
        steps: number of hours or days, the one that has not ended included.
    """

    since: int
    step_s: int
    steps: int

    @classmethod
    def until(cls, now: float, days: int) -> "Span":
        """The last 24 hours if `days` is 1, else the last days."""
        step_s, steps = (HOUR_S, 24) if days == 1 else (DAY_S, days)
        return cls(int(now) // step_s * step_s - (steps - 1) * step_s, step_s, steps)

    @property
    def times(self) -> list[int]:
        """The beginning of each hour or day."""
        return [self.since + i * self.step_s for i in range(self.steps)]


@dataclass(slots=True)
class Activity:
    """Sums of a span, by the names of `SUMS`; tokens are left out.

    Attributes:
        totals: of requests of clients.
        own_nusd: what calls that the gateway made of its own accord cost.
        steps: requests, errors and nano-USD of each hour or day, own calls only in the money.
        models: requests, errors and nano-USD by answering model; "" is of requests that no model answered.
        model_steps: nano-USD of each hour or day by model.
        keys: the same as `models` for the keys that have spent most, by id; "" is of requests without a key.
        p50_ms, p99_ms: of answered requests, until the last byte; None if there was none.
    """

    span: Span
    totals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SHOWN, 0))
    own_nusd: int = 0
    steps: dict[str, list[int]] = field(default_factory=dict)
    models: dict[str, dict[str, int]] = field(default_factory=dict)
    model_steps: dict[str, list[int]] = field(default_factory=dict)
    keys: dict[str, dict[str, int]] = field(default_factory=dict)
    p50_ms: float | None = None
    p99_ms: float | None = None

    @property
    def nusd(self) -> int:
        """What was spent, own calls included."""
        return self.totals["nusd"] + self.own_nusd

    @property
    def saved_nusd(self) -> int:
        """An estimate of what was saved beside the model with the highest P(correct), of the requests that could be compared."""
        return self.totals["best_nusd"] - self.totals["compared_nusd"]


def activity(connection: Connection, span: Span, key_id: str | None = None) -> Activity:
    """The sums of a span.

    Args:
        key_id: only of the requests of this key; None: of all.
    """
    found = Activity(span, steps={name: [0] * span.steps for name in ("requests", "errors", "nusd")})
    table = USAGE_HOURLY if span.step_s == HOUR_S else USAGE_DAILY
    c = table.c
    step, of_key = table.primary_key.columns[0], () if key_id is None else (c.key_id == key_id,)
    own = literal_column(f"key_id >= '{SYSTEM}' AND key_id < '{SYSTEM[:-1]};'", Boolean()).label("own")
    query = select(step, c.model, own, *(func.sum(c[name]) for name in _SHOWN)).where(step >= span.since, *of_key)
    for start, model, is_own, *sums in connection.execute(query.group_by(step, c.model, own)):
        place = (start - span.since) // span.step_s
        if place < span.steps:  # the clock of another gateway may be ahead
            _count(found, place, model, dict(zip(_SHOWN, map(int, sums), strict=True)), own=bool(is_own))
    if key_id is None:
        spent = func.sum(c.nusd)
        by_key = select(c.key_id, func.sum(c.requests), func.sum(c.errors), spent).where(step >= span.since)
        for id, *numbers in connection.execute(
            by_key.group_by(c.key_id).order_by(spent.desc(), c.key_id).limit(MOST_KEYS)
        ):
            found.keys[id] = dict(zip(("requests", "errors", "nusd"), map(int, numbers), strict=True))
    counts = latencies(connection, span, key_id)
    found.p50_ms, found.p99_ms = (quantile(counts, q) for q in _QUANTILES)
    return found


def _count(found: Activity, place: int, model: str, sums: Mapping[str, int], *, own: bool) -> None:
    found.steps["nusd"][place] += sums["nusd"]
    of_model = found.models.setdefault(model, {"requests": 0, "errors": 0, "nusd": 0})
    of_model["nusd"] += sums["nusd"]
    found.model_steps.setdefault(model, [0] * found.span.steps)[place] += sums["nusd"]
    if own:
        found.own_nusd += sums["nusd"]
        return
    for name, value in sums.items():
        found.totals[name] += value
    for name in ("requests", "errors"):
        found.steps[name][place] += sums[name]
        of_model[name] += sums[name]


def latencies(connection: Connection, span: Span, key_id: str | None) -> dict[int, int]:
    """Answered requests of a span by bucket of their latency; see `gateway.record.latency`."""
    c = LATENCY_HOURLY.c
    query = select(c.bucket, func.sum(c.requests)).where(c.scope == scope_of(key_id), c.hour >= span.since)
    return {bucket: int(number) for bucket, number in connection.execute(query.group_by(c.bucket))}
