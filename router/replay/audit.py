"""Audit: a few requests are graded at both models, which corrects the read-out where it is biased.

Only requests on which the two policies choose different models are asked: on the others the difference is 0. They are drawn
without replacement from strata of the predicted difference, so that large and small differences are both seen, and the read-out's
difference is corrected by the mean of what it missed in each stratum (a difference estimator; Cochran, Sampling Techniques,
5.3 to 5.5 and 7.9).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from router.replay.estimate import Estimate

STRATA = 6
FEWEST = 30  # of graded pairs that an estimate is made from
_LEAST = 2  # of each stratum, so that its variance can be estimated
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """Which of the differing requests are to be asked.

    Attributes:
        drawn: their indexes in the order of asking, (k,), int64. Any first part of them is a stratified sample too.
        strata: the stratum of each differing request, (d,), int64.
    """

    drawn: NDArray[np.int64]
    strata: NDArray[np.int64]


def plan(difference: Floats, variance: Floats, number: int, seed: int = 0) -> Plan:
    """Draw the requests to ask: strata by |predicted difference|, each in proportion to its size and its standard deviation.

    Args:
        difference: predicted P(correct) of the other policy's model minus that of the logged one, of the d differing requests.
        variance: the expected variance of the difference of two graded answers, (d,).
        number: of requests to ask; all are drawn if there are not more.
    """
    rng = np.random.default_rng(seed)
    size = len(difference)
    count = max(1, min(STRATA, min(number, size) // (2 * _LEAST)))
    strata = np.empty(size, np.int64)
    strata[np.argsort(np.abs(difference), kind="stable")] = np.arange(size) * count // max(1, size)
    sizes = np.bincount(strata, minlength=count)
    spread = np.array([sqrt(max(1e-9, float(variance[strata == h].mean()))) if sizes[h] else 0.0 for h in range(count)])
    shares = _allocation(sizes, sizes * spread, min(number, size))
    drawn = [rng.choice(np.flatnonzero(strata == h), shares[h], replace=False) for h in range(count)]
    return Plan(rng.permutation(np.concatenate(drawn)), strata)


def _allocation(sizes: NDArray[np.int64], weights: Floats, number: int) -> NDArray[np.int64]:
    """How many to draw of each stratum: in proportion to the weights, at least two and at most all of them."""
    shares = np.minimum(sizes, _LEAST)
    while (left := number - int(shares.sum())) > 0:
        wanted = np.where(shares < sizes, weights / weights[shares < sizes].sum() * number - shares, -np.inf)
        best = int(np.argmax(wanted))
        shares[best] += min(max(1, int(wanted[best] / 2)), left, int(sizes[best] - shares[best]))
    return shares


def audited(
    count: int, difference: Floats, strata: NDArray[np.int64], asked: NDArray[np.int64], graded: Floats
) -> Estimate | None:
    """The difference of accuracy between the other policy and the logged choices, corrected by the audit.

    The interval covers the difference on these requests. It is analytic: the variance of a stratified sample without
    replacement.

    Args:
        count: of all requests that were replayed, those on which the policies agree included.
        difference: predicted, of the d differing requests.
        strata: of each of them, from `plan`.
        asked: indexes of the differing requests that were asked, (k,).
        graded: score at the other policy's model minus score at the logged one, (k,), in [-1, 1]; NaN: could not be graded.

    Returns:
        None if fewer than `FEWEST` pairs were graded, and not all of them.
    """
    known = ~np.isnan(graded)
    asked, missed = asked[known], graded[known] - difference[asked[known]]
    if len(asked) < min(FEWEST, len(difference)):
        return None
    merged = _merged(strata, strata[asked])
    total, variance = float(difference.sum()), 0.0
    for stratum in np.unique(merged):
        size, own = int((merged == stratum).sum()), missed[merged[asked] == stratum]
        total += size * float(own.mean())
        if len(own) > 1:
            variance += size**2 * (1 - len(own) / size) * float(own.var(ddof=1)) / len(own)
    return Estimate(total / count, sqrt(variance) / count)


def _merged(strata: NDArray[np.int64], sampled: NDArray[np.int64]) -> NDArray[np.int64]:
    """The strata, those with fewer than two samples joined to the one below, and the lowest to the one above."""
    if not len(strata):
        return strata
    counts = np.bincount(sampled, minlength=int(strata.max()) + 1)
    targets, target, held = np.zeros(len(counts), np.int64), 0, 0
    for stratum, sampled_here in enumerate(counts.tolist()):
        if held >= _LEAST and counts[stratum:].sum() >= _LEAST:
            target, held = stratum, 0
        targets[stratum] = target
        held += sampled_here
    return targets[strata]
