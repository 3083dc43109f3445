"""Refining an embedding whose evaluations are not at hand, on the shipped checkpoint."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.refinement import numbers_by_domain, refined
from tests.router.shipped import graded, shipped, shipped_locus

Floats = NDArray[np.float32]
NAME = "openai/gpt-5-mini"


@pytest.fixture(scope="module")
def asked() -> Floats:
    """Queries of all kinds, in a random order."""
    return np.random.default_rng(0).permutation(shipped_locus().features.anchors)


@pytest.fixture(scope="module")
def scores(asked: Floats) -> Floats:
    """Answers of a model that is like one of the space, but ten points better at every second query."""
    known = shipped().space.embeddings.row(int(shipped().space.rows(["openai/gpt-4o-mini-2024-07-18"])[0]))
    p = graded(known, asked) + 0.1 * (np.arange(len(asked)) % 2)
    return (np.random.default_rng(1).random(len(asked)) < p).astype(np.float32)


@pytest.fixture(scope="module")
def before(asked: Floats, scores: Floats) -> Embedding:
    return shipped_locus().embed(asked[:100], scores[:100], NAME)


def difference(a: Embedding, b: Embedding, q: Floats) -> float:
    """Root mean square difference of P(correct)."""
    return float(np.sqrt(np.mean((graded(a, q) - graded(b, q)) ** 2)))


@given(st.integers(1, 60), st.integers(0, 10_000))
@settings(deadline=None, max_examples=6)
def test_the_order_of_the_new_evaluations_does_not_matter_bit_for_bit(
    asked: Floats, scores: Floats, before: Embedding, n: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    order, w = rng.permutation(n), rng.uniform(0.1, 3, n).astype(np.float32)
    q, y = asked[100 : 100 + n], scores[100 : 100 + n] * 1.3 - 0.1
    a, b = (shipped().refine(before, q[o], y[o], w[o], corrected=True) for o in (np.arange(n), order))
    for field in fields(Embedding):
        np.testing.assert_array_equal(getattr(a, field.name), getattr(b, field.name), err_msg=field.name)


@pytest.mark.parametrize("n", [30, 300])
def test_it_is_nearly_the_embedding_of_all_evaluations(
    asked: Floats, scores: Floats, before: Embedding, n: int
) -> None:
    after = shipped().refine(before, asked[100 : 100 + n], scores[100 : 100 + n])
    together = shipped_locus().embed(asked[: 100 + n], scores[: 100 + n], NAME)
    assert difference(after, together, asked) < 0.25 * difference(before, together, asked)
    assert np.linalg.norm(after.z - together.z) < np.linalg.norm(before.z - together.z)
    assert after.evaluations == together.evaluations == 100 + n
    assert np.sqrt(after.variances / together.variances).mean() == pytest.approx(1, abs=0.1)


def test_weights_count_as_repetitions(asked: Floats, scores: Floats, before: Embedding) -> None:
    q, y = asked[100:130], scores[100:130]
    twice, weighted = (
        shipped().refine(before, np.tile(q, (2, 1)), np.tile(y, 2)),
        shipped().refine(before, q, y, [2] * 30),
    )
    assert difference(twice, weighted, asked) < 1e-4


def test_what_an_embedding_knows_is_worth_its_evaluations(asked: Floats, scores: Floats) -> None:
    for n in (100, 300, 900):
        model = shipped_locus().embed(asked[:n], scores[:n], NAME)
        assert numbers_by_domain(shipped_locus(), model).sum() == pytest.approx(n, rel=0.15)
    number = shipped().graded_weights(model)
    domains = np.bincount(shipped().domains(asked[:900]), minlength=len(number))
    assert np.corrcoef(number, domains)[0, 1] > 0.8


def test_a_model_with_many_evaluations_moves_less(asked: Floats, scores: Floats) -> None:
    q, y = asked[900:], 1 - scores[900:]
    moved = []
    for n in (50, 200, 800):
        model = shipped_locus().embed(asked[:n], scores[:n], NAME)
        moved.append(difference(shipped().refine(model, q, y), model, asked))
    assert moved == sorted(moved, reverse=True)
    assert moved[0] > 2 * moved[-1]


def test_evaluations_as_expected_leave_p_correct_and_make_it_surer(asked: Floats, before: Embedding) -> None:
    after = shipped().refine(before, asked[100:400], graded(before, asked[100:400]))
    assert difference(before, after, asked) < 0.01
    assert (after.variances <= before.variances).all()
    assert after.variances.mean() < 0.95 * before.variances.mean()
    assert after.ability_variance < before.ability_variance


def test_every_model_of_the_space_can_be_refined(asked: Floats) -> None:
    """Those with a handful of evaluations, and those with thousands."""
    space = shipped().space
    order = np.argsort(space.embeddings.evaluations)
    for row in order[[0, len(order) // 2, -1]].tolist():
        model = space.embeddings.row(row)
        after = shipped().refine(model, asked[:5], [1, 0, 1, 1, 0])
        assert after.evaluations == model.evaluations + 5
        assert np.isfinite(after.correction).all()
        assert difference(model, after, asked) < 0.2


def test_wrong_evaluations_are_refused(asked: Floats, before: Embedding) -> None:
    with pytest.raises(ValueError, match=r"score 0 is 1\.5"):
        shipped().refine(before, asked[:1], [1.5])
    with pytest.raises(ValueError, match=r"expected \(n, 290\) encodings"):
        refined(shipped_locus(), before, asked[:0], np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="this checkpoint has"):
        shipped().refine(replace(before, z=before.z[:3]), asked[:1], [1])
