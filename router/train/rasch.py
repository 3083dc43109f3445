"""A Rasch model of all evaluations: the difficulty of every query and the ability of every model on one scale.

A model of ability a answers a query of difficulty d in benchmark b with the expected score c + (1 - c) σ(θ - d), θ ~ N(s_b a, ω²).
Benchmarks share models, so their difficulties are comparable although each was answered by models of its own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.ability import ABILITY_SPREAD, KIND_SPREAD, LARGEST_STEP, derivatives, kind_estimates

QUERY_SPREAD = 1.2  # standard deviation of difficulties within a benchmark
BENCHMARK_SPREAD = 3.0  # of the mean difficulties of benchmarks
DISCRIMINATION_SPREAD = 0.5
SMALLEST, LARGEST = 0.3, 2.5  # discrimination
ROUNDS = 60
FIRST_ROUNDS = 10  # with equal discriminations


@dataclass(frozen=True)
class Evaluations:
    """E evaluations.

    Attributes:
        model, query: indices, (E,), int64.
        score: (E,), float64, in [0, 1].
        kind: index of each query's benchmark, (Q,), int64.
        floor: the chance of a guess for each query, (Q,).
        models, kinds: how many there are.
    """

    model: NDArray[np.int64]
    query: NDArray[np.int64]
    score: NDArray[np.float64]
    kind: NDArray[np.int64]
    floor: NDArray[np.float64]
    models: int
    kinds: int


@dataclass(frozen=True)
class Rasch:
    """The fitted model.

    Attributes:
        ability: (M,), logits, mean about 0; 0 for a model without evaluations.
        difficulty: (Q,), logits.
        discrimination: s, (B,).
    """

    ability: NDArray[np.float64]
    difficulty: NDArray[np.float64]
    discrimination: NDArray[np.float64]


def fit_rasch(known: Evaluations) -> Rasch:
    """The most probable parameters, by alternating Newton steps on difficulties and on θ of each model and benchmark."""
    queries = len(known.kind)
    pairs, pair = np.unique(known.model * known.kinds + known.kind[known.query], return_inverse=True)
    of_model, of_kind = pairs // known.kinds, pairs % known.kinds
    answered = np.bincount(known.query, minlength=queries) > 0
    floor = known.floor[known.query]
    theta, difficulty = np.zeros(len(pairs)), np.zeros(queries)
    ability, s, level = np.zeros(known.models), np.ones(known.kinds), np.zeros(known.kinds)
    for i in range(ROUNDS):
        slope, curvature = derivatives(known.score, theta[pair] - difficulty[known.query], floor)
        gradient = -np.bincount(known.query, slope, queries) - (difficulty - level[known.kind]) / QUERY_SPREAD**2
        information = np.bincount(known.query, curvature, queries) + QUERY_SPREAD**-2
        difficulty += np.clip(gradient / information, -LARGEST_STEP, LARGEST_STEP)
        number = np.bincount(known.kind, answered, known.kinds)
        total = np.bincount(known.kind, np.where(answered, difficulty, 0.0), known.kinds)
        level = total / (number + (QUERY_SPREAD / BENCHMARK_SPREAD) ** 2)

        slope, curvature = derivatives(known.score, theta[pair] - difficulty[known.query], floor)
        expected = s[of_kind] * ability[of_model]
        gradient = np.bincount(pair, slope, len(pairs)) - (theta - expected) / KIND_SPREAD**2
        known_of_pair = np.bincount(pair, curvature, len(pairs)).astype(np.float64)
        theta += np.clip(gradient / (known_of_pair + KIND_SPREAD**-2), -LARGEST_STEP, LARGEST_STEP)
        estimate, precision = kind_estimates(theta, expected, known_of_pair)
        weight = precision * s[of_kind]
        ability = np.bincount(of_model, weight * estimate, known.models) / (
            np.bincount(of_model, weight * s[of_kind], known.models) + ABILITY_SPREAD**-2
        )
        if i >= FIRST_ROUNDS:
            of_pair = ability[of_model]
            s = (np.bincount(of_kind, precision * of_pair * estimate, known.kinds) + DISCRIMINATION_SPREAD**-2) / (
                np.bincount(of_kind, precision * of_pair**2, known.kinds) + DISCRIMINATION_SPREAD**-2
            )
            s = np.clip(s, SMALLEST, LARGEST)
    return Rasch(ability, difficulty, s)
