"""Embeddings and predictions of the shipped checkpoint: what must hold for any set of evaluations."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.encode.load import load_encoder
from router.errors import ArtifactError
from router.model.checkpoint import load_checkpoint
from router.model.locus import Embedding, Locus
from router.model.predictor import Prediction, Predictor, soft_clip
from router.train.evaluate import space_of
from tests.router.datasets import tables


@pytest.fixture(scope="module")
def locus() -> Locus:
    loaded = load_checkpoint()
    return Locus.restore(loaded.weights, loaded.card["config"])


@pytest.fixture(scope="module")
def q() -> NDArray[np.float32]:
    return load_encoder().encode(tables(400)["queries"]["prompt"].to_pylist())


def scores(n: int, mean: float = 0.5, seed: int = 0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).random(n) < mean).astype(np.float32)


def predict(locus: Locus, embeddings: list[Embedding], q: NDArray[np.float32]) -> Prediction:
    space = space_of([f"lab/{i}" for i in range(len(embeddings))], embeddings, "c")
    return Predictor(locus, space.coefficients, space.variances).predict(q)


def test_the_order_of_evaluations_does_not_matter_bit_for_bit(locus: Locus, q: NDArray[np.float32]) -> None:
    y, order = scores(400), np.random.default_rng(1).permutation(400)
    a, b = locus.embed(q, y), locus.embed(q[order], y[order])
    for part in ("z", "coefficients", "variances"):
        np.testing.assert_array_equal(getattr(a, part), getattr(b, part))


@pytest.mark.parametrize("n", [1, 2, 17, 400])
def test_any_number_of_evaluations_gives_an_embedding(locus: Locus, q: NDArray[np.float32], n: int) -> None:
    embedding = locus.embed(q[:n], scores(n))
    assert embedding.z.shape == (128,)
    assert embedding.evaluations == n
    assert np.isfinite(embedding.z).all()
    assert np.isfinite(embedding.coefficients).all()


def test_no_evaluations_and_wrong_shapes_are_refused(locus: Locus, q: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match=r"expected \(n, 290\)"):
        locus.embed(q[:0], scores(0))
    with pytest.raises(ValueError, match="encodings and"):
        locus.embed(q[:5], scores(4))


def test_an_embedding_settles_and_its_doubt_falls_as_evaluations_arrive(locus: Locus, q: NDArray[np.float32]) -> None:
    sizes = (10, 50, 200, 400)
    moved = np.zeros(len(sizes))
    for seed in range(8):
        y = scores(400, 0.1 + 0.1 * seed, seed)
        sets = [locus.embed(q[:n], y[:n]) for n in sizes]
        moved += [np.linalg.norm(e.z - sets[-1].z) for e in sets]
        errors = [float(predict(locus, [e], q[:50]).standard_error.mean()) for e in sets]
        assert errors == sorted(errors, reverse=True)
    assert moved.tolist() == sorted(moved.tolist(), reverse=True)


def test_predictions_follow_what_a_model_gets_right(locus: Locus, q: NDArray[np.float32]) -> None:
    good, poor = (predict(locus, [locus.embed(q, scores(400, mean))], q).p_correct for mean in (0.9, 0.2))
    assert abs(good.mean() - 0.9) < 0.05
    assert abs(poor.mean() - 0.2) < 0.05
    sums = np.arange(400) % 2 == 0
    split = predict(locus, [locus.embed(q, sums.astype(np.float32))], q).p_correct[:, 0]
    assert split[sums].mean() > split[~sums].mean() + 0.5


def test_where_the_guard_decides_models_are_ordered_by_their_means(locus: Locus, q: NDArray[np.float32]) -> None:
    from dataclasses import replace

    guarded = replace(locus, trust=np.zeros_like(locus.trust))
    embeddings = [locus.embed(q, scores(400, mean, seed)) for seed, mean in enumerate((0.4, 0.8, 0.6))]
    out = predict(guarded, embeddings, q)
    assert out.guarded.all()
    assert (out.p_correct.argmax(axis=1) == 1).all()
    # What all models share, the difficulty of the query, stays in the prediction.
    assert out.p_correct[:, 1].std() > 0.01


def test_the_bend_keeps_order_and_stays_inside() -> None:
    value = np.linspace(-0.3, 1.3, 1001, dtype=np.float32)
    bent = soft_clip(value)
    assert (np.diff(bent) > 0).all()
    assert 0 <= bent.min() <= bent.max() <= 1
    inside = (value > 0.2) & (value < 0.8)
    np.testing.assert_allclose(bent[inside], value[inside], atol=1e-3)


def test_a_checkpoint_that_lacks_a_part_or_does_not_fit_is_refused() -> None:
    loaded = load_checkpoint()
    weights = dict(loaded.weights)
    weights["prior.mean"] = weights["prior.mean"][:-1]
    with pytest.raises(ArtifactError, match="do not fit"):
        Locus.restore(weights, loaded.card["config"])
    del weights["prior.mean"]
    with pytest.raises(ArtifactError, match=r"lacks prior\.mean"):
        Locus.restore(weights, loaded.card["config"])
