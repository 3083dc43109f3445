"""P(correct) of a fixed list of models, for many calls."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.model.predictor import Prediction, Predictor

FAMILIAR = 0.5  # familiarity from which a query belongs to a domain


class Scorer:
    """P(correct) of a fixed list of models. Everything that does not depend on the query is computed once.

    Attributes:
        models: M names.
        kinds: number of kinds of query that `predict_by_kind` tells apart.
    """

    def __init__(self, models: Sequence[str], predictor: Predictor) -> None:
        self.models = tuple(models)
        self.kinds = predictor.domains + 1
        self._predictor = predictor

    def predict(self, q: NDArray[np.float32], *, graded: bool = False) -> Prediction:
        """Query encodings, (n, d_q), float32 -> predictions for n queries, columns in the order of `models`.

        Args:
            graded: see `Predictor.predict`.
        """
        return self._predictor.predict(q, graded=graded)

    def predict_by_kind(self, q: NDArray[np.float32]) -> tuple[Prediction, NDArray[np.int64]]:
        """As `predict`, and the kind of each query, (n,), int64, below `kinds`.

        It is the most likely domain, or the last one for a query that resembles no evaluated one. Within a kind, the errors of one
        model's predictions are much alike.
        """
        asked = self._predictor.asked(q)
        domain = asked.features.domains.argmax(axis=1)
        unfamiliar = asked.general.familiarity < FAMILIAR
        return self._predictor.predict_asked(asked), np.where(unfamiliar, self.kinds - 1, domain)

    def p_correct(self, q: NDArray[np.float32], *, graded: bool = False) -> NDArray[np.float32]:
        """Query encodings, (n, d_q), float32 -> P(correct), (n, M), float32, columns in the order of `models`.

        Args:
            graded: see `Predictor.predict`.
        """
        return self.predict(q, graded=graded).p_correct
