"""The prior over models on a world whose truth is known: the order of its terms, its mean and its main direction."""

import numpy as np
import pytest

from router.data.dataset import Dataset, Queries
from router.errors import DataError
from router.model.anchors import Anchors, choose_anchors
from router.model.features import FeatureMap, kernel, standardised
from router.model.locus import EMBEDDING_DIM
from router.train.feature_map import nystrom_projection
from router.train.prior import ABILITY_VARIANCE, GRID, choose_prior, embedding_directions, mean_model, prior_variance
from router.train.training_set import FOLDS, MIN_EVALUATIONS, TrainingSet, trained_on

TEXT, SURFACE = 4, 2
ABILITY = np.linspace(0.1, 0.9, 9)  # chance of a right answer of each model, whatever the query


def dataset(count: int = 300) -> tuple[Dataset, np.ndarray]:
    """Models that differ in ability only, and encodings of two benchmarks."""
    rng = np.random.default_rng(3)
    benchmark = np.arange(count) % 2
    text = np.eye(TEXT)[benchmark] + 0.1 * rng.normal(size=(count, TEXT))
    q = np.concatenate([text / np.linalg.norm(text, axis=1, keepdims=True), rng.normal(size=(count, SURFACE))], axis=1)
    splits = np.array(["train", "train", "train", "val", "test"])[np.arange(count) // 2 % 5]
    names = np.array(["even", "odd"])[benchmark]
    scores = (rng.random((len(ABILITY), count)) < ABILITY[:, None]).astype(np.float32)
    queries = Queries(np.arange(count), names, np.full(count, ""), splits, ("x",) * count)
    models = tuple(f"lab/{m}" for m in range(len(ABILITY)))
    held_out = np.arange(len(ABILITY)) == 8
    return Dataset(**vars(queries), models=models, onboarding=held_out, scores=scores, hash="h"), q.astype(np.float32)


@pytest.fixture(scope="module")
def world() -> tuple[TrainingSet, Anchors]:
    data, q = dataset()
    anchors = choose_anchors(data, q, number=32)
    mean, scale = q[:, TEXT:].mean(axis=0), q[:, TEXT:].std(axis=0)
    gram = kernel(standardised(anchors.q, TEXT, mean, scale), TEXT)
    rng = np.random.default_rng(0)
    hidden, output = rng.normal(size=(TEXT + SURFACE, 8)), rng.normal(size=(8, 2))
    arrays = (mean, scale, anchors.q, nystrom_projection(gram), hidden, np.zeros(8), output, np.zeros(2))
    feature_map = FeatureMap(TEXT, *(np.asarray(a, np.float32) for a in arrays), parent=np.array([0, 1]))
    return TrainingSet.of(data, feature_map, q), anchors


def test_variances_are_in_the_order_of_the_features(world: tuple[TrainingSet, Anchors]) -> None:
    feature_map = world[0].feature_map
    v = prior_variance(feature_map, 0.02, 0.001)
    assert v.shape == (feature_map.width,)
    assert v[0] == ABILITY_VARIANCE
    assert set(v[1:5]) == {0.02}  # two benchmarks, two domains
    assert set(v[5:]) == {0.001}


def test_val_queries_and_held_out_models_are_in_no_fold_and_no_group(world: tuple[TrainingSet, Anchors]) -> None:
    known = world[0]
    assert set(known.fold.tolist()) == {-1, *range(FOLDS)}
    assert "test" not in known.data.splits[known.queries]
    (group,) = known.groups  # all models answered the same queries
    assert group.models.tolist() == list(range(8))
    np.testing.assert_allclose(sum(part.gram for part in group.folds), group.total.gram)


def test_the_mean_model_predicts_the_mean_score(world: tuple[TrainingSet, Anchors]) -> None:
    known = world[0]
    predicted = known.psi @ mean_model(known)
    assert predicted.mean() == pytest.approx(ABILITY[:8].mean(), abs=0.03)


def test_models_that_differ_in_ability_only_differ_in_distance_by_their_ability(
    world: tuple[TrainingSet, Anchors],
) -> None:
    known, anchors = world
    prior, variances = choose_prior(known)
    assert variances in GRID
    assert variances[1] <= 0.001  # of 1e-6 to 0.03; sampling noise decides between the smallest ones
    assert prior.directions.shape == (known.feature_map.width, 1)
    readouts = trained_on(known.readouts(prior))
    means = (known.psi @ readouts.T).mean(axis=0)
    np.testing.assert_allclose(means, ABILITY[:8], atol=0.1)
    basis, origin = embedding_directions(known, prior, anchors)
    assert basis.shape == (known.feature_map.width, EMBEDDING_DIM)
    np.testing.assert_array_equal(origin, prior.mean)
    z = (readouts - origin) @ basis
    # Distances are differences of predictions: the first and last model differ by about 0.7 in ability.
    assert np.linalg.norm(z[7] - z[0]) == pytest.approx(means[7] - means[0], abs=0.1)
    assert np.linalg.norm(z[1] - z[0]) < np.linalg.norm(z[4] - z[0]) < np.linalg.norm(z[7] - z[0])


def test_models_with_too_few_evaluations_are_refused() -> None:
    data, q = dataset(count=2 * MIN_EVALUATIONS)
    feature_map = FeatureMap(
        TEXT, *(np.zeros(1, np.float32),) * 2, q[:4], np.eye(4, dtype=np.float32),
        np.zeros((TEXT + SURFACE, 2), np.float32), np.zeros(2, np.float32), np.zeros((2, 1), np.float32),
        np.zeros(1, np.float32), np.array([0]),
    )  # fmt: skip
    few = Dataset(**{**vars(data), "scores": np.where(np.arange(len(q)) < 20, data.scores, np.nan).astype(np.float32)})
    with pytest.raises(DataError, match=f"no model has {MIN_EVALUATIONS} evaluations in split train"):
        TrainingSet.of(few, FeatureMap(**{**vars(feature_map), "scale": np.ones(1, np.float32)}), q)
