"""Embeddings of a list of models and queries -> P(correct) and its standard error. numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.embedding import Embeddings
from router.model.locus import Locus
from router.model.network import sigmoid
from router.model.query_reader import Asked
from router.model.soft_clip import soft_clip


@dataclass(frozen=True)
class Prediction:
    """Predictions for M models on n queries.

    Attributes:
        p_correct: (n, M), float32, in [0, 1].
        standard_error: of p_correct, (n, M), float32; large where a model has few evaluations on this kind of question, and for
            queries that resemble no evaluated one.
        familiarity: how much each query resembles evaluated ones, (n,), float32, in [0, 1]; at 0, p_correct depends on the
            difficulty of the query and the general ability of the model alone.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    familiarity: NDArray[np.float32]


class Predictor:
    """Predictions for M models. Everything that does not depend on the query is computed once.

    P(correct) = bend((1 - s) μ + s m + c): the network's prior mean μ, the mean model m at the level that the model's name
    suggests, the share s of the plain read-out, and c, which has the correction and the plain read-out in these shares
    (`router.model.locus`). Where a prompt resembles no evaluated query, the general term takes its place (`router.model.general`).

    Args:
        locus: the trained LOCUS.
        models: the embeddings, M rows.
    """

    def __init__(self, locus: Locus, models: Embeddings) -> None:
        self._locus = locus
        self._terms = locus.network.model_terms(models.named)
        self._level = models.level
        self._share = locus.shares_of_readout(models.evaluations)
        coefficients = (1 - self._share)[:, None] * models.correction
        coefficients[:, : models.readout.shape[1]] += self._share[:, None] * models.readout
        self._coefficients_t = np.ascontiguousarray(coefficients.T)  # (F + G, M)
        self._ability, self._ability_variance = models.ability, models.ability_variance
        self._variances_t = np.ascontiguousarray(models.variances.T)  # (C, M)

    def predict(self, q: NDArray[np.float32], *, graded: bool = False) -> Prediction:
        """Query encodings, (n, d_q), float32 -> predictions.

        Args:
            graded: predict the scores that the benchmarks' graders would give, some of which compare an answer with a reference,
                instead of how well a user is served.
        """
        return self.predict_asked(self.asked(q, graded=graded))

    @property
    def domains(self) -> int:
        """The number of domains of queries."""
        return len(self._variances_t)

    def asked(self, q: NDArray[np.float32], *, graded: bool = False) -> Asked:
        """What predictions need of queries; the arguments are those of `predict`."""
        return self._locus.asked(q, graded=graded)

    def predict_asked(self, asked: Asked) -> Prediction:
        """Predictions for queries whose features are known."""
        both = np.empty((2, len(asked.odds), len(self._level)), np.float32)
        named = np.add(asked.odds[:, None], self._level, out=both[1])  # log odds by the names alone, (n, M)
        np.add(self._locus.network.log_odds(asked.u, self._terms), named, out=both[0])
        expected, by_name = sigmoid(both)
        expected += self._share * (by_name - expected)
        expected += asked.design @ self._coefficients_t
        variance = asked.features.domains @ self._variances_t  # (n, M)
        p, variance = self._locus.general.combine(
            asked.general, soft_clip(expected), variance, self._ability, self._ability_variance
        )
        return Prediction(p, np.sqrt(variance), asked.general.familiarity)
