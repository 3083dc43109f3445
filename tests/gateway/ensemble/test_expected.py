import random
from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest

from gateway.config.ensemble import Ensemble
from gateway.ensemble.expected import COMMON, SAME_WRONG, expected, right_given
from gateway.ensemble.key import Key
from gateway.ensemble.plan import Member, Plan
from gateway.ensemble.vote import Ballot, decided, tally, weight

DRAWS = 20_000
NORMAL = NormalDist()


def members(p_correct: list[float], usd: list[float | None] | None = None) -> tuple[Member, ...]:
    prices = usd or [0.01 * (i + 1) for i in range(len(p_correct))]
    return tuple(Member(i, f"m{i}", p, weight(p), prices[i]) for i, p in enumerate(p_correct))


def simulated(plan: Plan, rng: random.Random) -> tuple[float, float, float]:
    """How often the leading answer is right, calls and USD, in draws of the stated model."""
    right, calls, usd = 0, 0, 0.0
    for _ in range(DRAWS):
        u, ballots = rng.gauss(), list[Ballot]()
        for i, member in enumerate(plan.members):
            if i >= plan.ensemble.first and decided(ballots, [one.weight for one in plan.members[i:]]):
                break
            own = sqrt(COMMON) * u + sqrt(1 - COMMON) * rng.gauss()
            wrong = "tempting" if rng.random() < sqrt(SAME_WRONG) else f"own {i}"
            said = "right" if own < NORMAL.inv_cdf(member.p_correct) else wrong
            ballots.append(Ballot(i, member.p_correct, member.weight, Key("number", said)))
            usd += member.usd or 0.0
        author = tally(ballots).author
        assert author is not None
        right += ballots[author].key == Key("number", "right")
        calls += len(ballots)
    return right / DRAWS, calls / DRAWS, usd / DRAWS


@pytest.mark.parametrize(
    ("p_correct", "first"),
    [([0.7, 0.65, 0.6], 2), ([0.45, 0.44, 0.4], 2), ([0.8, 0.78, 0.7, 0.69, 0.66], 2), ([0.6, 0.58, 0.57, 0.5], 1)],
)
def test_the_expectation_is_the_mean_of_a_simulation(p_correct: list[float], first: int) -> None:
    plan = Plan(Ensemble(size=len(p_correct), first=first), members(p_correct), (), "")
    found, (right, calls, usd) = expected(plan), simulated(plan, random.Random(7))
    error = 4 * 0.5 / sqrt(DRAWS)
    assert found.p_correct == pytest.approx(right, abs=error)
    assert found.calls == pytest.approx(calls, abs=error * len(p_correct))
    assert found.usd == pytest.approx(usd, abs=error * 0.01 * 15)


def test_a_query_that_is_hard_for_one_is_hard_for_all() -> None:
    """The chances given u add up to P(correct), and members are right together more often than by chance."""
    right, share = right_given(members([0.7, 0.5]))
    assert share @ right == pytest.approx([0.7, 0.5], abs=1e-3)
    assert share @ right.prod(axis=1) > 0.7 * 0.5 + 0.1
    assert (np.diff(right, axis=0) <= 0).all()


def test_two_models_of_which_one_decides_gain_nothing() -> None:
    found = expected(Plan(Ensemble(size=2), members([0.7, 0.6]), (), ""))
    assert (found.p_correct, found.calls) == pytest.approx((0.7, 2.0), abs=1e-3)


def test_an_unknown_price_leaves_the_cost_unknown() -> None:
    found = expected(Plan(Ensemble(), members([0.7, 0.69, 0.68], [0.1, None, 0.1]), (), ""))
    assert found.usd is None
    assert found.p_correct > 0.7
