"""What a replay, advice or savings found, as its page shows it: points of a chart, and a sentence that says what matters. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.json_types import JsonObject

SUPERFLUOUS = -0.005  # accuracy, as a share: a model without which so little is lost in nine of ten draws


@dataclass(frozen=True, slots=True)
class Range:
    """An estimate with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Point:
    """One alternative beside the log.

    Attributes:
        name: in words; `label`: as short as a chart needs it.
        accuracy, usd, ms: the differences from the log: a share, USD of one request, milliseconds. None: unknown.
        logged_usd, other_usd: of one request; None: unknown.
        logged_accuracy, other_accuracy: shares, by the read-out.
        differing: share of the requests for which it chooses another model.
        models: shares of the requests by model: logged, other; the largest first.
        unpriced, untimed: requests that are not in the differences of `usd` and `ms`.
        no_snips: why graded requests say nothing; empty if they do.
    """

    name: str
    label: str
    accuracy: Range | None
    usd: Range | None
    ms: Range | None
    logged_usd: float | None
    other_usd: float | None
    logged_accuracy: float | None
    other_accuracy: float | None
    differing: float
    models: Sequence[tuple[str, float, float]]
    unpriced: int
    untimed: int
    no_snips: str

    @property
    def saved(self) -> float | None:
        """The share of the USD that it saves; negative if it costs more."""
        if self.usd is None or not self.logged_usd:
            return None
        return -self.usd.value / self.logged_usd


@dataclass(frozen=True, slots=True)
class ReplayView:
    """A replay.

    Attributes:
        requests, replayed: of the period, and those that were decided again.
        reasons: why others were not: their number, and words.
        same_now: share of the replayed requests for which the present portfolio chooses as it did then.
        points: alternatives, the cheapest first; empty if nothing was replayed.
        best: the one that the finding is about.
        finding: what was found, in a sentence.
    """

    requests: int
    replayed: int
    reasons: Sequence[tuple[int, str]]
    same_now: float
    points: Sequence[Point]
    best: Point | None
    finding: str


def replay_view(reports: Sequence[JsonObject], options: JsonObject) -> ReplayView:
    """A view of the reports of one replay, each an alternative on the same requests.

    Args:
        options: what was asked for.
    """
    first = reports[0]
    reasons = [(one["requests"], one["meaning"]) for one in first["not_replayed"]]
    numbers = first["requests"], first["replayed"], reasons, first["same_choice_now"]
    if not first["replayed"]:
        return ReplayView(*numbers, [], None, "Nothing can be compared: no request of the period can be decided again")
    points = sorted((_point(one, options) for one in reports), key=lambda point: point.other_usd or 0.0)
    best = _best(points)
    return ReplayView(*numbers, points, best, finding(best))


def finding(point: Point) -> str:
    """ "Cost weight 30 saves 41% of the cost, and answers 0.4 points less accurately (90% interval -2.1 to +1.3)"."""
    saved = point.saved
    if saved is None or point.usd is None:
        cost = "costs an unknown amount"
    elif point.usd.low <= 0 <= point.usd.high:
        cost = "costs about as much as the log"
    else:
        cost = f"{'saves' if saved > 0 else 'costs'} {abs(100 * saved):.0f}% {'of the cost' if saved > 0 else 'more'}"
    accuracy = point.accuracy
    if accuracy is None:
        return f"{point.name} {cost}; its accuracy is unknown"
    interval = f"90% interval {100 * accuracy.low:+.1f} to {100 * accuracy.high:+.1f}"
    points = f"{abs(100 * accuracy.value):.1f} points"
    if accuracy.low <= 0 <= accuracy.high:
        return f"{point.name} {cost}; whether its accuracy differs cannot be told: {100 * accuracy.value:+.1f} points, {interval}"
    return f"{point.name} {cost}, and is {points} {'more' if accuracy.value > 0 else 'less'} accurate ({interval})"


def _best(points: Sequence[Point]) -> Point:
    """Of those that surely save money the most accurate one; if none does, the most accurate of all."""
    cheaper = [point for point in points if point.usd is not None and point.usd.high < 0]
    return max(cheaper or points, key=lambda point: point.accuracy.value if point.accuracy else -1.0)


def _point(report: JsonObject, options: JsonObject) -> Point:
    accuracy, usd = report["accuracy"]["read_out"], report["usd"]
    models = [(one["model"], one["logged"], one["other"]) for one in report["models"]]
    return Point(
        _name(report, options),
        f"{report['cost_weight']:g}" if report["cost_weight"] is not None else report["policy"] or "replayed",
        _range(accuracy["difference"]),
        _range(usd["difference"]),
        _range(report["latency_ms"]["difference"]),
        _value(usd["logged"]),
        _value(usd["other"]),
        _value(accuracy["logged"]),
        _value(accuracy["other"]),
        report["differing"],
        sorted(models, key=lambda one: -max(one[1:])),
        usd["unknown"],
        report["latency_ms"]["unknown"],
        report["accuracy"]["snips"]["why_not"] or "",
    )


def _name(report: JsonObject, options: JsonObject) -> str:
    """An alternative in words: "Cost weight 30 without llama-70b"."""
    if report["cost_weight"] is not None:
        name = f"Cost weight {report['cost_weight']:g}"
    else:
        name = f"Policy {report['policy']}" if report["policy"] else "The same policies"
    name += " with the other portfolio" if options.get("portfolio") else ""
    without = options.get("without")
    return name + (f" without {', '.join(without)}" if without else "")


def _range(of: Mapping[str, Any] | None) -> Range | None:
    return None if of is None else Range(of["value"], of["low"], of["high"])


def _value(of: Mapping[str, Any] | None) -> float | None:
    return None if of is None else float(of["value"])


@dataclass(frozen=True, slots=True)
class ChangeView:
    """A change of the portfolio.

    Attributes:
        words: "add X", "X in place of Y" or "remove Y".
        gain, sure: accuracy gained at equal cost, as a share; by the predictions, and what nine of ten draws reach.
        usd: saved of one request at equal accuracy.
        share: of the requests that the added model gets; None: none is added.
        price: USD per million tokens of input and output of the added model, in words; empty if none is added.
    """

    words: str
    gain: float
    sure: float
    usd: float
    share: float | None
    price: str

    @property
    def gains(self) -> str:
        """In words."""
        return f"{100 * self.gain:+.1f} points at equal cost, {100 * self.sure:+.1f} or more in nine of ten draws"


@dataclass(frozen=True, slots=True)
class AdviceView:
    """Advice.

    Attributes:
        found: as `locus portfolio advise --json` has it.
        helpful: additions and replacements that help, the best first.
        removals: what the portfolio would lose without each model, the least first.
        findings: sentences.
    """

    found: JsonObject
    helpful: Sequence[ChangeView]
    removals: Sequence[ChangeView]
    findings: Sequence[str]


def advice_view(found: JsonObject) -> AdviceView:
    """A view of advice."""
    helpful = [change_view(one) for one in found["advice"]]
    removals = sorted((change_view(one) for one in found["removals"]), key=lambda one: -one.sure)
    if not found["enough"]:
        text = f"Too little traffic for advice: {found['requests']:,} requests can be decided again, {found['needed']} are needed"
        return AdviceView(found, helpful, removals, [text])
    if helpful:
        best = helpful[0]
        first = f"Best change: {best.words}, {best.gains}"
    else:
        first = "No change is sure to gain accuracy at equal cost"
    spare = [one.words.removeprefix("remove ") for one in removals if one.sure >= SUPERFLUOUS]
    second = f"Superfluous: {', '.join(spare)}" if spare else "Each model of the portfolio is of use"
    return AdviceView(found, helpful, removals, [first, second])


def change_view(one: JsonObject) -> ChangeView:
    """A change, from advice as JSON."""
    added, removed, price = one["add"], one["remove"], one["usd_per_mtok"]
    words = (
        f"add {added}"
        if removed is None
        else f"remove {removed}"
        if added is None
        else f"{added} in place of {removed}"
    )
    return ChangeView(
        words,
        one["accuracy_gain"],
        one["accuracy_gain_in_nine_of_ten"],
        one["usd_saved_at_equal_accuracy"],
        None if added is None else one["share"],
        "" if price is None else f"{price['input']:g} / {price['output']:g}",
    )
