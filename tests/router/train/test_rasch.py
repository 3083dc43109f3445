"""The Rasch model of all evaluations, on simulated ones."""

import numpy as np

from router.train.rasch import Evaluations, fit_rasch


def test_benchmarks_that_different_models_answered_are_on_one_scale() -> None:
    """The easier benchmark was answered by weak models, so that its mean score is the lower one; a few models link the two."""
    rng = np.random.default_rng(0)
    ability = np.concatenate([np.full(10, -2.0), np.full(10, 1.5), np.full(4, 0.0)])
    kind = np.repeat([0, 1], 200)
    difficulty = np.where(kind == 0, -0.5, 1.5) + rng.normal(size=400) / 2
    answered = np.ones((24, 400), np.bool_)
    answered[10:20, :200] = False
    answered[:10, 200:] = False
    model, query = np.nonzero(answered)
    p = 1 / (1 + np.exp(difficulty[query] - ability[model]))
    score = (rng.random(len(p)) < p).astype(np.float64)
    assert score[kind[query] == 0].mean() < score[kind[query] == 1].mean()
    fitted = fit_rasch(Evaluations(model, query, score, kind, np.zeros(400), 24, 2))
    assert fitted.difficulty[kind == 0].mean() < fitted.difficulty[kind == 1].mean() - 0.5
    assert np.corrcoef(fitted.difficulty, difficulty)[0, 1] > 0.7
    assert fitted.ability[:10].max() < fitted.ability[20:].min() < fitted.ability[10:20].min()


def test_the_chance_of_a_guess_is_not_taken_for_ability() -> None:
    rng = np.random.default_rng(1)
    kind = np.repeat([0, 1], 300)
    floor = np.where(kind == 0, 0.5, 0.0)
    model, query = np.nonzero(np.ones((8, 600), np.bool_))
    ability = np.linspace(-1, 1, 8)
    p = floor[query] + (1 - floor[query]) / (1 + np.exp(-ability[model]))
    score = (rng.random(len(p)) < p).astype(np.float64)
    fitted = fit_rasch(Evaluations(model, query, score, kind, floor, 8, 2))
    assert abs(fitted.difficulty[kind == 0].mean() - fitted.difficulty[kind == 1].mean()) < 0.5


def test_a_model_without_evaluations_has_the_mean_ability() -> None:
    score = np.array([1.0, 0.0, 1.0])
    index = np.arange(3)
    fitted = fit_rasch(Evaluations(np.zeros(3, np.int64), index, score, np.zeros(3, np.int64), np.zeros(3), 2, 1))
    assert fitted.ability[1] == 0.0
    assert np.isfinite(fitted.ability).all()
