"""Reports of how well answers were: what a fallible grader's score says, and how much one source may say. numpy only.

A grader that errs is biased: if it errs in 20%, a model that is right in 90% seems to be right in 74%. Its known error rates
take the bias out, at the price of a smaller weight. Of a source whose error rates are not known, such as the users of a key, only
the influence can be bounded.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

SOURCE_CAP = 0.10  # of the graded weight, one source
TOTAL_CAP = 0.25  # of the graded weight, all sources together
LARGEST_SHIFT = 0.03  # of a model's mean P(correct), by one source; what is moved in the end may exceed it by a fifth
LEAST_ADVANTAGE = 0.05  # sensitivity + specificity - 1 of a grader that says anything
LEAST_SPREAD = 0.15  # variance of a score that the router assumes at least, however sure it is
Floats = NDArray[np.float64]


def debiased(
    scores: ArrayLike, sensitivity: float, specificity: float, expected: ArrayLike = 0.5
) -> tuple[Floats, Floats]:
    """Scores without the bias of a grader that errs, and how many evaluations each one counts as.

    A grader reports `good` for a right answer with probability se, `bad` for a wrong one with probability sp. Then
    (y - (1 - sp)) / (se + sp - 1) has the mean of the true score, and a larger variance. Both are for `Router.embed` and
    `Router.refine` with `corrected=True`.

    Args:
        scores: as reported, (n,), in [0, 1].
        sensitivity, specificity: se and sp, measured on answers whose true score is known.
        expected: P(correct) of the answers before the report, one number or (n,); the weight depends a little on it.

    Returns:
        Scores, (n,), in [-(1 - sp) / (se + sp - 1), sp / (se + sp - 1)], and weights, (n,), in (0, 1].

    Raises:
        ValueError: a rate is not in [0, 1], or the grader tells right answers from wrong ones no better than chance.
    """
    if not (0 <= sensitivity <= 1 and 0 <= specificity <= 1):
        raise ValueError(f"sensitivity {sensitivity} and specificity {specificity} must be from 0 to 1")
    advantage = sensitivity + specificity - 1
    if advantage < LEAST_ADVANTAGE:
        raise ValueError(
            f"sensitivity {sensitivity} and specificity {specificity}: this grader tells right answers from wrong ones hardly "
            f"better than chance; their sum must be at least {1 + LEAST_ADVANTAGE}"
        )
    y = np.asarray(scores, np.float64)
    p = np.broadcast_to(np.asarray(expected, np.float64), y.shape)
    good = 1 - specificity + advantage * p  # P(reported good)
    of_report = np.maximum(good * (1 - good) / advantage**2, LEAST_SPREAD)
    of_score = np.maximum(p * (1 - p), LEAST_SPREAD)
    return (y - (1 - specificity)) / advantage, np.minimum(of_score / of_report, 1.0)


def capped_weights(
    weights: ArrayLike,
    sources: Sequence[str],
    graded_weight: float,
    residuals: ArrayLike | None = None,
    *,
    source_cap: float = SOURCE_CAP,
    total_cap: float = TOTAL_CAP,
    largest_shift: float = LARGEST_SHIFT,
) -> Floats:
    """Weights of reports on one model, scaled down so that no source, and not all of them together, says too much.

    A source that agrees with what is expected is bounded by its weight alone. One whose scores lie far from it on average, such as
    a key that reports every answer as right, would move the model's mean P(correct) by its share of the weight times that
    distance; it is scaled down until this is at most `largest_shift`.

    Args:
        weights: (n,), at least 0.
        sources: who reported, n names.
        graded_weight: how many evaluations by trusted graders the model has; at 0 all weights become 0.
        residuals: scores less P(correct) before the reports, (n,); None: bound the weights only.
        source_cap, total_cap: of the weight of one source, and of all, in units of `graded_weight`.
        largest_shift: of the mean P(correct), by one source.

    Returns:
        (n,), float64, each at most the weight that was given.

    Raises:
        ValueError: the lengths differ, or a number is negative or not finite.
    """
    w = np.asarray(weights, np.float64).copy()
    r = np.zeros_like(w) if residuals is None else np.asarray(residuals, np.float64)
    if w.shape != (len(sources),) or r.shape != w.shape:
        raise ValueError(f"{len(sources)} sources, weights of shape {w.shape}, residuals of shape {r.shape}")
    if not (np.isfinite(r).all() and np.isfinite(w).all() and (w >= 0).all()):
        raise ValueError("weights must be finite and at least 0, and residuals finite")
    limits = (graded_weight, source_cap, total_cap, largest_shift)
    if not all(np.isfinite(limit) and limit >= 0 for limit in limits):
        raise ValueError(f"graded weight, caps and largest shift must be at least 0, got {limits}")
    names, index = np.unique(np.asarray(sources, np.str_), return_inverse=True)
    total = np.bincount(index, w, len(names))
    mean = np.abs(np.bincount(index, w * r, len(names))) / np.maximum(total, 1e-12)
    # A source of weight W moves the mean by W mean / (graded + W).
    room = np.where(mean > largest_shift, largest_shift / np.maximum(mean - largest_shift, 1e-12), np.inf)
    allowed = graded_weight * np.minimum(source_cap, room)
    w *= np.minimum(1.0, allowed / np.maximum(total, 1e-12))[index]
    return np.asarray(w * min(1.0, total_cap * graded_weight / max(float(w.sum()), 1e-12)))


def capped_in_domains(
    weights: ArrayLike,
    sources: Sequence[str],
    domains: NDArray[np.integer],
    graded_in_domain: ArrayLike,
    graded_weight: float,
    residuals: ArrayLike | None = None,
    *,
    source_cap: float = SOURCE_CAP,
    total_cap: float = TOTAL_CAP,
    largest_shift: float = LARGEST_SHIFT,
) -> Floats:
    """As `capped_weights`, within each domain first and then over all: who keeps to one kind of question is bounded there.

    Args:
        domains: the domain of each report, (n,); see `Router.domains`.
        graded_in_domain: how many evaluations the model's level in each domain is worth, (C,); see `Router.graded_weights`.

    Raises:
        ValueError: as for `capped_weights`.
    """
    w = np.asarray(weights, np.float64).copy()
    r = np.zeros_like(w) if residuals is None else np.asarray(residuals, np.float64)
    graded = np.asarray(graded_in_domain, np.float64)
    limits = {"source_cap": source_cap, "total_cap": total_cap, "largest_shift": largest_shift}
    for domain in np.unique(domains):
        mine = np.flatnonzero(domains == domain)
        w[mine] = capped_weights(w[mine], [sources[i] for i in mine.tolist()], float(graded[domain]), r[mine], **limits)
    return capped_weights(w, sources, graded_weight, r, **limits)
