"""Weights of evaluations and corrected scores: what `embed` makes of them, on the shipped checkpoint."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.locus import Locus
from router.model.serving import Router
from tests.router.datasets import tables
from tests.router.shipped import graded, shipped, shipped_locus

NAME = "openai/gpt-5-mini"
TEXTS = tables(120)["queries"]["prompt"].to_pylist()
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def router() -> Router:
    return shipped()


@pytest.fixture(scope="module")
def q(router: Router) -> Floats:
    return router.encoder.encode(TEXTS)


@pytest.fixture(scope="module")
def locus() -> Locus:
    return shipped_locus()


def scores(n: int, mean: float = 0.6, seed: int = 0) -> Floats:
    return (np.random.default_rng(seed).random(n) < mean).astype(np.float32)


def assert_equal(a: Embedding, b: Embedding) -> None:
    for field in fields(Embedding):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


def assert_close(a: Embedding, b: Embedding) -> None:
    for field in fields(Embedding):
        np.testing.assert_allclose(getattr(a, field.name), getattr(b, field.name), atol=2e-4, err_msg=field.name)


@pytest.mark.parametrize("name", [None, NAME])
@pytest.mark.parametrize("n", [1, 40, 120])
def test_weights_of_one_give_the_bytes_of_no_weights(router: Router, q: Floats, name: str | None, n: int) -> None:
    y = scores(n)
    assert_equal(router.embed(q[:n], y, name, np.ones(n)), router.embed(q[:n], y, name))


@given(st.lists(st.integers(0, 3), min_size=30, max_size=30).filter(any), st.integers(0, 5))
@settings(deadline=None, max_examples=15)
def test_an_evaluation_counts_as_often_as_its_weight(router: Router, q: Floats, weights: list[int], seed: int) -> None:
    y = scores(30, seed=seed)
    often = np.repeat(np.arange(30), weights)
    assert_close(router.embed(q[:30], y, NAME, weights), router.embed(q[often], y[often], NAME))


@given(st.lists(st.floats(0.01, 30), min_size=40, max_size=40))
@settings(deadline=None, max_examples=10)
def test_the_order_of_weighted_evaluations_does_not_matter_bit_for_bit(
    router: Router, q: Floats, weights: list[float]
) -> None:
    w, y = np.array(weights, np.float32), scores(40) * 1.4 - 0.2
    order = np.random.default_rng(int(w.sum())).permutation(40)
    a = router.embed(q[:40], y, NAME, w, corrected=True)
    assert_equal(a, router.embed(q[:40][order], y[order], NAME, w[order], corrected=True))


def test_evaluations_of_little_weight_say_little(router: Router, q: Floats) -> None:
    """P(correct) no longer depends on the scores as the weight goes to 0."""

    def p(score: float, weight: float) -> Floats:
        return graded(router.embed(q[:60], np.full(60, score), NAME, np.full(60, weight)), q)

    apart = [float(np.abs(p(1.0, weight) - p(0.0, weight)).mean()) for weight in (1.0, 0.1, 0.01, 1e-6)]
    assert apart == sorted(apart, reverse=True)
    assert apart[0] > 0.5
    assert apart[-1] < 1e-3


def test_the_standard_error_falls_with_the_weight(locus: Locus) -> None:
    asked = np.random.default_rng(0).permutation(locus.features.anchors)[:200]  # queries of all kinds
    errors = [locus.embed(asked, scores(200), NAME, np.full(200, w, np.float32)).variances.mean() for w in (1, 4, 20)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.9 * errors[0]


def test_the_number_of_evaluations_is_the_sum_of_the_weights(router: Router, q: Floats) -> None:
    assert router.embed(q[:10], scores(10), NAME, np.full(10, 0.36)).evaluations == 4
    assert router.embed(q[:10], scores(10), NAME, [0.01, *[0] * 9]).evaluations == 1


def test_corrected_scores_may_lie_outside_zero_and_one(router: Router, q: Floats) -> None:
    y = scores(120)
    with pytest.raises(ValueError, match=r"score 0 is 1\.25, expected a number from 0 to 1"):
        router.embed(q, y * 0 + 1.25, NAME)
    with pytest.raises(ValueError, match="score 1 is nan, expected a finite number"):
        router.embed(q[:2], [1.2, np.nan], NAME, corrected=True)
    spread = 1.5 * y - 0.25  # of the same mean where half of the answers are right
    plain, wide = (router.embed(q, given, NAME, corrected=True) for given in (y, spread))
    assert_equal(plain, router.embed(q, y, NAME))
    p = [graded(one, q) for one in (plain, wide)]
    assert abs(p[1].mean() - p[0].mean() - (spread.mean() - y.mean())) < 0.03


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -0.5], r"weight 1 is -0\.5, expected a finite number of at least 0"),
        ([np.nan, 1], "weight 0 is nan"),
        ([1, np.inf], "weight 1 is inf"),
        ([0, 0], "every evaluation has the weight 0"),
        ([1, 1, 1], r"2 scores, but weights of shape \(3,\)"),
    ],
)
def test_wrong_weights_are_refused(router: Router, q: Floats, weights: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        router.embed(q[:2], [1, 0], NAME, weights)
