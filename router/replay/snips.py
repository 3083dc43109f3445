"""SNIPS and doubly robust estimates: another policy's accuracy from requests of the log that were graded.

Where the log itself explored, a graded request on which the other policy makes the same choice counts with the inverse of the
probability of that choice (Swaminathan & Joachims 2015; Dudík, Langford & Li 2011). Both need many graded requests and a log that
explores: a request on which the logged policy was certain says nothing about another model.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from router.replay.estimate import Estimate

FEWEST = 200  # graded requests on which both policies agree
CERTAIN = 1 - 1e-9
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Weighted:
    """What the graded requests say of the other policy's accuracy.

    Attributes:
        overlap: graded requests on which both policies make the same choice.
        uncovered: the share of requests on which the other policy chooses a model that the log was certain not to choose. SNIPS
            says nothing about them.
        snips: self-normalised inverse propensity estimate; None below `FEWEST` graded requests in common.
        doubly_robust: the read-out, corrected by those graded requests; for uncovered requests it is the read-out alone.
    """

    overlap: int
    uncovered: float
    snips: Estimate | None
    doubly_robust: Estimate | None


def weighted(
    agree: NDArray[np.bool_], propensity: Floats, score: Floats, p_logged: Floats, p_other: Floats
) -> Weighted:
    """SNIPS and DR from n requests. Analytic intervals, by linearisation.

    Args:
        agree: the other policy chooses the model that answered, (n,), bool.
        propensity: the probability with which the logged policy chose it, (n,).
        score: of its answer, (n,), in [0, 1]; NaN if it was not graded. Which requests are graded must not depend on the answer.
        p_logged, p_other: predicted P(correct) of the models that the two policies chose, (n,).
    """
    graded = ~np.isnan(score)
    used = graded & agree
    overlap = int(used.sum())
    uncovered = float((~agree & (propensity >= CERTAIN)).mean()) if len(agree) else 0.0
    if overlap < FEWEST:
        return Weighted(overlap, uncovered, None, None)
    weight = np.where(used, 1 / propensity, 0.0)
    value = float(weight[used] @ score[used] / weight.sum())
    error = sqrt(float((weight[used] ** 2) @ (score[used] - value) ** 2)) / float(weight.sum())
    # Each graded request stands for n / graded requests.
    missed = np.zeros(len(agree))
    missed[used] = weight[used] * (score[used] - p_logged[used]) * (len(agree) / graded.sum())
    each = p_other + missed
    robust = Estimate(float(each.mean()), float(missed.std(ddof=1)) / sqrt(len(each)))
    return Weighted(overlap, uncovered, Estimate(value, error), robust)


def measured(score: Floats) -> Estimate | None:
    """Accuracy of the logged choices by their own grades, (n,), NaN if not graded; None below `FEWEST` of them."""
    known = score[~np.isnan(score)]
    if len(known) < FEWEST:
        return None
    return Estimate(float(known.mean()), float(known.std(ddof=1)) / sqrt(len(known)))
