"""The general ability of one model from its evaluations: a Rasch model with a few Newton steps. numpy only.

The score of a model of ability a on a query of difficulty d and benchmark b is c + (1 - c) σ(θ_b - d), where θ_b ~ N(s_b a, ω²):
a model may be better or worse at a kind of question than its general ability says, so many evaluations of one kind do not
determine the ability alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KIND_SPREAD = 0.5  # ω, standard deviation in logits; 0.2 to 0.6 within the benchmarks of the training data
ABILITY_SPREAD = 1.5  # standard deviation of the prior of an ability if nothing is known of a model, wide
STEPS = 25
LARGEST_STEP = 1.0  # of a Newton step, in logits
EPSILON = 1e-4


@dataclass(frozen=True)
class Ability:
    """A general ability.

    Attributes:
        mean: in logits; 0 is the mean of the models of the training data.
        variance: its squared standard error.
    """

    mean: float
    variance: float


UNKNOWN = Ability(0.0, ABILITY_SPREAD**2)  # of a model of which nothing is known


@dataclass(frozen=True)
class Answers:
    """n evaluations of one model.

    Attributes:
        y: scores, (n,), in [0, 1].
        difficulty: of the queries, (n,), logits.
        floor: the chance of a guess, (n,).
        kind: index of the benchmark, (n,), int64.
        weight: how many evaluations each one counts as, (n,).
    """

    y: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    floor: NDArray[np.float64]
    kind: NDArray[np.int64]
    weight: NDArray[np.float64]

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> "Answers":
        """Only some of them: (n,) bool, or indices in the wanted order."""
        return Answers(self.y[keep], self.difficulty[keep], self.floor[keep], self.kind[keep], self.weight[keep])

    def sorted(self) -> "Answers":
        """In an order that depends on their values only, since a float sum depends on the order of its terms."""
        return self.where(np.lexsort((self.weight, self.y, self.difficulty, self.floor, self.kind)))


def fit_ability(answers: Answers, discrimination: NDArray[np.float64], prior: Ability) -> Ability:
    """The posterior of the ability, Gaussian at its mode.

    Args:
        answers: of the model, perhaps none.
        discrimination: s, (B,).
        prior: the ability expected before the evaluations.
    """
    known = answers.sorted()
    kinds, index = np.unique(known.kind, return_inverse=True)
    s = discrimination[kinds]  # (K,)
    ability, theta = prior.mean, s * prior.mean
    tie = KIND_SPREAD**-2  # precision of θ around s a
    variance = prior.variance
    for _ in range(STEPS):
        slope, curvature = derivatives(known.y, theta[index] - known.difficulty, known.floor)
        slope, curvature = slope * known.weight, curvature * known.weight
        information = np.bincount(index, curvature, len(kinds)).astype(np.float64)
        # One Newton step of all θ and a together. Steps by turns swing to and fro where nearly all answers are wrong.
        of_theta = np.bincount(index, slope, len(kinds)) - tie * (theta - s * ability)
        of_ability = tie * float(s @ (theta - s * ability)) - (ability - prior.mean) / prior.variance
        precision = information + tie
        variance = 1 / float(tie * (s**2 @ (information / precision)) + 1 / prior.variance)
        step = variance * (of_ability + tie * float(s @ (of_theta / precision)))
        steps = (of_theta + tie * s * step) / precision  # (K,)
        scale = LARGEST_STEP / max(LARGEST_STEP, abs(step), *np.abs(steps))
        ability += scale * step
        theta = theta + scale * steps
    return Ability(ability, variance)


def derivatives(
    y: NDArray[np.float64], logit: NDArray[np.float64], floor: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First derivative of the log likelihood of scores in the logit, and its expected curvature (Fisher), (n,) each."""
    sigma = 1 / (1 + np.exp(-logit))
    p = np.clip(floor + (1 - floor) * sigma, EPSILON, 1 - EPSILON)
    growth = (1 - floor) * sigma * (1 - sigma)  # dp / dlogit
    return growth * (y - p) / (p * (1 - p)), growth**2 / (p * (1 - p))


def kind_estimates(
    theta: NDArray[np.float64], expected: NDArray[np.float64], information: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What the scores alone say of θ, without the shrinkage to its expectation, and the precision of that about s a, (K,) each.

    θ is a mean of the two, weighted by precision, so the scores' own estimate follows from it.
    """
    own = np.maximum(information, 1e-6) * KIND_SPREAD**2
    estimate = np.clip(theta + (theta - expected) / own, -8.0, 8.0)
    return estimate, 1 / (KIND_SPREAD**2 * (1 + 1 / own))
