"""Search by profile: the models of a space that are most similar to a hypothetical model with given accuracies.

A profile is an accuracy for each of some benchmarks. The hypothetical model gets evaluations on the anchor queries of these
benchmarks, and is embedded like any other model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.errors import DataError
from router.model.anchors import Anchors


@dataclass(frozen=True)
class Evaluations:
    """Evaluations of one hypothetical model: q (n, d_q) float32, y (n,) float32 in {0, 1}."""

    q: NDArray[np.float32]
    y: NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """A model of the space, compared with the profile.

    Attributes:
        distance: between its embedding and the profile's.
        accuracy: benchmark -> its predicted accuracy there, in [0, 1], in the profile's order.
        gap: mean over the benchmarks of |predicted accuracy - accuracy of the profile|.
    """

    model: str
    distance: float
    accuracy: Mapping[str, float]
    gap: float


def parse_profile(text: str) -> dict[str, float]:
    """ "gsm8k=0.9,mmlu=0.7" -> {"gsm8k": 0.9, "mmlu": 0.7}

    Raises:
        DataError: the text is not of that form, a benchmark occurs twice, or an accuracy is not a number from 0 to 1.
    """
    profile: dict[str, float] = {}
    for part in text.split(","):
        name, sign, value = (piece.strip() for piece in part.partition("="))
        if not (name and sign and value):
            raise DataError(f"profile: {part.strip()!r}: expected BENCHMARK=ACCURACY, as in gsm8k=0.9,mmlu=0.7")
        if name in profile:
            raise DataError(f"profile: benchmark {name} occurs twice")
        try:
            profile[name] = float(value)
        except ValueError as exc:
            raise DataError(f"profile: {name}={value}: expected a number from 0 to 1") from exc
        if not 0 <= profile[name] <= 1:
            raise DataError(f"profile: {name}={value}: expected a number from 0 to 1")
    return profile


def hypothetical(anchors: Anchors, profile: Mapping[str, float]) -> Evaluations:
    """Evaluations of a model that answers the given share of each benchmark's anchors correctly.

    Correct answers are spread evenly over the anchors of a benchmark, in the order of the data. The number of correct answers is
    rounded: 0.9 of 16 is 14.

    Args:
        profile: benchmark -> accuracy in [0, 1].

    Raises:
        DataError: a benchmark has no anchors.
    """
    named = anchors.of(profile)
    y = np.zeros(len(named.q), np.float32)
    for benchmark, accuracy in profile.items():
        rows = np.flatnonzero(named.benchmarks == benchmark)
        right_so_far = np.floor(np.arange(len(rows) + 1) * accuracy + 0.5)
        y[rows] = np.diff(right_so_far)
    return Evaluations(named.q, y)


def matches(
    profile: Mapping[str, float],
    models: Sequence[str],
    distances: NDArray[np.floating],
    accuracy: Mapping[str, NDArray[np.floating]],
) -> list[Match]:
    """The models of a space compared with the profile, the nearest first, equals by name.

    Args:
        models: M names.
        distances: (M,), of their embeddings to that of the profile's evaluations.
        accuracy: benchmark -> predicted accuracy of each model, (M,), as of `Anchors.means`.
    """
    found = []
    for row, model in enumerate(models):
        predicted = {name: float(accuracy[name][row]) for name in profile}
        gap = float(np.mean([abs(predicted[name] - asked) for name, asked in profile.items()]))
        found.append(Match(model, float(distances[row]), predicted, gap))
    return sorted(found, key=lambda match: (match.distance, match.model))
