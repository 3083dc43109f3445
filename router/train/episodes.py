"""Training episodes: models that are seen through a few of their evaluations, and queries that they must be predicted on.

An episode draws a pool, the number of evaluations n, target queries that all its models share, and models. Most models
are real ones. Some are mixtures of real ones, mixtures with a shifted level, or draws from the read-out's prior, so
that the network meets models that are unlike the few that exist.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.pools import Pool
from router.model.soft_clip import soft_clip

REAL, MIXED, DRAWN, SHIFTED = range(4)
SHARES = (0.75, 0.12, 0.05, 0.08)  # of the kinds of model above
TARGETS = 48
FEWEST, MOST = 4, 384  # evaluations of a model
TOKENS = 2400  # evaluations in an episode
BATCH = (6, 24)  # models in an episode, at least and at most
CONTEXT_SHARE = 0.8  # of a pool's other queries, at most
INTERPOLATED = (
    0.3  # share of mixtures that take each query from one of two models by lot, instead of each domain from one
)
LARGEST_SHIFT = 0.5
FEWEST_QUERIES = 16  # of a pool
FULL_WEIGHT = 1000  # queries of a pool that is drawn as often as any; smaller ones would be learned by heart
PRIOR_SCALE = 0.4  # log scale of drawn models' deviations, at most


@dataclass(frozen=True)
class EpisodePool:
    """The train queries of a pool, and the models that answered them.

    Attributes:
        queries: rows of the training set, (n,).
        models: rows of the scores, (k,).
        scores: (k, n), float32; NaN where a model was not evaluated.
        domains: domain of each query, (n,).
        means: mean score of each query, (n,).
        weight: how often the pool is drawn, relative to others.
    """

    queries: NDArray[np.int64]
    models: NDArray[np.int64]
    scores: NDArray[np.float32]
    domains: NDArray[np.int64]
    means: NDArray[np.float32]
    weight: float


@dataclass(frozen=True)
class Episode:
    """B models on the same T target queries.

    Attributes:
        context: queries of the evaluations, (B, n).
        y: their scores, (B, n), float32.
        models: the real model of each row, (B,); -1 for an invented one.
        targets: queries to predict, (T,). None of them is in a context.
        target_y: (B, T), float32; NaN where a model was not evaluated.
    """

    context: NDArray[np.int64]
    y: NDArray[np.float32]
    models: NDArray[np.int64]
    targets: NDArray[np.int64]
    target_y: NDArray[np.float32]


class Episodes:
    """Draws episodes.

    Args:
        pools: at least one.
        scores: of all models on all queries of the training set, (M, N), float32; NaN outside split train.
        psi: design of the queries, (N, D), float32.
        mean: mean model of the queries, (N,), float32.
        variance: prior variance of a model's deviation for each term of ψ, (D,).
        rng: source of all draws.
    """

    def __init__(
        self,
        pools: Sequence[EpisodePool],
        scores: NDArray[np.float32],
        psi: NDArray[np.float32],
        mean: NDArray[np.float32],
        variance: NDArray[np.float64],
        rng: np.random.Generator,
    ) -> None:
        self._pools = pools
        weights = np.array([pool.weight for pool in pools])
        self._weights = weights / weights.sum()
        self._scores = scores
        self._answered = {int(m): np.flatnonzero(~np.isnan(scores[m])) for pool in pools for m in pool.models}
        self._psi, self._mean = psi, mean
        self._deviation = np.sqrt(variance).astype(np.float32)
        self._rng = rng

    def draw(self) -> Episode | None:
        """The next episode; None if no model of the drawn pool has enough evaluations."""
        rng = self._rng
        pool = self._pools[int(rng.choice(len(self._pools), p=self._weights))]
        targets = min(TARGETS, len(pool.queries) // 3)
        largest = min(MOST, CONTEXT_SHARE * (len(pool.queries) - targets))
        n = round(math.exp(rng.uniform(math.log(FEWEST), math.log(largest))))
        order = rng.permutation(len(pool.queries))
        asked, rest = order[:targets], order[targets:]
        is_target = np.zeros(self._scores.shape[1], np.bool_)
        is_target[pool.queries[asked]] = True
        drawn = [self._model(pool, n, asked, rest, is_target) for _ in range(int(np.clip(TOKENS // n, *BATCH)))]
        found = [model for model in drawn if model is not None]
        if not found:
            return None
        context, y, models, target_y = zip(*found, strict=True)
        return Episode(
            np.stack(context),
            np.stack(y).astype(np.float32),
            np.array(models),
            pool.queries[asked],
            np.stack(target_y).astype(np.float32),
        )

    def _model(
        self, pool: EpisodePool, n: int, asked: NDArray[np.int64], rest: NDArray[np.int64], is_target: NDArray[np.bool_]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], int, NDArray[np.float32]] | None:
        """One model: the queries and scores of its evaluations, its row or -1, and its scores on the targets."""
        kind = int(self._rng.choice(4, p=SHARES))
        row = int(self._rng.integers(len(pool.models)))
        if kind == REAL:
            model = int(pool.models[row])
            if (
                self._rng.random() < 0.5
            ):  # half of the contexts are from the pool, half from everything that the model answered
                own = pool.queries[rest[~np.isnan(pool.scores[row, rest])]]
            else:
                own = self._answered[model][~is_target[self._answered[model]]]
            if len(own) >= n and not np.isnan(pool.scores[row, asked]).all():
                context = self._rng.choice(own, n, replace=False)
                return context, self._scores[model, context], model, pool.scores[row, asked]
            kind = MIXED
        if kind in (MIXED, SHIFTED):
            y = self._mixture(pool)
            if kind == SHIFTED:
                y = self._shifted(y, pool.means)
            own = rest[~np.isnan(y[rest])]
            if len(own) >= n and not np.isnan(y[asked]).all():
                context = self._rng.choice(own, n, replace=False)
                return pool.queries[context], y[context], -1, y[asked]
        if len(rest) < n:
            return None
        return self._drawn(pool, self._rng.choice(rest, n, replace=False), asked)

    def _mixture(self, pool: EpisodePool) -> NDArray[np.float32]:
        """Scores that come from two to four models: each domain from one of them, or each query from one of two."""
        number = min(len(pool.models), int(self._rng.integers(2, 5)))
        members = self._rng.choice(len(pool.models), number, replace=False)
        if self._rng.random() < INTERPOLATED:
            share = self._rng.random()
            source = np.where(self._rng.random(len(pool.queries)) < share, members[0], members[-1])
        else:
            source = members[self._rng.integers(number, size=int(pool.domains.max()) + 1)][pool.domains]
        scores: NDArray[np.float32] = pool.scores[source, np.arange(len(pool.queries))]
        return scores

    def _shifted(self, y: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of a model that is better, above all where others are good, or worse, above all where others are
        bad.
        """
        shift = self._rng.uniform(-LARGEST_SHIFT, LARGEST_SHIFT)
        lot = self._rng.random(len(y))
        if shift > 0:
            return np.where(
                lot < shift * (LARGEST_SHIFT + means), np.maximum(y, np.where(np.isnan(y), y, 1.0)), y
            ).astype(np.float32)
        return np.where(lot < -shift * (1 + LARGEST_SHIFT - means), y * 0, y).astype(np.float32)

    def _drawn(
        self, pool: EpisodePool, context: NDArray[np.int64], asked: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], int, NDArray[np.float32]]:
        """A model whose deviation from the mean model is drawn from the prior of read-outs."""
        queries = pool.queries[np.concatenate([context, asked])]
        size = math.exp(self._rng.uniform(-PRIOR_SCALE, PRIOR_SCALE))
        w = self._deviation * self._rng.standard_normal(len(self._deviation), np.float32) * np.float32(size)
        p = soft_clip(self._mean[queries] + self._psi[queries] @ w)
        y = (self._rng.random(len(p)) < p).astype(np.float32)
        return pool.queries[context], y[: len(context)], -1, y[len(context) :]


def episode_pools(pools: Sequence[Pool], scores: NDArray[np.float32], domains: NDArray[np.int64]) -> list[EpisodePool]:
    """The pools in the form of `Episodes`: small ones are drawn less often. Pools with fewer than `FEWEST_QUERIES`
    queries are left out.

    Args:
        pools: of split train; queries and models are rows of `scores`.
        scores: (M, N), float32.
        domains: domain of each query, (N,).
    """
    found = []
    for pool in pools:
        if len(pool.queries) < FEWEST_QUERIES:
            continue
        weight = min(1.0, len(pool.queries) / FULL_WEIGHT)
        part = scores[np.ix_(pool.models, pool.queries)]
        found.append(
            EpisodePool(pool.queries, pool.models, part, domains[pool.queries], np.nanmean(part, axis=0), weight)
        )
    return found
