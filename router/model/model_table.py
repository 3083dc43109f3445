"""The models of a portfolio as arrays: predicted correctness, expected price and distances of all models at once.

Everything that does not depend on a request is computed once. numpy only; knows nothing of HTTP, deployments or requests.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
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
        tiers: prompt size -> the prices of a request whose prompt is longer, the largest size last.
    """

    usd_in: float
    usd_out: float
    usd_cached: float
    tiers: "tuple[tuple[int, PricePerMtok], ...]" = ()

    def above(self, prompt_tokens: int) -> "PricePerMtok":
        """The prices of a request whose prompt is longer than `prompt_tokens`, and not longer than the next size."""
        return next((price for size, price in reversed(self.tiers) if prompt_tokens >= size), self)


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
        prices: one for each model; None for a price that is not known, which counts as the highest one that is.
        parts: index of a model with an embedding -> names in the model space of what answers a part of its requests, with their
            shares. Its P(correct) is the mean by share; the rest is answered by its own embedding.

    Attributes:
        size: the number of models, M.
        embedded: indexes of the models that have an embedding, (E,), int64, ascending.
        priced: the models whose price is known, (M,), bool.

    Raises:
        ArtifactError: the space lacks an embedding.
    """

    def __init__(
        self,
        router: Router,
        embeddings: Sequence[str | None],
        prices: Sequence[PricePerMtok | None],
        parts: Mapping[int, Sequence[tuple[str, float]]] = MappingProxyType({}),
    ) -> None:
        names = [name for name in embeddings if name is not None]
        self.size = len(embeddings)
        self.embedded: NDArray[np.int64] = np.flatnonzero([name is not None for name in embeddings])
        self._scorer = router.scorer([*names, *(name for part in parts.values() for name, _ in part)])
        self._mean = _mean_by_share(self.embedded, parts)
        # Rows of the model space, (M, Dz), float32; NaN rows make every distance to such a model NaN.
        self._z = np.full((self.size, router.space.z.shape[1]), np.nan, np.float32)
        self._z[self.embedded] = router.space.z[router.space.rows(names)]
        self.priced: NDArray[np.bool_] = np.array([price is not None for price in prices], np.bool_)
        self._unpriced = None if self.priced.all() else ~self.priced
        # The prompt sizes above which a price differs, and for each of them, and for shorter prompts, the USD of one token:
        # of the prompt, of the answer and of the cached part, each (M,), float64.
        self.sizes = sorted({size for price in prices if price is not None for size, _ in price.tiers})
        known = [price or PricePerMtok(0.0, 0.0, 0.0) for price in prices]
        self._usd = [_per_token([price.above(size) for price in known]) for size in (0, *self.sizes)]

    def predict(self, q: NDArray[np.float32] | None) -> TableScores:
        """The predictions for one query.

        Args:
            q: its encoding, (1, d_q), float32; None if it is not known, then all predictions are NaN.
        """
        if q is None:
            p_correct, standard_error = np.full((2, self.size), np.nan, np.float32)
            return TableScores(p_correct, standard_error, None)
        return self.predict_all(q)[0]

    def predict_all(self, q: NDArray[np.float32]) -> list[TableScores]:
        """The predictions for n queries: encodings, (n, d_q), float32. Together they take less time than one by one."""
        p_correct, standard_error = np.full((2, len(q), self.size), np.nan, np.float32)
        if not len(self.embedded):
            return [TableScores(*rows, None) for rows in zip(p_correct, standard_error, strict=True)]
        predicted = self._scorer.predict(q)  # (n, E) each
        p_correct[:, self.embedded] = self._of_models(predicted.p_correct)
        standard_error[:, self.embedded] = self._of_models(predicted.standard_error)
        familiarity = predicted.familiarity.tolist()
        return [TableScores(*rows) for rows in zip(p_correct, standard_error, familiarity, strict=True)]

    def predict_each(
        self, q: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
        """The predictions for n queries: encodings, (n, d_q), float32 -> P(correct) and standard errors as in `TableScores`, (n, M)
        each, and the kinds of `Scorer.predict_by_kind`, (n,)."""
        p_correct, standard_error = np.full((2, len(q), self.size), np.nan, np.float32)
        predicted, kinds = self._scorer.predict_by_kind(q)
        p_correct[:, self.embedded] = self._of_models(predicted.p_correct)
        standard_error[:, self.embedded] = self._of_models(predicted.standard_error)
        return p_correct, standard_error, kinds

    def _of_models(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values of all embeddings, (n, E + parts), as values of the models that have one, (n, E). Standard errors are averaged as
        P(correct) is: those of one model's deployments err alike."""
        return values if self._mean is None else values @ self._mean

    @property
    def kinds(self) -> int:
        """The number of kinds of query."""
        return self._scorer.kinds

    def expected_usd(self, prompt_tokens: int, output_tokens: int) -> NDArray[np.float64]:
        """The expected price of a request at each model, (M,), float64, USD."""
        usd_in, usd_out, _ = self._usd[bisect_left(self.sizes, prompt_tokens)]
        price: NDArray[np.float64] = usd_in * prompt_tokens + usd_out * output_tokens
        if self._unpriced is not None:
            price[self._unpriced] = price[self.priced].max(initial=0.0)
        return price

    def cache_discount_usd(self, model: int, prompt_tokens: int, cached_tokens: int) -> float:
        """USD that a request costs less at this model, since its provider has a part of the prompt in its cache."""
        usd_in, _, usd_cached = self._usd[bisect_left(self.sizes, prompt_tokens)]
        return float(max(0.0, cached_tokens * (usd_in[model] - usd_cached[model])))

    def distances(self, model: int) -> NDArray[np.float32]:
        """The distance of each model to one of them, (M,), float32; NaN where one of the two has no embedding."""
        distances: NDArray[np.float32] = np.linalg.norm(self._z - self._z[model], axis=1)
        return distances


def _mean_by_share(
    embedded: NDArray[np.int64], parts: Mapping[int, Sequence[tuple[str, float]]]
) -> NDArray[np.float32] | None:
    """The matrix that makes means of models from values of E embeddings and then of all parts, (E + parts, E); None: no parts."""
    if not parts:
        return None
    columns = {int(model): column for column, model in enumerate(embedded)}
    number = sum(map(len, parts.values()))
    mean = np.concatenate([np.eye(len(embedded), dtype=np.float32), np.zeros((number, len(embedded)), np.float32)])
    row = len(embedded)
    for model, shares in parts.items():
        column = columns[model]
        for _, share in shares:
            mean[row, column], row = share, row + 1
        mean[column, column] = max(0.0, 1.0 - sum(share for _, share in shares))
    return mean


def _per_token(prices: Sequence[PricePerMtok]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """USD of one token of the prompt, of the answer and of the cached part of the prompt, each (M,), float64."""
    usd = np.array([price[:3] for price in prices], np.float64).reshape(len(prices), 3) / TOKENS_PER_MTOK
    return usd[:, 0].copy(), usd[:, 1].copy(), usd[:, 2].copy()


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
