"""Reports by graders that err and by sources that lie: the arithmetic, and what they do to models of the shipped checkpoint."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from router.model.embedding import Embedding
from router.model.outcomes import LARGEST_SHIFT, SOURCE_CAP, TOTAL_CAP, capped_in_domains, capped_weights, debiased
from router.model.predictor import Predictor
from tests.router.shipped import graded, shipped, shipped_locus

Floats = NDArray[np.float64]
rates = st.floats(0.6, 1.0)


@given(rates, rates, st.floats(0.0, 1.0))
def test_a_debiased_report_has_the_mean_of_the_true_score(sensitivity: float, specificity: float, p: float) -> None:
    (bad, good), _ = debiased([0, 1], sensitivity, specificity)
    reported_good = p * sensitivity + (1 - p) * (1 - specificity)
    assert reported_good * good + (1 - reported_good) * bad == pytest.approx(p, abs=1e-9)


@given(rates, rates, st.floats(0.2, 0.8))
def test_the_weight_is_the_ratio_of_the_variances(sensitivity: float, specificity: float, p: float) -> None:
    (bad, good), weights = debiased([0, 1], sensitivity, specificity, p)
    reported_good = p * sensitivity + (1 - p) * (1 - specificity)
    spread = reported_good * (1 - reported_good) * (good - bad) ** 2
    assert weights == pytest.approx(min(1, p * (1 - p) / spread))


def test_a_grader_that_errs_in_a_fifth_counts_about_a_third() -> None:
    scores, weights = debiased([0, 0.5, 1], 0.8, 0.8)
    assert scores == pytest.approx([-1 / 3, 0.5, 4 / 3])
    assert weights == pytest.approx([0.36] * 3)
    assert debiased([1], 0.8, 0.8, 0.9)[1] == pytest.approx([0.15 / (0.74 * 0.26 / 0.36)])


def test_a_grader_without_errors_changes_nothing() -> None:
    y = np.random.default_rng(0).random(20)
    scores, weights = debiased(y, 1.0, 1.0, y)
    assert scores == pytest.approx(y)
    assert (weights == 1).all()


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.5, 0.5), (0.2, 0.8), (0.54, 0.5)])
def test_a_grader_no_better_than_chance_is_refused(sensitivity: float, specificity: float) -> None:
    with pytest.raises(ValueError, match="hardly better than chance"):
        debiased([1], sensitivity, specificity)


def test_a_rate_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"sensitivity 1\.2"):
        debiased([1], 1.2, 0.9)


reports = st.lists(st.tuples(st.floats(0, 5), st.sampled_from("abcd"), st.floats(-1, 1)), min_size=1, max_size=60)


@given(reports, st.floats(0, 300))
def test_no_source_exceeds_its_cap_and_all_together_not_theirs(
    given_reports: list[tuple[float, str, float]], graded_weight: float
) -> None:
    weights, sources, residuals = (list(column) for column in zip(*given_reports, strict=True))
    w, r, named = np.array(weights), np.array(residuals), np.array(sources)
    found = capped_weights(w, sources, graded_weight, r)
    assert (found <= w).all()
    assert (found >= 0).all()
    assert found.sum() <= TOTAL_CAP * graded_weight * (1 + 1e-9)
    for source in set(sources):
        mine = found[named == source]
        assert mine.sum() <= SOURCE_CAP * graded_weight * (1 + 1e-9)
        shift = abs((mine * r[named == source]).sum()) / max(graded_weight + mine.sum(), 1e-12)
        assert shift <= LARGEST_SHIFT * (1 + 1e-6)


def test_reports_below_the_caps_keep_their_weight() -> None:
    w = np.full(8, 0.5)
    assert capped_weights(w, ["a"] * 4 + ["b"] * 4, 100, np.tile([0.3, -0.3], 4)).tolist() == w.tolist()


def test_the_caps_keep_the_proportions_within_a_source() -> None:
    # Each source may have 1, all together 2.5: the three are scaled to 1 each, and then by 5/6.
    found = capped_weights([1, 3, 8, 8], ["a", "a", "b", "c"], 10)
    assert found == pytest.approx([0.25 * 5 / 6, 0.75 * 5 / 6, 5 / 6, 5 / 6])


def test_without_graded_evaluations_reports_count_nothing() -> None:
    assert capped_weights([1, 2], ["a", "b"], 0).tolist() == [0, 0]


def test_a_source_that_keeps_to_one_domain_is_bounded_there() -> None:
    domains = np.array([2] * 40 + [0] * 2)
    sources = ["a"] * 42
    found = capped_in_domains(np.ones(42), sources, domains, [50.0, 50.0, 5.0], 1000)
    assert found[:40].sum() == pytest.approx(0.5)
    assert found[40:].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 1], ["a"], 1), "1 sources, weights of shape"),
        (([-1], ["a"], 1), "at least 0"),
        (([1], ["a"], -1), "graded weight"),
        (([1], ["a"], 1, [np.nan]), "residuals finite"),
    ],
)
def test_wrong_reports_are_refused(arguments: tuple[list[float], list[str], float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        capped_weights(*arguments)


@dataclass(frozen=True)
class Simulated:
    """A model whose true P(correct) on the anchors is known: that of a model of the space.

    Attributes:
        truth: (A,).
        graded, reported, held: indices of anchors: 128 graded, 500 reported, the others.
        y: answers at all anchors, (A,), 0 or 1.
    """

    truth: Floats
    graded: NDArray[np.int64]
    reported: NDArray[np.int64]
    held: NDArray[np.int64]
    y: Floats

    @classmethod
    def draw(cls, truth: Floats, seed: int) -> "Simulated":
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(truth))
        y = (rng.random(len(truth)) < truth).astype(np.float64)
        return cls(truth, order[:128], order[128:628], order[628:], y)


@pytest.fixture(scope="module")
def anchors() -> NDArray[np.float32]:
    return shipped_locus().features.anchors


@pytest.fixture(scope="module")
def models(anchors: NDArray[np.float32]) -> list[Simulated]:
    """Five models from weak to strong, four draws of each."""
    names = [
        "01-ai/Yi-6B",
        "mistralai/Mixtral-8x7B-Instruct-v0.1",
        "openai/gpt-3.5-turbo-1106",
        "Qwen/Qwen2.5-32B-Instruct",
        "anthropic/claude-3-5-sonnet-20241022",
    ]
    known = shipped().space.embeddings.take(shipped().space.rows(names))
    p = Predictor(shipped_locus(), known).predict(anchors, graded=True).p_correct.astype(np.float64)
    return [Simulated.draw(truth, seed) for truth in p.T for seed in range(4)]


def after(anchors: NDArray[np.float32], one: Simulated, scores: Floats, weights: Floats) -> Embedding:
    """The model from its graded evaluations and reports of these scores and weights."""
    rows = np.concatenate([one.graded, one.reported])
    y, w = np.concatenate([one.y[one.graded], scores]), np.concatenate([np.ones(128), weights])
    return shipped().embed(anchors[rows], y, weights=w, corrected=True)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_one_hostile_key_moves_no_model_by_more_than_four_points(
    anchors: NDArray[np.float32], models: list[Simulated], score: float
) -> None:
    for one in models[::4]:
        before = shipped().embed(anchors[one.graded], one.y[one.graded])
        p = graded(before, anchors)
        lies = np.full(500, score)
        weights = capped_weights(np.ones(500), ["key"] * 500, 128, lies - p[one.reported])
        moved = graded(after(anchors, one, lies, weights), anchors).mean() - p.mean()
        assert 0.01 < abs(moved) < 0.04


def test_without_caps_lies_would_move_a_model_far(anchors: NDArray[np.float32], models: list[Simulated]) -> None:
    one = models[0]
    before = graded(shipped().embed(anchors[one.graded], one.y[one.graded]), anchors)
    assert graded(after(anchors, one, np.ones(500), np.ones(500)), anchors).mean() > before.mean() + 0.3


def test_a_fair_grader_that_errs_in_a_fifth_improves_the_level(
    anchors: NDArray[np.float32], models: list[Simulated]
) -> None:
    """Mean absolute error of the mean P(correct), and the squared error of P(correct), over five models and four draws of each."""
    errors: dict[str, list[tuple[float, float]]] = {"alone": [], "debiased": [], "face value": []}
    for i, one in enumerate(models):
        rng = np.random.default_rng(100 + i)
        before = shipped().embed(anchors[one.graded], one.y[one.graded])
        expected = graded(before, anchors[one.reported])
        true = one.y[one.reported]
        reported = np.where(rng.random(500) < 0.2, 1 - true, true)
        scores, weights = debiased(reported, 0.8, 0.8, expected)
        found = {
            "alone": before,
            "debiased": after(anchors, one, scores, weights),
        }
        if i % 4 == 0:
            found["face value"] = after(anchors, one, reported, np.ones(500))
        for name, embedding in found.items():
            p = graded(embedding, anchors[one.held])
            truth = one.truth[one.held]
            errors[name].append((abs(p.mean() - truth.mean()), float(((p - truth) ** 2).mean())))
    level, squared = ({name: float(np.mean([e[i] for e in of])) for name, of in errors.items()} for i in (0, 1))
    assert level["debiased"] < 0.02, level
    assert level["debiased"] < level["alone"], level
    assert level["face value"] > 0.03, level
    assert squared["debiased"] < squared["alone"], squared
