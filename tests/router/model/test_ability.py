"""The general ability of one model from its evaluations."""

from dataclasses import replace

import numpy as np
import pytest

from router.model.ability import ABILITY_SPREAD, KIND_SPREAD, STEPS, UNKNOWN, Ability, Answers, fit_ability


def simulated(ability: float, n: int, kinds: int = 4, floor: float = 0.0, seed: int = 0) -> Answers:
    """Answers of a model whose skill in every kind is its ability."""
    rng = np.random.default_rng(seed)
    difficulty = rng.normal(size=n)
    p = floor + (1 - floor) / (1 + np.exp(difficulty - ability))
    y = (rng.random(n) < p).astype(np.float64)
    return Answers(y, difficulty, np.full(n, floor), rng.integers(kinds, size=n), np.ones(n))


@pytest.mark.parametrize("ability", [-2.0, 0.0, 1.5])
@pytest.mark.parametrize("floor", [0.0, 0.25])
def test_the_ability_of_a_simulated_model_is_found(ability: float, floor: float) -> None:
    found = fit_ability(simulated(ability, 4000, floor=floor), np.ones(4), UNKNOWN)
    assert found.mean == pytest.approx(ability, abs=0.25)
    assert 0 < found.variance < 0.1


def test_the_order_of_the_evaluations_does_not_matter() -> None:
    answers = simulated(0.7, 500)
    shuffled = np.random.default_rng(1).permutation(500)
    other = answers.where(shuffled)
    assert fit_ability(answers, np.ones(4), UNKNOWN) == fit_ability(other, np.ones(4), UNKNOWN)


def test_without_evaluations_it_is_the_prior() -> None:
    none = simulated(0.0, 10).where(np.zeros(10, np.bool_))
    assert fit_ability(none, np.ones(4), Ability(0.4, 0.3)) == Ability(0.4, pytest.approx(0.3))


def test_a_narrow_prior_holds_an_ability_more() -> None:
    answers = simulated(2.0, 20)
    wide, narrow = (fit_ability(answers, np.ones(4), Ability(0.0, variance)) for variance in (2.0, 0.05))
    assert 0 < narrow.mean < wide.mean
    assert narrow.variance < 0.05 < wide.variance


def test_many_evaluations_of_one_kind_leave_the_doubt_about_other_kinds() -> None:
    one = fit_ability(simulated(0.5, 4000, kinds=1), np.ones(4), UNKNOWN)
    four = fit_ability(simulated(0.5, 4000, kinds=4), np.ones(4), UNKNOWN)
    assert one.variance > 0.9 / (KIND_SPREAD**-2 + ABILITY_SPREAD**-2)
    assert four.variance < one.variance / 2


def test_a_model_that_is_always_right_has_a_finite_ability() -> None:
    answers = simulated(0.0, 50)
    perfect = replace(answers, y=np.ones(50))
    found = fit_ability(perfect, np.ones(4), UNKNOWN)
    assert 1.0 < found.mean < 8.0


def test_the_kind_that_discriminates_more_counts_more() -> None:
    rng = np.random.default_rng(3)
    kind = np.repeat([0, 1], 400)
    y = np.concatenate([rng.random(400) < 0.8, rng.random(400) < 0.3]).astype(np.float64)
    answers = Answers(y, np.zeros(800), np.zeros(800), kind, np.ones(800))
    first = fit_ability(answers, np.array([2.0, 0.5]), UNKNOWN)
    second = fit_ability(answers, np.array([0.5, 2.0]), UNKNOWN)
    assert first.mean > 0 > second.mean


@pytest.mark.parametrize("right", [0, 4, 449])
def test_the_ability_of_a_model_that_is_nearly_always_wrong_or_right_settles(
    right: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = np.zeros(449)
    y[:right] = 1.0
    known = Answers(y, np.linspace(0.5, 3.0, 449), np.zeros(449), np.zeros(449, np.int64), np.ones(449))
    found = []
    for steps in (STEPS, STEPS + 1, 4 * STEPS):
        monkeypatch.setattr("router.model.ability.STEPS", steps)
        found.append(fit_ability(known, np.ones(1), Ability(0.3, 0.5)).mean)
    assert np.ptp(found) < 0.01
    assert (found[0] > 0.3) == (right == 449)
