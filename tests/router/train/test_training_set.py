"""What training reads: never test queries, held-out models or val scores; and the mean model."""

from dataclasses import replace

import numpy as np
import pytest

from router.errors import DataError
from router.model.readout import NOISE, posterior
from router.train.training_set import MIN_EVALUATIONS, TrainingSet, fit_mean
from tests.router.train.small_world import training_set, world

SKILLS = np.column_stack([np.linspace(0.1, 0.9, 9)] * 2)


@pytest.fixture(scope="module")
def known() -> TrainingSet:
    return training_set(*world(SKILLS))


def test_test_queries_and_held_out_models_are_not_there(known: TrainingSet) -> None:
    assert set(known.data.splits[known.queries].tolist()) == {"train", "val"}
    assert (known.in_train == (known.data.splits[known.queries] == "train")).all()
    assert np.isnan(known.scores[8]).all()
    assert not np.isnan(known.scores[:8]).any()
    assert known.models.tolist() == list(range(8))
    number = len(known.queries)
    assert known.psi.shape == (number, known.feature_map.width)
    assert known.scores.shape == known.named.shape == (9, number)
    assert known.expected.shape == known.in_train.shape == (number,)


def test_scores_of_val_are_for_selection_only(known: TrainingSet) -> None:
    scores = known.train_scores()
    np.testing.assert_array_equal(scores[:8, known.in_train], known.scores[:8, known.in_train])
    assert np.isnan(scores[:, ~known.in_train]).all()
    assert np.isnan(scores[8]).all()
    (group,) = known.groups  # all models answered the same queries
    assert known.in_train[group.rows].all()
    np.testing.assert_array_equal(group.residuals, (known.scores - known.named)[np.ix_(group.models, group.rows)].T)


def test_models_that_answered_the_same_queries_form_a_group(known: TrainingSet) -> None:
    scores = known.data.scores.copy()
    train = np.flatnonzero(known.data.splits == "train")
    scores[:3, train[:50]] = np.nan
    scores[3, train[MIN_EVALUATIONS - 1 :]] = np.nan  # one evaluation too few
    uneven = training_set(replace(known.data, scores=scores), _encodings())
    assert sorted(group.models.tolist() for group in uneven.groups) == [[0, 1, 2], [4, 5, 6, 7]]
    assert 3 not in uneven.models
    assert np.isnan(uneven.train_scores()[3]).all()


def test_read_outs_are_those_of_each_model_alone(known: TrainingSet) -> None:
    variance = np.full(known.feature_map.width, 0.01)
    together = known.readouts(variance)
    for m in (0, 5):
        y = known.scores[m, known.in_train] - known.named[m, known.in_train]
        alone = posterior(known.psi[known.in_train], y[:, None], NOISE, variance).mean[:, 0]
        np.testing.assert_allclose(together[m], alone, atol=1e-5)
    assert np.isnan(together[8]).all()


def test_the_mean_model_and_a_name_are_a_probability(known: TrainingSet) -> None:
    assert ((known.named > 0) & (known.named < 1)).all()
    # A model of level 0 is the middle one.
    assert known.expected.mean() == pytest.approx(SKILLS[:8].mean(), abs=0.05)
    better = known.levels > 0
    assert (known.named[better] >= known.named[~better].max(axis=0)).all()


def test_the_mean_model_is_fitted_to_easiness_and_not_to_who_answered(known: TrainingSet) -> None:
    easiness = np.where(known.data.benchmarks[known.queries] == "even", 2.0, -1.0)
    easiness[~known.in_train] = np.nan
    expected = known.psi @ fit_mean(known.psi, easiness)
    for benchmark, value in (("even", 2.0), ("odd", -1.0)):
        np.testing.assert_allclose(
            expected[known.data.benchmarks[known.queries] == benchmark], 1 / (1 + np.exp(-value)), atol=0.03
        )


@pytest.mark.parametrize(
    ("split", "left", "says"),
    [
        ("train", MIN_EVALUATIONS - 1, f"no model has {MIN_EVALUATIONS} evaluations in split train"),
        ("val", 0, "no query of split val was answered by two models"),
    ],
)
def test_too_few_evaluations_are_refused(known: TrainingSet, split: str, left: int, says: str) -> None:
    scores = known.data.scores.copy()
    scores[:, np.flatnonzero(known.data.splits == split)[left:]] = np.nan
    with pytest.raises(DataError, match=says):
        training_set(replace(known.data, scores=scores), _encodings())


def _encodings() -> np.ndarray:
    return world(SKILLS)[1]
