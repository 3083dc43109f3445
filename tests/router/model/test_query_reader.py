"""Reading queries in one matrix product, against the parts of the shipped checkpoint one by one."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.encode.load import load_encoder
from router.model.checkpoint import load_checkpoint
from router.model.locus import Locus
from router.model.query_reader import log_odds
from tests.router.everyday.prompts import everyday_pairs


@pytest.fixture(scope="module")
def locus() -> Locus:
    loaded = load_checkpoint()
    return Locus.restore(loaded.weights, loaded.card["config"])


@pytest.fixture(scope="module")
def q(locus: Locus) -> NDArray[np.float32]:
    """Everyday prompts, texts of unusual form, and benchmark queries."""
    odd = ["", "x" * 50_000, "1 " * 3000, "(A) yes (B) no (C) maybe", "¿?", "\n" * 500]
    prompts = [text for pair in everyday_pairs() for text in (pair.easy, pair.hard)]
    return np.concatenate([load_encoder().encode([*prompts, *odd]), locus.features.anchors[::8]])


@pytest.mark.parametrize("graded", [False, True])
def test_it_reads_what_the_parts_compute(locus: Locus, q: NDArray[np.float32], graded: bool) -> None:
    asked = locus.asked(q, graded=graded)
    features = locus.features(q)
    for name in ("benchmarks", "domains", "closeness"):
        np.testing.assert_allclose(getattr(asked.features, name), getattr(features, name), atol=2e-4)
    mean = features.joined() @ locus.mean_coefficients
    np.testing.assert_allclose(asked.mean, mean, atol=2e-4)
    u, g = locus.network.query_terms(locus.inputs(q, features, mean))
    np.testing.assert_allclose(asked.u, u, atol=2e-3)
    width = len(locus.mean_coefficients)
    np.testing.assert_allclose(asked.design[:, :width], features.joined(), atol=2e-4)
    np.testing.assert_allclose(asked.design[:, width:], g, atol=2e-3)
    general = locus.general(q, graded=graded)
    for name in ("familiarity", "difficulty", "floor"):
        np.testing.assert_allclose(getattr(asked.general, name), getattr(general, name), atol=2e-3)


def test_a_query_is_read_alone_as_among_others(locus: Locus, q: NDArray[np.float32]) -> None:
    together = locus.asked(q)
    for row in (0, 50, len(q) - 1):
        alone = locus.asked(q[row : row + 1])
        np.testing.assert_allclose(alone.design[0], together.design[row], atol=1e-4)
        np.testing.assert_allclose(alone.u[0], together.u[row], atol=1e-3)


def test_encodings_are_left_as_they_are(locus: Locus, q: NDArray[np.float32]) -> None:
    before = q.copy()
    locus.asked(q)
    np.testing.assert_array_equal(q, before)


def test_no_queries_give_no_rows(locus: Locus, q: NDArray[np.float32]) -> None:
    asked = locus.asked(q[:0])
    assert asked.design.shape == (0, locus.anchors.design.shape[1])
    assert len(asked.u) == len(asked.mean) == len(asked.general.difficulty) == 0


def test_log_odds_of_a_mean_model_stay_finite() -> None:
    odds = log_odds(np.array([-3, 0, 0.5, 1, 3], np.float32))
    assert np.isfinite(odds).all()
    assert (np.diff(odds) >= 0).all()
    assert odds[2] == pytest.approx(0, abs=1e-5)
    assert odds[0] == pytest.approx(-odds[-1], rel=1e-5)
