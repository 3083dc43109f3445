"""Measures what outcomes of different sources do to held-out models, for the figures in docs/feedback.md.

    python -m research.measure_feedback DATA...

Each model that the checkpoint was not trained on, and that has answered at least 1,000 test queries, is known by 128 graded
evaluations. Then 500 outcomes arrive, from its other evaluations that are not of the test split. They go through the weights and
caps of the gateway's refinement. Level error is the mean |mean P(correct) - accuracy| on its test queries, Brier the mean squared
error of P(correct) there.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.config.feedback import FeedbackEntry
from gateway.feedback.outcome import Kind
from gateway.feedback.rates import Rates
from gateway.feedback.refinement import weigh
from gateway.feedback.reports import Reports
from router.data.dataset import load_datasets
from router.model.checkpoint import load_checkpoint
from router.model.embedding import Embedding
from router.model.serving import Router

GRADED, REPORTED, DRAWS = 128, 500, 4
LEAST_HELD = 1_000  # test queries of a model: with fewer, chance in its accuracy hides the error of the level
ERRS = 0.2  # of the grader
JUDGE, KEY = "grader:judge", "file:key"
Floats = NDArray[np.float64]
Said = Callable[[Floats, np.random.Generator], tuple[Kind, Floats]]

ROWS: dict[str, tuple[Said, FeedbackEntry, dict[str, Rates]]] = {
    "true outcomes": (lambda y, rng: ("exact", y), FeedbackEntry(), {}),
    "a judge that errs in 20%, face value": (lambda y, rng: ("exact", _judged(y, rng)), FeedbackEntry(), {}),
    "the same, its error rates known": (
        lambda y, rng: ("judge", _judged(y, rng)),
        FeedbackEntry(),
        {JUDGE: Rates(1 - ERRS, 1 - ERRS)},
    ),
    'lies "always right", face value': (lambda y, rng: ("exact", np.ones_like(y)), FeedbackEntry(), {}),
    'lies "always right" of one key': (lambda y, rng: ("feedback", np.ones_like(y)), FeedbackEntry(), {}),
    'lies "always wrong" of one key': (lambda y, rng: ("feedback", np.zeros_like(y)), FeedbackEntry(), {}),
    "users report wrong answers, and 30% of the right ones": (
        lambda y, rng: ("feedback", np.where((y >= 0.5) & (rng.random(len(y)) > 0.3), np.nan, y)),
        FeedbackEntry(),
        {},
    ),
}


def main(folders: Sequence[Path]) -> None:
    router = Router.load()
    data = load_datasets(folders).without(load_checkpoint().card["data"]["excluded_benchmarks"])
    q = router.encoder.encode(list(data.prompts))
    test = data.splits == "test"
    found: dict[str, list[tuple[float, float, float]]] = {}
    models = []
    for m in np.flatnonzero(data.onboarding).tolist():
        answered = ~np.isnan(data.scores[m])
        known, held = np.flatnonzero(answered & ~test), np.flatnonzero(answered & test)
        if len(known) < GRADED + REPORTED or len(held) < LEAST_HELD:
            continue
        models.append(f"{data.models[m]} ({len(held)})")
        y = data.scores[m].astype(np.float64)
        for seed in range(DRAWS):
            rng = np.random.default_rng(1000 * m + seed)
            order = rng.permutation(known)
            graded, reported = order[:GRADED], order[GRADED : GRADED + REPORTED]
            before = router.embed(q[graded], y[graded])
            p_before = _p(router, before, q[held])
            found.setdefault("128 graded alone", []).append(_errors(p_before, p_before, y[held]))
            for name, (say, settings, rates) in ROWS.items():
                kind, said = say(y[reported], rng)
                after = _after(router, before, q[reported], said, kind, settings, rates)
                found.setdefault(name, []).append(_errors(_p(router, after, q[held]), p_before, y[held]))
    print(f"{len(models)} models (test queries), {DRAWS} draws each: {', '.join(models)}")
    print("outcomes | level error | Brier | largest change of a model's mean P(correct)")
    for name, errors in found.items():
        level, brier, _ = np.mean(errors, axis=0)
        print(f"{name:55s} | {100 * level:.1f} | {brier:.4f} | {100 * np.max(errors, axis=0)[2]:.1f}")


def _judged(y: Floats, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(len(y)) < ERRS, 1 - y, y)


def _after(
    router: Router,
    before: Embedding,
    q: NDArray[np.float32],
    said: Floats,
    kind: Kind,
    settings: FeedbackEntry,
    rates: dict[str, Rates],
) -> Embedding:
    which = ~np.isnan(said)
    number = int(which.sum())
    source = KEY if kind == "feedback" else JUDGE
    ids = np.array([f"r{i}" for i in range(number)])
    sources, kinds = np.array([source] * number), np.array([kind] * number)
    reports = Reports(ids, sources, kinds, q[which], said[which], np.ones(number), np.ones(number))
    weighed = weigh(router, before, reports, rates, settings, 1.0)
    return router.refine(before, reports.q, weighed.scores, weighed.weights, corrected=True)


def _p(router: Router, model: Embedding, q: NDArray[np.float32]) -> Floats:
    return router.predict(q, [model]).p_correct[:, 0].astype(np.float64)


def _errors(p: Floats, before: Floats, y: Floats) -> tuple[float, float, float]:
    return abs(float(p.mean() - y.mean())), float(((p - y) ** 2).mean()), abs(float(p.mean() - before.mean()))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
