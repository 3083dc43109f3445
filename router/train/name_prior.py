"""Fits the prior of a model's level by its name, on one scale over all benchmarks.

A model's level on a benchmark is measured relative to that benchmark's models (`router.train.ability`). Here it is taken apart:
offset of the benchmark + level of the model + deviation of the model on this benchmark + sampling error. The offset absorbs that
some benchmarks were run with strong models only; models in several benchmarks, and families, tie the benchmarks together. Because
of the deviation a benchmark with many queries counts little more than one with few: no benchmark dominates by its rows.

All parts are normal, so their variances have a likelihood in closed form. It is increased by the multiplicative steps of Zhou, Hu,
Qiao, Cho and Zhou (2019), "MM algorithms for variance components models".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.errors import DataError
from router.model.name_parts import parse_name
from router.model.name_prior import Floats, NamePrior, kernels
from router.train.ability import Abilities, measure_abilities

OFFSET_VARIANCE = 4.0  # prior variance of a benchmark's offset, log-odds
ROUNDS = 60
FIRST_SCALE, FIRST_DEVIATION = 0.1, 0.3  # variances that the steps start from
# Few models in a benchmark say little about its deviation's variance; as much as this many models say that it is DEVIATION_PRIOR.
DEVIATION_PRIOR, DEVIATION_PRIOR_MODELS = 0.25, 5.0
SCALE_WEIGHT = 1e-3  # keeps the steps of a variance that is nearly 0 defined


@dataclass(frozen=True)
class FittedNames:
    """The fit.

    Attributes:
        prior: what serving needs.
        benchmarks: B names.
        offsets: of the benchmarks, (B,), float64, log-odds.
        deviations: variance of a model's deviation on each benchmark, (B,), float64.
        easiness: log-odds that a model of level 0 answers each train query right, (Q,), float64; NaN without evaluations. Levels
            belong to a mean model that is fitted to these instead of to mean scores: a benchmark that only strong models ran is
            harder than its mean score says.
    """

    prior: NamePrior
    benchmarks: tuple[str, ...]
    offsets: Floats
    deviations: Floats
    easiness: Floats


def fit_name_prior(data: Dataset) -> FittedNames:
    """Fits on split `train`; models marked `onboarding` are not read.

    Raises:
        DataError: no model has a train evaluation.
    """
    measured = measure_abilities(data)
    if not len(measured.levels):
        raise DataError("no model that is trained on has an evaluation in split train")
    rows, model = np.unique(measured.models, return_inverse=True)
    names = tuple(data.models[row] for row in rows)
    parts = [parse_name(name) for name in names]
    shared = np.concatenate([kernels(parts, parts), np.eye(len(names))[None]])  # (S + 1, M, M)
    scales, deviations = _variances(shared, model, measured)
    _, weight = _solve(shared, scales, deviations, model, measured)
    offsets = np.asarray(
        OFFSET_VARIANCE * np.bincount(measured.benchmark, weight, len(measured.benchmarks)), np.float64
    )
    # One level for each model: the mean of its levels on benchmarks, less their offsets, by precision.
    precision = 1 / (deviations[measured.benchmark] + measured.errors)
    errors: Floats = 1 / np.bincount(model, precision)
    levels: Floats = errors * np.bincount(model, precision * (measured.levels - offsets[measured.benchmark]))
    # The mean of the models is 0 by definition. What they share goes to the offsets.
    centre = NamePrior(names, levels, errors, scales).posterior().mean()
    offsets += centre
    row = {name: i for i, name in enumerate(measured.benchmarks)}
    # Easiness is NaN in a benchmark that has no row.
    easiness = measured.easiness + offsets[[row.get(name, 0) for name in data.benchmarks.tolist()]]
    prior = NamePrior(names, levels - centre, errors, scales)
    return FittedNames(prior, measured.benchmarks, offsets, deviations, easiness)


def _variances(shared: Floats, model: NDArray[np.int64], measured: Abilities) -> tuple[Floats, Floats]:
    """The variance of each part that names share, (S + 1,), and of the deviation on each benchmark, (B,).

    Args:
        shared: (S + 1, M, M).
        model: index of each level's model in `shared`, (N,).
    """
    scales = np.full(len(shared), FIRST_SCALE)
    deviations = np.full(len(measured.benchmarks), FIRST_DEVIATION)
    for _ in range(ROUNDS):
        inverse, weight = _solve(shared, scales, deviations, model, measured)
        of_model = np.bincount(model, weight)
        by_model = np.zeros((len(of_model), len(of_model)))
        np.add.at(by_model, (model[:, None], model), inverse)
        fit = np.einsum("smk,m,k->s", shared, of_model, of_model, optimize=True)
        size = np.tensordot(shared, by_model, axes=2)
        scales *= np.sqrt((fit + SCALE_WEIGHT) / (size + SCALE_WEIGHT))
        held = DEVIATION_PRIOR_MODELS / DEVIATION_PRIOR
        squares = np.bincount(measured.benchmark, weight**2, len(deviations)) + held
        curvature = np.bincount(measured.benchmark, np.diag(inverse), len(deviations)) + held
        deviations *= np.sqrt(squares / curvature)
    return scales, deviations


def _solve(
    shared: Floats, scales: Floats, deviations: Floats, model: NDArray[np.int64], measured: Abilities
) -> tuple[Floats, Floats]:
    """Inverse of the covariance of the measured levels, (N, N), and its product with them, (N,)."""
    covariance = np.tensordot(scales, shared, axes=1)[np.ix_(model, model)]
    covariance += OFFSET_VARIANCE * (measured.benchmark[:, None] == measured.benchmark)
    covariance[np.diag_indices(len(covariance))] += deviations[measured.benchmark] + measured.errors
    inverse = np.asarray(np.linalg.inv(covariance), np.float64)
    return inverse, inverse @ measured.levels
