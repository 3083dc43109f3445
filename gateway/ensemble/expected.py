"""What a vote of several models is expected to give and to cost. Pure.

The model of their errors. A query is harder or easier than P(correct) tells, for all models alike: a member is right if
√ρ · u + √(1 − ρ) · e is below the quantile of the normal distribution at its P(correct). u, of the query, and e, of the
member, are standard normal, and ρ = 0.7. Given u, members err independently. Two wrong answers are the same one with
probability 0.4: each wrong answer is with probability √0.4 the one that tempts most, and otherwise no other member gives it.
Every answer can be compared.

ρ is fitted to recorded scores of the three most probable models (`python -m research.measure_joint_errors DATA...`). With
independent errors, ρ = 0, the gain of a vote would be overstated several times. 0.4 is from recorded answers of good models to
MMLU-Pro: of two wrong ones 0.32 to 0.51 were the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from gateway.ensemble.key import Key
from gateway.ensemble.plan import Member, Plan
from gateway.ensemble.vote import HIGHEST_P, LOWEST_P, Ballot, decided, tally

COMMON = 0.7  # ρ
SAME_WRONG = 0.4
_RIGHT, _TEMPTING = Key("free", "right"), Key("free", "tempting")
_NODES = 15  # of the integral over u
_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Expected:
    """What the members of a plan are expected to give and to cost.

    Attributes:
        p_correct: the probability that the leading answer is right.
        calls: the number of members that are asked.
        usd: the price of these calls, USD; None if that of a member is not known.
    """

    p_correct: float
    calls: float
    usd: float | None


def expected(plan: Plan) -> Expected:
    """The expectation over all answers that the members may give, each counted by the vote itself.

    The first members are asked in any case. Each further one is asked while its answer, with those of the members after it, could
    change which answer leads. So the expected number of calls and their price follow from how probably the first ones agree.
    """
    members = plan.members
    right, share = right_given(members)
    p_correct, calls, usd = 0.0, 0.0, 0.0
    ways: list[tuple[tuple[Ballot, ...], NDArray[np.float64]]] = [
        ((), share)
    ]  # answers, and their probability with each u
    while ways:
        ballots, probability = ways.pop()
        number = len(ballots)
        if number >= min(plan.ensemble.first, len(members)) and decided(
            ballots, [one.weight for one in members[number:]]
        ):
            chance, author = float(probability.sum()), tally(ballots).author
            p_correct += chance * (author is not None and ballots[author].key == _RIGHT)
            calls += chance * number
            usd += chance * sum(one.usd or 0.0 for one in members[:number])
            continue
        wrong = 1 - right[:, number]
        for key, given in (
            (_RIGHT, right[:, number]),
            (_TEMPTING, wrong * sqrt(SAME_WRONG)),
            (Key("free", f"of member {number}"), wrong * (1 - sqrt(SAME_WRONG))),
        ):
            ballot = Ballot(number, members[number].p_correct, members[number].weight, key)
            ways.append(((*ballots, ballot), probability * given))
    return Expected(p_correct, calls, None if any(one.usd is None for one in members) else usd)


def right_given(members: Sequence[Member]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The probability of a right answer given u, (n, members), at n values of u, and the probabilities of these values, (n,)."""
    u, share = np.polynomial.hermite_e.hermegauss(_NODES)
    quantiles = [_NORMAL.inv_cdf(min(max(one.p_correct, LOWEST_P), HIGHEST_P)) for one in members]
    shifted = (np.array(quantiles) - sqrt(COMMON) * u[:, None]) / sqrt(1 - COMMON)
    return np.vectorize(_NORMAL.cdf, otypes=[np.float64])(shifted), share / share.sum()
