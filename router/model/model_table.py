"""The models of a portfolio as arrays: predicted correctness, expected price and distances of all models at once.

Everything that does not depend on a request is computed once. numpy only; knows nothing of HTTP, deployments or requests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from router.model.serving import Router

TOKENS_PER_MTOK = 1e6


class PricePerMtok(NamedTuple):
    """A model's prices, USD for a million tokens.

    Attributes:
        usd_in: of the prompt.
        usd_out: of the answer.
        usd_cached: of that part of the prompt which the provider has in its cache.
    """

    usd_in: float
    usd_out: float
    usd_cached: float


@dataclass(frozen=True, slots=True)
class TableScores:
    """The predictions for one query. M is the number of models, in the order of the table.

    Attributes:
        p_correct: predicted correctness, (M,), float32, in [0, 1]; NaN for a model without an embedding.
        standard_error: of p_correct, (M,), float32; NaN likewise.
        familiarity: how much the query resembles evaluated ones, in [0, 1]; None if nothing was predicted.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    familiarity: float | None


class ModelTable:
    """M models, each with an embedding or without one.

    Args:
        router: the trained router; its space must have every embedding.
        embeddings: names in the model space, one for each model; None for a model without an embedding.
        prices: one for each model.

    Attributes:
        embedded: indexes of the models that have an embedding, (E,), int64, ascending.

    Raises:
        ArtifactError: the space lacks an embedding.
    """

    def __init__(self, router: Router, embeddings: Sequence[str | None], prices: Sequence[PricePerMtok]) -> None:
        names = [name for name in embeddings if name is not None]
        self._size = len(embeddings)
        self.embedded: NDArray[np.int64] = np.flatnonzero([name is not None for name in embeddings])
        self._scorer = router.scorer(names)
        # Rows of the model space, (M, Dz), float32; NaN rows make every distance to such a model NaN.
        self._z = np.full((self._size, router.space.z.shape[1]), np.nan, np.float32)
        self._z[self.embedded] = router.space.z[router.space.rows(names)]
        # USD of one token, each (M,), float64.
        per_token = np.array(prices, np.float64).reshape(self._size, 3) / TOKENS_PER_MTOK
        self._usd_in, self._usd_out, self._usd_cached = per_token.T.copy()

    def predict(self, q: NDArray[np.float32] | None) -> TableScores:
        """The predictions for one query.

        Args:
            q: its encoding, (1, d_q), float32; None if it is not known, then all predictions are NaN.
        """
        p_correct, standard_error = np.full((2, self._size), np.nan, np.float32)
        if q is None or not len(self.embedded):
            return TableScores(p_correct, standard_error, None)
        predicted = self._scorer.predict(q)  # (1, E) each
        p_correct[self.embedded] = predicted.p_correct[0]
        standard_error[self.embedded] = predicted.standard_error[0]
        return TableScores(p_correct, standard_error, float(predicted.familiarity[0]))

    def expected_usd(self, prompt_tokens: int, output_tokens: int) -> NDArray[np.float64]:
        """The expected price of a request at each model, (M,), float64, USD."""
        price: NDArray[np.float64] = self._usd_in * prompt_tokens + self._usd_out * output_tokens
        return price

    def cache_discount_usd(self, model: int, cached_tokens: int) -> float:
        """USD that a request costs less at this model, since its provider has a part of the prompt in its cache."""
        return float(max(0.0, cached_tokens * (self._usd_in[model] - self._usd_cached[model])))

    def by_distance(self, model: int) -> list[tuple[int, float | None]]:
        """Index and distance of the other models: the nearest first, and at the end those of unknown distance, in table order.

        The distance is Euclidean, between embeddings: two models that share one embedding have the distance 0.
        """
        distances = np.linalg.norm(self._z - self._z[model], axis=1)  # (M,)
        order = np.argsort(distances, kind="stable").tolist()  # NaN comes last
        return [(i, None if (d := float(distances[i])) != d else d) for i in order if i != model]


def with_switch_price(p_correct: NDArray[np.float32], model: int, price: float) -> NDArray[np.float32]:
    """P(correct) of all models, (M,), float32, reduced by `price` except at the model that a conversation would leave."""
    reduced: NDArray[np.float32] = p_correct - np.float32(price)
    reduced[model] = p_correct[model]
    return reduced


def highest(values: NDArray[np.float64], allowed: NDArray[np.bool_], number: int) -> list[int]:
    """Indexes of the `number` highest values among the allowed ones, in no order; all indexes if there are not more.

    Args:
        values: (M,), float64.
        allowed: (M,), bool. Values that are not allowed are taken only if too few are.
    """
    if len(values) <= number:
        return list(range(len(values)))
    indexes: list[int] = np.argpartition(-np.where(allowed, values, -np.inf), number)[:number].tolist()
    return indexes
