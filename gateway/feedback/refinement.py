"""Outcomes of one model -> a candidate for its embedding, and whether it may go live. Pure functions of their arguments.

Exact outcomes count as evaluations. Those of a judge are rid of the bias that its error rates make. Feedback counts as it is said,
with weights that are scaled down until no source, and not all of them together, says too much. All weights halve with every
half-life.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.config.feedback import FeedbackEntry
from gateway.feedback.outcome import GRADER
from gateway.feedback.rates import Rates
from gateway.feedback.reports import LEAST_HELD_OUT, Reports
from router.model.embedding import Embedding
from router.model.outcomes import capped_in_domains, debiased
from router.model.serving import Router

Floats = NDArray[np.float64]
LEAST_WEIGHT = 1e-9  # of an outcome, in evaluations


@dataclass(frozen=True, slots=True)
class SourceWeight:
    """What one source says of a model.

    Attributes:
        outcomes: that count.
        weight: of all of them, in evaluations, before the caps.
        allowed: after the caps.
    """

    source: str
    kind: str
    outcomes: int
    weight: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """Outcomes as evaluations, (n,) each, and what each source says."""

    scores: Floats
    weights: Floats
    sources: tuple[SourceWeight, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A candidate on the exact outcomes that it was not made from.

    Attributes:
        outcomes: their number.
        before, after: the mean squared error of P(correct) of the better one of the embeddings that it would replace, and its own.
        standard_error: of the difference.
    """

    outcomes: int
    before: float
    after: float
    standard_error: float

    @property
    def passed(self) -> bool:
        """True if it is not worse by more than one standard error."""
        return self.after - self.before <= self.standard_error

    def __str__(self) -> str:
        return f"Brier {self.after:.4f} (before {self.before:.4f} ± {self.standard_error:.4f}) on {self.outcomes} exact outcomes"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate.

    Attributes:
        weighed: what it was made from.
        check: None if too few exact outcomes are known; then it cannot go live.
        known: the number of exact outcomes.
    """

    embedding: Embedding
    weighed: Weighed
    check: Check | None
    known: int

    @property
    def taken(self) -> bool:
        """True if it may go live."""
        return self.check is not None and self.check.passed

    @property
    def note(self) -> str:
        """What became of it, for people."""
        made_from = f"from {sum(source.outcomes for source in self.weighed.sources)} outcomes"
        if self.check is None:
            return f"not taken: a check needs {LEAST_HELD_OUT} exact outcomes, and {self.known} are known; {made_from}"
        return f"{'taken' if self.taken else 'not taken'}: {self.check}; {made_from}"


def candidate(
    router: Router,
    base: Embedding,
    live: Embedding,
    reports: Reports,
    rates: Mapping[str, Rates],
    settings: FeedbackEntry,
    now: float,
) -> Candidate | None:
    """The candidate from a model's outcomes; None if none of them counts.

    Args:
        base: the model without outcomes.
        live: the model as it is in use.
        rates: of judges, by source.
        now: seconds since the epoch.
    """
    counting = reports.counting()
    used, held = counting.split()
    weighed = weigh(router, base, used, rates, settings, now)
    if not len(used) or not weighed.weights.any():
        return None
    made = router.refine(base, used.q, weighed.scores, weighed.weights, corrected=True)
    check = _check(router, made, (live, base), held) if len(held) >= LEAST_HELD_OUT else None
    return Candidate(made, weighed, check, len(held))


def weigh(
    router: Router, base: Embedding, reports: Reports, rates: Mapping[str, Rates], settings: FeedbackEntry, now: float
) -> Weighed:
    """Outcomes as evaluations with weights.

    Args:
        base: the model without them.
        rates: of judges, by source; a judge without rates, or one that knows no better than chance, counts nothing.
        now: seconds since the epoch.
    """
    scores = reports.scores.copy()
    weights = reports.reliability * 0.5 ** (np.maximum(now - reports.time, 0) / settings.half_life)
    if not len(reports):
        return Weighed(scores, weights, ())
    expected = router.predict(reports.q, [base]).p_correct[:, 0].astype(np.float64)
    for source in np.unique(reports.sources[reports.kinds == "judge"]).tolist():
        mine = (reports.sources == source) & (reports.kinds == "judge")
        try:
            known = rates[source]
            scores[mine], of_judge = debiased(scores[mine], known.sensitivity, known.specificity, expected[mine])
            weights[mine] *= of_judge
        except (KeyError, ValueError):
            weights[mine] = 0.0
    weights = _without_traces(weights)
    wanted = weights.copy()
    said = reports.kinds == "feedback"
    if said.any():
        weights[said] = _capped(router, base, reports, said, scores, weights, settings)
    weights = _without_traces(weights)
    return Weighed(scores, weights, _by_source(reports, wanted, weights))


def _without_traces(weights: Floats) -> Floats:
    """Weights that many half-lives have left next to nothing of are 0: read-outs are in float32, which may not hold them."""
    return np.where(weights < LEAST_WEIGHT, 0.0, weights)


def _capped(
    router: Router,
    base: Embedding,
    reports: Reports,
    said: NDArray[np.bool_],
    scores: Floats,
    weights: Floats,
    settings: FeedbackEntry,
) -> Floats:
    """The weights of feedback, whose caps are relative to what is graded: the model's evaluations and the outcomes of graders."""
    graded = ~said & (weights > 0)
    known = base
    if graded.any():
        known = router.refine(base, reports.q[graded], scores[graded], weights[graded], corrected=True)
    numbers = router.graded_weights(known)
    q = reports.q[said]
    residuals = scores[said] - router.predict(q, [known]).p_correct[:, 0]
    return capped_in_domains(
        weights[said],
        reports.sources[said].tolist(),
        router.domains(q),
        numbers,
        float(numbers.sum()),
        residuals,
        source_cap=settings.source_cap,
        total_cap=settings.total_cap,
    )


def _by_source(reports: Reports, wanted: Floats, allowed: Floats) -> tuple[SourceWeight, ...]:
    found = []
    for source, kind in sorted({*zip(reports.sources.tolist(), reports.kinds.tolist(), strict=True)}):
        mine = (reports.sources == source) & (reports.kinds == kind)
        sums = float(wanted[mine].sum()), float(allowed[mine].sum())
        found.append(SourceWeight(source, kind, int(mine.sum()), *sums))
    return tuple(found)


def _check(router: Router, made: Embedding, others: tuple[Embedding, ...], held: Reports) -> Check:
    p = router.predict(held.q, [made, *others]).p_correct.astype(np.float64)  # (n, 1 + others)
    squared = (p - held.scores[:, None]) ** 2
    best = 1 + int(squared[:, 1:].mean(axis=0).argmin())
    difference = squared[:, 0] - squared[:, best]
    error = float(difference.std(ddof=1)) / len(held) ** 0.5
    return Check(len(held), float(squared[:, best].mean()), float(squared[:, 0].mean()), error)


def judge_source(name: str) -> str:
    """The source of a judge of the portfolio file."""
    return GRADER + name
