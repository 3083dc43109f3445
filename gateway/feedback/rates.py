"""How well a judge knows right from wrong answers: measured where an exact outcome of the same answer is known as well."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

GOOD = 0.5  # a score from here on says that the answer is right
LEAST_KNOWN = 10  # right, or wrong, answers from which on a rate is measured and not declared
QUARTILE = 0.25


@dataclass(frozen=True, slots=True)
class Rates:
    """Error rates of a judge.

    Attributes:
        sensitivity: P(it says good | right).
        specificity: P(it says bad | wrong).
        right, wrong: the numbers of answers that they were measured on; with fewer than `LEAST_KNOWN`, the declared rate is used.
    """

    sensitivity: float
    specificity: float
    right: int = 0
    wrong: int = 0


def measured_rates(pairs: Iterable[tuple[float, float]], sensitivity: float, specificity: float) -> Rates:
    """The rates of a judge: the lower quartile of the posterior from Beta(1, 1), so that few answers count against it.

    Args:
        pairs: scores of the judge, each with the exact score of the same answer.
        sensitivity, specificity: declared.
    """
    counts = np.zeros((2, 2), np.int64)  # by truth and judgement
    for judged, exact in pairs:
        counts[int(exact >= GOOD), int(judged >= GOOD)] += 1
    (true_bad, false_good), (false_bad, true_good) = counts.tolist()
    right, wrong = true_good + false_bad, true_bad + false_good
    return Rates(
        sensitivity if right < LEAST_KNOWN else beta_quantile(QUARTILE, 1 + true_good, 1 + false_bad),
        specificity if wrong < LEAST_KNOWN else beta_quantile(QUARTILE, 1 + true_bad, 1 + false_good),
        right,
        wrong,
    )


def beta_quantile(share: float, a: int, b: int) -> float:
    """The quantile of the distribution Beta(a, b) with whole parameters, by bisection.

    P(X <= x) is the probability of at least a successes in a + b - 1 trials of probability x.
    """
    n = a + b - 1
    successes = np.arange(a, n + 1)
    log_ways = math.lgamma(n + 1) - np.array([math.lgamma(k + 1) + math.lgamma(n - k + 1) for k in successes])
    low, high = 0.0, 1.0
    for _ in range(50):
        x = (low + high) / 2
        below = np.exp(log_ways + successes * math.log(x) + (n - successes) * math.log1p(-x)).sum()
        low, high = (x, high) if below < share else (low, x)
    return (low + high) / 2
