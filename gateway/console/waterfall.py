"""The calls of one request in time, as bars for a chart. Pure functions of a row of the record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["own", "failed", "answered", "given-up"]
_GIVEN_UP = frozenset({"hedged", "cancelled"})
_TICKS = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of the chart. Times are milliseconds since the arrival of the request.

    Attributes:
        what: the deployment or model, or the gateway's own work.
        note: how it ended.
        reason: the provider's own words for a failure; empty if there are none.
        first_token: None if it had no content, or is not known.
        certain: the time of its beginning was recorded; else it is placed after the call before it.
    """

    what: str
    note: str
    kind: Kind
    start: float
    end: float
    first_token: float | None = None
    reason: str = ""
    certain: bool = True

    @property
    def ms(self) -> float:
        """How long it took."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Waterfall:
    """The chart.

    Attributes:
        total: from the arrival to the end, milliseconds.
        skipped: deployments that were not called, with the reason of each.
    """

    bars: Sequence[Bar]
    total: float
    skipped: Sequence[Mapping[str, Any]]

    def share(self, ms: float) -> float:
        """A time as thousandths of the width."""
        return 0.0 if self.total <= 0 else round(1000 * min(max(ms / self.total, 0.0), 1.0), 2)

    @property
    def ticks(self) -> list[float]:
        """Times for the axis, evenly spread."""
        return [self.total * i / _TICKS for i in range(_TICKS + 1)]

    @property
    def certain(self) -> bool:
        """True if all beginnings are known."""
        return all(bar.certain for bar in self.bars)


def waterfall(row: Mapping[str, Any]) -> Waterfall:
    """The calls of a request, the gateway's own time before the first of them included.

    Of an ensemble the record has how long each member took, but not when it was asked; its members are no part of this chart.
    """
    attempts = row["failover"] or []
    called = [one for one in attempts if one.get("called", True)]
    total = float(row["latency_ms"] or 0.0)
    bars: list[Bar] = []
    at = 0.0 if row["overhead_ms"] is None else min(row["overhead_ms"], total)
    for one in called:
        began = one.get("began_ms")
        start = at if began is None else began
        at = min(start + one["elapsed_ms"], total)
        bars.append(_failed(one, start, at, certain=began is not None))
    if row["ensemble"] is None and (answer := _answer(row, called, at, total)) is not None:
        bars.append(answer)
    bars.sort(key=lambda bar: bar.start)
    first = min((bar.start for bar in bars if bar.certain), default=row["overhead_ms"] or 0.0)
    if first > 0:
        bars.insert(0, Bar("gateway", "queue and decision", "own", 0.0, min(first, total)))
    return Waterfall(bars, total, [one for one in attempts if not one.get("called", True)])


def _failed(one: Mapping[str, Any], start: float, end: float, *, certain: bool) -> Bar:
    cause = str(one["cause"]).replace("_", " ")
    status = "" if one["status"] is None else f", status {one['status']}"
    late = ", after content had been sent" if one.get("after_content") else ""
    kind: Kind = "given-up" if one["cause"] in _GIVEN_UP else "failed"
    return Bar(one["deployment"], f"{cause}{status}{late}", kind, start, end, None, one.get("reason") or "", certain)


def _answer(row: Mapping[str, Any], called: Sequence[Mapping[str, Any]], after: float, total: float) -> Bar | None:
    """The call that the end of the answer is from; None if no call was answered, or the last one broke too."""
    if row["served"] is None or row["cache"] == "hit":
        return None
    broken = [one for one in called if one.get("after_content")]
    if broken and row["error"] is not None:
        return None
    if broken:  # another call continued the stream, from the end of the one that broke
        parts = row["parts"] or []
        what = parts[min(len(broken), len(parts) - 1)]["deployment"] if parts else row["deployment"]
        return Bar(what, "continued the answer", "answered", after, total, certain=False)
    began = row["call_began_ms"]
    start = after if began is None else began
    note = "answered" if row["error"] is None else str(row["error"]).replace("_", " ")
    kind: Kind = "answered" if row["error"] is None else "given-up"
    return Bar(
        row["deployment"] or row["served"], note, kind, start, total, row["first_token_ms"], "", began is not None
    )
