"""What a replay found, as plain values."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.core.durations import iso_time
from gateway.core.json_types import JsonObject
from gateway.replay.reasons import REASONS, WORDS, Reason
from router.replay.estimate import LEVEL, Estimate
from router.replay.snips import FEWEST

COVERED = 0.95  # share of requests that the log must cover for SNIPS to speak of all


@dataclass(frozen=True, slots=True)
class Compared:
    """One quantity of the logged choices and of the other policy; None: unknown.

    Attributes:
        difference: other minus logged. Requests on which both agree cancel out, so that it is known better than both.
    """

    logged: Estimate | None
    other: Estimate | None
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found.

    Attributes:
        planned, asked, graded: numbers of requests.
        usd: what it cost.
        graded_by: numbers of the graded requests by the name of the grader.
        note: what the reader should know, such as why it ended early; empty if nothing.
        difference: None if too few were graded.
        interrupted: its user ended it.
    """

    planned: int
    asked: int
    graded: int
    usd: float
    graded_by: Mapping[str, int]
    note: str
    difference: Estimate | None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """What a replay found.

    Attributes:
        since, until: seconds since the epoch; None: no limit.
        requests: all of the period.
        replayed: those that were decided again.
        not_replayed: the others, by reason.
        same_now: the share of the replayed requests for which the present portfolio and its policies choose the model that was
            chosen then.
        differing: the share that the other policy sends to another model than the one that answered.
        readout: accuracy by the read-out.
        overlap, uncovered: see `router.replay.snips.Weighted`.
        snips, doubly_robust, measured: accuracy by graded requests.
        usd, ms: of one request. The logged cost is what was billed.
        unpriced, untimed: replayed requests whose cost or time at one of the models is not known.
        models: shares of the requests by model: logged, other.
        audit: None if none was asked for.
    """

    since: float | None
    until: float | None
    requests: int
    replayed: int
    not_replayed: Mapping[Reason, int]
    same_now: float
    differing: float
    readout: Compared
    overlap: int
    uncovered: float
    snips: Estimate | None
    doubly_robust: Estimate | None
    measured: Estimate | None
    usd: Compared
    ms: Compared
    unpriced: int
    untimed: int
    models: Mapping[str, tuple[float, float]]
    audit: Audit | None = None

    @property
    def snips_covers(self) -> bool:
        """True if the log explored enough for SNIPS to speak of all requests."""
        return self.snips is not None and self.uncovered <= 1 - COVERED

    @property
    def why_no_snips(self) -> str:
        """The reason, in words; empty if SNIPS says something."""
        if self.snips is None:
            return f"{self.overlap} graded requests have the same choice in both; {FEWEST} are needed"
        if not self.snips_covers:
            return (
                f"the log never tried the other model on {100 * self.uncovered:.0f}% of the requests: it has no "
                "exploration there"
            )
        return ""

    def as_json(self) -> JsonObject:
        """The report as JSON values. Accuracies are shares, costs USD of one request, times milliseconds."""
        return {
            "from": iso_time(self.since),
            "to": iso_time(self.until),
            "requests": self.requests,
            "replayed": self.replayed,
            "not_replayed": [
                {"reason": reason, "requests": self.not_replayed[reason], "meaning": WORDS[reason]}
                for reason in REASONS
                if self.not_replayed.get(reason)
            ],
            "same_choice_now": self.same_now,
            "differing": self.differing,
            "interval": LEVEL,
            "accuracy": {
                "read_out": _compared(self.readout),
                "audit": None if self.audit is None else _audit(self.audit),
                "snips": {
                    "other": _estimate(self.snips) if self.snips_covers else None,
                    "doubly_robust": _estimate(self.doubly_robust),
                    "logged": _estimate(self.measured),
                    "graded_in_common": self.overlap,
                    "uncovered": self.uncovered,
                    "why_not": self.why_no_snips or None,
                },
            },
            "usd": _compared(self.usd) | {"unknown": self.unpriced},
            "latency_ms": _compared(self.ms) | {"unknown": self.untimed},
            "models": [{"model": name, "logged": pair[0], "other": pair[1]} for name, pair in self.models.items()],
        }


def _audit(audit: Audit) -> JsonObject:
    numbers = {name: getattr(audit, name) for name in ("planned", "asked", "graded", "usd")}
    return numbers | {
        "graded_by": dict(audit.graded_by),
        "note": audit.note or None,
        "difference": _estimate(audit.difference),
    }


def _compared(of: Compared) -> JsonObject:
    return {name: _estimate(getattr(of, name)) for name in ("logged", "other", "difference")}


def _estimate(of: Estimate | None) -> JsonObject | None:
    return None if of is None else {"value": of.value, "low": of.low, "high": of.high}
