"""Levels of models and difficulties of questions that nothing was known of, on simulated models and the shipped checkpoint."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from router.model.anchors import load_anchors
from router.model.checkpoint import load_checkpoint
from router.probes.difficulty import corrected
from router.probes.levels import BANK_SPREAD, QUESTION_SPREAD, fit_easiness, fit_levels
from tests.router.shipped import graded, shipped, shipped_locus

Floats = NDArray[np.float64]
KINDS = 3
UNKNOWN = ["lab/alpha", "lab/beta", "lab/gamma", "lab/delta", "lab/epsilon"]
# Log odds by which each model is better or worse, by kind of question: no model is the best at everything.
SKILLS = 1.2 * np.array([[2, -2, 0], [1, -1, -2], [0, 0, 2], [-1, 1, -1], [-2, 2, 1]])


def logistic(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-odds)))


@dataclass(frozen=True)
class World:
    """Questions of three kinds, harder than their texts let one expect, and answers of the five models.

    Attributes:
        q: (Q, d_q).
        kind: of each question, (Q,).
        odds: expected log odds of a mean model, (Q,).
        easiness: (Q,), logits.
        y: (5, Q), 0 or 1.
        bank: True for the questions that are asked, (Q,).
    """

    q: NDArray[np.float32]
    kind: NDArray[np.int64]
    odds: Floats
    easiness: Floats
    y: Floats
    bank: NDArray[np.bool_]

    def truth(self) -> Floats:
        """P(correct) of the models on questions of usual difficulty, (5, Q)."""
        return logistic(self.odds + SKILLS[:, self.kind])


@pytest.fixture(scope="module")
def world() -> World:
    anchors = load_anchors(load_checkpoint())
    names = sorted(anchors.counts().items(), key=lambda of: -of[1])[:KINDS]
    parts = [anchors.of([name]).q for name, _ in names]
    q, kind = np.concatenate(parts), np.repeat(np.arange(KINDS), [len(part) for part in parts])
    odds = shipped_locus().asked(q).odds.astype(np.float64)
    rng = np.random.default_rng(4)
    easiness = -1.2 + rng.normal(size=len(q))
    y = (rng.random((5, len(q))) < logistic(odds + easiness + SKILLS[:, kind])).astype(np.float64)
    return World(q, kind, odds, easiness, y, np.arange(len(q)) % 2 == 0)


def test_five_unknown_models_are_in_the_right_order_of_skill_in_each_kind(world: World) -> None:
    embeddings, _ = fit_levels(shipped(), world.q[world.bank], world.y[:, world.bank], UNKNOWN)
    p = np.array([graded(one, world.q) for one in embeddings])
    for kind in range(KINDS):
        held = ~world.bank & (world.kind == kind)
        said = p[:, held].mean(axis=1)
        assert np.argsort(said).tolist() == np.argsort(SKILLS[:, kind]).tolist(), kind
    assert [one.evaluations for one in embeddings] == [int(world.bank.sum())] * 5


def test_a_hard_bank_is_not_taken_for_weak_models(world: World) -> None:
    """Beside the plain embeddings, which take the bank's difficulty for the models' level."""
    embeddings, _ = fit_levels(shipped(), world.q[world.bank], world.y[:, world.bank], UNKNOWN)
    plain = [
        shipped().embed(world.q[world.bank], y[world.bank], name) for name, y in zip(UNKNOWN, world.y, strict=True)
    ]
    held = ~world.bank
    truth = world.truth()[:, held].mean()
    errors = [abs(np.mean([graded(one, world.q[held]) for one in found]) - truth) for found in (embeddings, plain)]
    assert errors[0] < 0.6 * errors[1]


def test_models_of_the_space_tell_the_level_of_the_bank(world: World) -> None:
    known = ["openai/gpt-4o-mini-2024-07-18", "openai/gpt-4o-2024-08-06", "Qwen/Qwen2-7B-Instruct"]
    p = np.array([graded(shipped().space.embeddings.row(int(shipped().space.rows([n])[0])), world.q) for n in known])
    rng = np.random.default_rng(0)
    odds = np.log(p / (1 - p)).astype(np.float64)
    answers = (rng.random(p.shape) < logistic(odds + world.easiness)).astype(np.float64)
    y = np.concatenate([world.y, answers])[:, world.bank]
    held = ~world.bank
    truth = world.truth()[:, held].mean()

    def error(names: list[str]) -> float:
        found, _ = fit_levels(shipped(), world.q[world.bank], y[: len(names)], names)
        return float(abs(np.mean([graded(one, world.q[held]) for one in found[:5]]) - truth))

    assert error([*UNKNOWN, *known]) < 0.04
    found, _ = fit_levels(shipped(), world.q[world.bank], y, [*UNKNOWN, *known])
    moved = [abs(graded(one, world.q).mean() - p[i].mean()) for i, one in enumerate(found[5:])]
    assert max(moved) < 0.05  # what is known of a model from thousands of evaluations stays
    space = shipped().space
    assert found[5].evaluations == space.embeddings.row(int(space.rows(known[:1])[0])).evaluations + y.shape[1]


def test_the_difficulty_serves_the_next_model(world: World) -> None:
    """A sixth model is embedded from its answers, corrected by the difficulty that the five found."""
    bank = world.q[world.bank]
    _, difficulty = fit_levels(shipped(), bank, world.y[:, world.bank], UNKNOWN)
    assert np.corrcoef(difficulty, world.easiness[world.bank])[0, 1] > 0.6
    rng = np.random.default_rng(3)
    y = (rng.random(len(bank)) < logistic((world.odds + world.easiness)[world.bank])).astype(np.float64)
    truth = logistic(world.odds[~world.bank]).mean()
    net = corrected(y, difficulty, np.full(len(bank), 5))
    said = [
        float(graded(shipped().embed(bank, scores, "lab/zeta", corrected=True), world.q[~world.bank]).mean())
        for scores in (y, net)
    ]
    assert abs(said[1] - truth) < abs(said[0] - truth)


def test_the_order_of_models_and_questions_changes_nothing(world: World) -> None:
    rows, columns = np.array([3, 0, 4, 1, 2]), np.random.default_rng(0).permutation(40)
    q, y = world.q[:40], world.y[:, :40]
    a, difficulty = fit_levels(shipped(), q, y, UNKNOWN)
    b, other = fit_levels(shipped(), q[columns], y[np.ix_(rows, columns)], [UNKNOWN[i] for i in rows])
    np.testing.assert_allclose(other, difficulty[columns], atol=1e-5)
    for i, row in enumerate(rows.tolist()):
        np.testing.assert_allclose(b[i].correction, a[row].correction, atol=1e-4)


def test_questions_that_some_models_were_not_asked(world: World) -> None:
    y = world.y[:, :60].copy()
    y[0, :30], y[:, 59] = np.nan, np.nan
    embeddings, difficulty = fit_levels(shipped(), world.q[:60], y, UNKNOWN)
    assert [one.evaluations for one in embeddings] == [29, 59, 59, 59, 59]
    assert np.isnan(difficulty[59])
    assert np.isfinite(difficulty[:59]).all()


def simulated(models: int, questions: int, bank: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Scores, odds, deviations and easiness."""
    rng = np.random.default_rng(2)
    odds, deviation = rng.normal(size=(models, questions)), rng.normal(size=models)
    easiness = bank + rng.normal(0, QUESTION_SPREAD, questions)
    y = (rng.random((models, questions)) < logistic(odds + deviation[:, None] + easiness)).astype(np.float64)
    return y, odds, deviation, easiness


def test_deviations_and_easiness_are_found() -> None:
    y, odds, deviation, easiness = simulated(12, 400, bank=0.7)
    found = fit_easiness(y, odds, np.full(12, 1.0))
    assert np.corrcoef(found.deviation, deviation)[0, 1] > 0.97
    assert np.corrcoef(found.others.mean(axis=0), easiness)[0, 1] > 0.75
    # Which part of a shift that all models share is the bank's, priors decide: 12 models of spread 1 against the bank's.
    shared = found.bank + found.deviation.mean()
    assert shared == pytest.approx(0.7 + deviation.mean(), abs=0.15)
    assert found.bank == pytest.approx(shared * BANK_SPREAD**2 / (BANK_SPREAD**2 + 1 / 12), abs=0.1)


def test_it_is_the_mode() -> None:
    """At the mode, the posterior's gradient vanishes; the own answer is left out of what the others found."""
    y, odds, _, _ = simulated(4, 30, bank=-1.0)
    y[1, :10] = np.nan
    spread = np.array([0.5, 1.0, 1.5, 0.5])
    found = fit_easiness(y, odds, spread)
    asked = ~np.isnan(y)
    question = found.others[1, 0]  # not asked of model 1, so that the others are all
    slope = np.where(asked, np.nan_to_num(y) - logistic(odds + found.deviation[:, None] + question), 0)[:, 0].sum()
    assert slope == pytest.approx((question - found.bank) / QUESTION_SPREAD**2, abs=1e-6)
    flipped = y.copy()
    flipped[0, 20] = 1 - flipped[0, 20]
    other = fit_easiness(flipped, odds, spread)
    assert abs(other.others[0, 20] - found.others[0, 20]) < 0.3 * abs(other.others[2, 20] - found.others[2, 20])


@pytest.mark.parametrize(
    ("y", "names", "message"),
    [
        ([[1.0, 0.0]], ["lab/a", "lab/b"], r"shape \(2, 2\), got \(1, 2\)"),
        ([[1.0, 0.0], [0.0, 1.0]], ["lab/a", "lab/a"], "different names"),
        ([[1.0, 1.5], [0.0, 1.0]], ["lab/a", "lab/b"], "not in"),
        ([[1.0, 1.0], [np.nan, np.nan]], ["lab/a", "lab/b"], "lab/b has no score"),
    ],
)
def test_wrong_arguments_are_refused(world: World, y: list[list[float]], names: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_levels(shipped(), world.q[:2], np.array(y), names)
