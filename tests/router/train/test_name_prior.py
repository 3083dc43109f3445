"""The fit of levels and of their prior by name, on a world whose levels are known."""

import numpy as np
import pytest

from router.data.dataset import Dataset, Queries
from router.errors import DataError
from router.train.ability import measure_abilities, rasch
from router.train.name_prior import FittedNames, fit_name_prior

FAMILIES = {"alpha": 0.9, "beta": 0.0, "gamma": -0.9}
SIZES = {"1b": -0.8, "8b": 0.0, "70b": 0.8}
VERSIONS = (1, 2, 3)
QUERIES = 240


def names_and_levels() -> tuple[tuple[str, ...], np.ndarray]:
    """Family, size and version decide a model's level, and nothing else does."""
    named = {
        f"lab-{family}/{family}-{version}-{size}": of_family + of_size + 0.2 * version
        for family, of_family in FAMILIES.items()
        for version in VERSIONS
        for size, of_size in SIZES.items()
    }
    levels = np.array(list(named.values()))
    return tuple(named), levels - levels.mean()


def world() -> Dataset:
    """Two benchmarks: one that all models but the last ones of gamma answered, one that only strong models answered, and is hard."""
    rng = np.random.default_rng(1)
    names, levels = names_and_levels()
    hard = np.arange(QUERIES) % 2 == 1
    easiness = np.where(hard, -1.0, 0.5) + 0.5 * rng.normal(size=QUERIES)
    p = 1 / (1 + np.exp(-(easiness + levels[:, None])))
    scores = (rng.random(p.shape) < p).astype(np.float32)
    scores[np.ix_(levels < 0.3, np.flatnonzero(hard))] = np.nan
    splits = np.array(["train", "train", "train", "val", "test"])[np.arange(QUERIES) // 2 % 5]
    queries = Queries(
        np.arange(QUERIES), np.where(hard, "hard", "plain"), np.full(QUERIES, ""), splits, ("x",) * QUERIES
    )
    return Dataset(**vars(queries), models=names, onboarding=np.arange(len(names)) % 9 == 4, scores=scores, hash="h")


@pytest.fixture(scope="module")
def data() -> Dataset:
    return world()


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> FittedNames:
    return fit_name_prior(data)


def test_rasch_finds_levels_and_easiness() -> None:
    rng = np.random.default_rng(0)
    level, easiness = np.linspace(-1.5, 1.5, 12), rng.normal(size=400)
    known = rng.random((12, 400)) < 0.8
    scores = np.where(known, rng.random(known.shape) < 1 / (1 + np.exp(-(easiness + level[:, None]))), 0.0)
    found_easiness, found_level, errors = rasch(scores, known)
    assert np.corrcoef(found_easiness, easiness)[0, 1] > 0.75
    standard = (found_level - found_level.mean() - level) / np.sqrt(errors)
    assert np.abs(standard).max() < 4
    assert np.sqrt((standard**2).mean()) < 1.6


def test_held_out_models_and_other_splits_are_not_read(data: Dataset, fitted: FittedNames) -> None:
    assert set(fitted.prior.names) == {name for name, out in zip(data.models, data.onboarding, strict=True) if not out}
    changed = data.scores.copy()
    changed[data.onboarding] = 1 - changed[data.onboarding]
    changed[:, data.splits != "train"] = 1 - changed[:, data.splits != "train"]
    again = fit_name_prior(Dataset(**{**vars(data), "scores": changed}))
    for key, array in fitted.prior.weights().items():
        np.testing.assert_array_equal(again.prior.weights()[key], array)


def test_levels_are_on_one_scale_over_both_benchmarks(data: Dataset, fitted: FittedNames) -> None:
    truth = names_and_levels()[1][~data.onboarding]
    assert fitted.prior.posterior().mean() == pytest.approx(0, abs=0.1)
    assert np.corrcoef(fitted.prior.posterior(), truth)[0, 1] > 0.95
    assert np.abs(fitted.prior.posterior() - (truth - truth.mean())).mean() < 0.3


def test_the_name_predicts_models_that_were_not_seen(data: Dataset, fitted: FittedNames) -> None:
    truth = names_and_levels()[1][data.onboarding]
    means, variances = fitted.prior.expected(
        [name for name, out in zip(data.models, data.onboarding, strict=True) if out]
    )
    assert np.abs(means - truth).max() < 0.6
    assert (np.abs(means - truth) < 3 * np.sqrt(variances)).all()
    assert (variances < fitted.prior.level("acme/assistant")[1] / 2).all()


def test_a_benchmark_of_strong_models_is_as_hard_as_it_is(data: Dataset, fitted: FittedNames) -> None:
    """Its mean score is that of strong models; its easiness is that of a model of level 0."""
    train = data.splits == "train"
    hard, plain = (train & (data.benchmarks == name) for name in ("hard", "plain"))
    observed = np.nanmean(data.scores[:, hard][~data.onboarding])
    assert 1 / (1 + np.exp(-fitted.easiness[hard].mean())) < observed - 0.1
    assert fitted.easiness[plain].mean() - fitted.easiness[hard].mean() == pytest.approx(1.5, abs=0.5)
    assert np.isnan(fitted.easiness[~train]).all()


def test_a_model_with_few_evaluations_has_a_larger_error(data: Dataset) -> None:
    scores = data.scores.copy()
    scores[0, np.flatnonzero(data.splits == "train")[5:]] = np.nan
    fewer = fit_name_prior(Dataset(**{**vars(data), "scores": scores}))
    assert fewer.prior.errors[0] == fewer.prior.errors.max()


def test_without_evaluations_there_is_nothing_to_fit(data: Dataset) -> None:
    nothing = Dataset(**{**vars(data), "onboarding": np.ones(len(data.models), np.bool_)})
    assert len(measure_abilities(nothing).levels) == 0
    with pytest.raises(DataError, match="no model that is trained on"):
        fit_name_prior(nothing)
