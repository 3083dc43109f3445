"""Models and questions that nothing is known of: the difficulty of each question and the level of each model, jointly.

The answers of several models to one bank are fitted by a Rasch model on top of what is predicted for each model:

    log odds of a right answer = log odds of the predicted P(correct) + deviation of the model + easiness of the question

Deviations and easiness are told apart by priors: a model of the space deviates little from its P(correct), so the more of them
there are among the models, the better the bank's easiness is known; a model that the space lacks is expected where its name says.
The scores, net of the easiness that the *other* models found, then give each model's embedding.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.ability import KIND_SPREAD, LARGEST_STEP
from router.model.embedding import Embedding, Embeddings
from router.model.network import sigmoid
from router.model.predictor import Predictor
from router.model.serving import Router

QUESTION_SPREAD = 1.2  # standard deviation of the easiness of questions, logits; as between those of a benchmark
BANK_SPREAD = 1.0  # of the bank's mean easiness beyond what is predicted of its texts
STEPS = 25  # of Newton's method, which settles within ten
LOWEST = 0.03  # P(correct) is kept this far from 0 and 1, where its log odds would say too much
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Easiness:
    """What M models' answers to B questions say of both.

    Attributes:
        deviation: of each model from its predicted level, (M,), logits.
        bank: the mean easiness of the questions, beyond what is predicted of them, logits.
        others: easiness of each question by the answers of the other models, (M, B), logits.
    """

    deviation: Floats
    bank: float
    others: Floats


def fit_levels(
    router: Router, bank_q: NDArray[np.float32], scores: NDArray[np.floating], names: Sequence[str]
) -> tuple[list[Embedding], Floats]:
    """Embeddings of models that answered questions of one bank, of which no other model's answers are known.

    The order of models and questions does not matter, except for rounding.

    Args:
        bank_q: query encodings, (B, d_q).
        scores: (M, B), in [0, 1]; NaN where a question was not asked. Each model has at least one score.
        names: of the models, M different ones; one of the space is refined from its embedding there, any other is embedded anew.

    Returns:
        M embeddings, and for each question what the models scored above their P(correct), mean, (B,), NaN where none was asked:
        the `difficulty` of a probe, for models that are onboarded later.

    Raises:
        ValueError: shapes that do not fit, a name twice, a score outside [0, 1], or a model without a score.
    """
    y = np.asarray(scores, np.float64)
    if y.shape != (len(names), len(bank_q)) or len(set(names)) != len(names) or not len(names):
        raise ValueError(f"expected different names and scores of shape {(len(names), len(bank_q))}, got {y.shape}")
    asked = ~np.isnan(y)
    if (y[asked] < 0).any() or (y[asked] > 1).any():
        raise ValueError("a score is not in [0, 1]")
    empty = np.flatnonzero(~asked.any(axis=1))
    if len(empty):
        raise ValueError(f"{names[int(empty[0])]} has no score")
    models = _Models(router, bank_q, names)
    odds = models.odds()
    found = fit_easiness(y, odds, models.spread())
    level = odds + found.deviation[:, None]
    embeddings = models.embedded(y - (_p(level + found.others) - _p(level)))
    number = asked.sum(axis=0)
    total = np.where(asked, y - _p(models.odds(embeddings)), 0.0).sum(axis=0)
    return embeddings, np.where(number > 0, total / np.maximum(number, 1), np.nan)


def fit_easiness(y: Floats, odds: Floats, spread: Floats) -> Easiness:
    """The most probable deviations and easiness, by Newton's method on all of them together.

    Args:
        y: scores, (M, B); NaN where there is none.
        odds: log odds of the predicted P(correct), (M, B).
        spread: standard deviation of each model's deviation, (M,), above 0.
    """
    asked = ~np.isnan(y)
    known, number = np.where(asked, y, 0.0), y.shape[1]
    deviation, question, bank = np.zeros(len(y)), np.zeros(number), 0.0
    per_question, per_model = QUESTION_SPREAD**-2, spread**-2.0
    prior = np.diag(np.append(per_model, per_question * number + BANK_SPREAD**-2))
    for _ in range(STEPS):
        slope, curvature = _derivatives(known, odds + deviation[:, None] + question, asked)
        of_question = slope.sum(axis=0) - per_question * (question - bank)  # gradient, (B,)
        of_bank = per_question * float((question - bank).sum()) - bank * BANK_SPREAD**-2
        of_rest = np.append(slope.sum(axis=1) - per_model * deviation, of_bank)  # (M + 1,)
        # The Hessian is diagonal in the questions, so they are eliminated first.
        own = curvature.sum(axis=0) + per_question
        shared = np.concatenate([curvature, np.full((1, number), -per_question)])  # (M + 1, B)
        rest = prior + np.diag(np.append(curvature.sum(axis=1), 0.0)) - (shared / own) @ shared.T
        step = np.linalg.solve(rest, of_rest - shared @ (of_question / own))
        of_question = (of_question - shared.T @ step) / own
        scale = LARGEST_STEP / max(LARGEST_STEP, np.abs(step).max(), np.abs(of_question).max())
        deviation, bank, question = (
            deviation + scale * step[:-1],
            bank + scale * step[-1],
            question + scale * of_question,
        )
    slope, curvature = _derivatives(known, odds + deviation[:, None] + question, asked)
    # Each question's mode without one model: a Newton step from the mode with all.
    return Easiness(deviation, float(bank), question - slope / (curvature.sum(axis=0) - curvature + per_question))


def _derivatives(y: Floats, odds: Floats, asked: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """First derivative of the log likelihood in the log odds, and its curvature, (M, B) each; 0 where nothing was asked."""
    p = _p(odds)
    return np.where(asked, y - p, 0.0), np.where(asked, p * (1 - p), 0.0)


def _p(odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


class _Models:
    """The models that are fitted, before and after."""

    def __init__(self, router: Router, bank_q: NDArray[np.float32], names: Sequence[str]) -> None:
        self._router, self._names = router, names
        self._q = np.ascontiguousarray(bank_q, np.float32)
        self._asked = router.locus.asked(self._q, graded=True)
        space = router.space
        self._known = {name: space.embeddings.row(space.models.index(name)) for name in names if name in space.models}

    def spread(self) -> Floats:
        """How far each model may be from what is predicted of it, (M,), logits."""
        levels = {name: 0.0 if name in self._known else self._router.locus.names.level(name)[1] for name in self._names}
        return np.sqrt([KIND_SPREAD**2 + levels[name] for name in self._names])

    def odds(self, embeddings: Sequence[Embedding] | None = None) -> Floats:
        """Log odds of each model's P(correct) on the questions, (M, B): of these embeddings, or before any answer."""
        found = []
        for i, name in enumerate(self._names):
            model = self._known.get(name) if embeddings is None else embeddings[i]
            if model is None:
                found.append(self._by_name(name))
            else:
                predictor = Predictor(self._router.locus, Embeddings.of([model]))
                found.append(predictor.predict_asked(self._asked).p_correct[:, 0])
        p = np.clip(np.array(found, np.float64), LOWEST, 1 - LOWEST)
        return np.asarray(np.log(p / (1 - p)))

    def _by_name(self, name: str) -> NDArray[np.float32]:
        """P(correct) of a model of which only the name is known, on the questions, (B,)."""
        locus = self._router.locus
        level, variance = (np.full(1, value, np.float32) for value in locus.names.level(name))
        p = sigmoid(self._asked.odds[:, None] + level)
        return locus.general.combine(self._asked.general, p, np.zeros_like(p), level, variance)[0][:, 0]

    def embedded(self, scores: Floats) -> list[Embedding]:
        """Embeddings from corrected scores, (M, B), NaN where there is none."""
        found = []
        for name, y in zip(self._names, scores, strict=True):
            here = np.flatnonzero(~np.isnan(y))
            if name in self._known:
                found.append(self._router.refine(self._known[name], self._q[here], y[here], corrected=True))
            else:
                found.append(self._router.embed(self._q[here], y[here], name, corrected=True))
        return found
