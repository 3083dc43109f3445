"""Routing by cost weight: accuracy and price of a pool over all cost weights, the hull of that curve, and its area.

A query costs (characters of its prompt / `CHARS_PER_TOKEN`) tokens in and `EXPECTED_OUTPUT_TOKENS` out, at the rates of the price
list. Pure functions of arrays.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS

if TYPE_CHECKING:
    from research.bench.tables.context import Context

WEIGHTS = 80  # cost weights between 0 and one at which only the price counts


@dataclass(frozen=True)
class Priced:
    """A pool with prices. Models are sorted by price, so that the cheaper one of equals is chosen.

    Attributes:
        name: of the pool.
        queries: indices, (n,).
        models: indices, (M,).
        scores: (M, n), NaN where a model did not answer.
        usd: price of each query at each model, (M, n).
        mean: each model's mean score on the pool's train queries, (M,): the best single model has the highest.
    """

    name: str
    queries: NDArray[np.int64]
    models: NDArray[np.int64]
    scores: NDArray[np.float64]
    usd: NDArray[np.float64]
    mean: NDArray[np.float32]

    @property
    def answered(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.scores)

    def span(self) -> tuple[float, float]:
        """USD per query of always choosing the cheapest model that answered, and the most expensive one."""
        cheap = np.where(self.answered, self.usd, np.inf).min(axis=0)
        return float(cheap.mean()), float(np.where(self.answered, self.usd, -np.inf).max(axis=0).mean())


@dataclass(frozen=True)
class Sweep:
    """Score and price of the chosen model for W ascending cost weights, (n, W) each, float64."""

    score: NDArray[np.float64]
    usd: NDArray[np.float64]

    def curve(self, weight: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean USD and accuracy by cost weight, (W,) each; `weight` of the queries, (n,), None: equal weights."""
        w = np.ones(len(self.score)) if weight is None else weight
        return w @ self.usd / w.sum(), w @ self.score / w.sum()


def query_prices(context: "Context", models: NDArray[np.int64], queries: NDArray[np.int64]) -> NDArray[np.float64]:
    """USD of each query at each model, (M, n), float64. All models must have a price."""
    tokens = np.array([len(context.data.prompts[i]) for i in queries.tolist()]) / CHARS_PER_TOKEN
    prices = [context.prices[context.data.models[m]] for m in models.tolist()]
    return np.array([[price.usd(float(n), EXPECTED_OUTPUT_TOKENS) for n in tokens] for price in prices])


def cost_weights(usd: NDArray[np.float64]) -> NDArray[np.float64]:
    """W cost weights, ascending, 1/USD: 0, a geometric series, and one at which only the price counts."""
    largest, smallest = float(usd.max()), max(float(usd[usd > 0].min(initial=usd.max())), 1e-9)
    series = np.geomspace(1e-3 / max(largest, 1e-9), 10 / smallest, WEIGHTS)
    return np.array([0.0, *series, 1e6 / smallest])


def swept(pool: Priced, p: NDArray[np.float32]) -> Sweep:
    """Routes to the highest p - weight * price at every cost weight.

    Args:
        p: P(correct), (M of the data, Q), NaN counts as the lowest.
    """
    value = p[np.ix_(pool.models, pool.queries)].astype(np.float64)
    value = np.where(pool.answered, np.where(np.isnan(value), -10.0, value), -np.inf)
    rows = np.arange(len(pool.queries))
    choice = np.stack([(value - weight * pool.usd).argmax(axis=0) for weight in cost_weights(pool.usd)], axis=1)
    return Sweep(pool.scores[choice, rows[:, None]], pool.usd[choice, rows[:, None]])


def hull(usd: NDArray[np.float64], accuracy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the lowest concave, non-decreasing curve on or above the points, by ascending cost."""
    best = -np.inf
    corners: list[tuple[float, float]] = []
    for x, y in sorted(zip(usd.tolist(), accuracy.tolist(), strict=True), key=lambda point: (point[0], -point[1])):
        if y <= best:
            continue
        best = y
        while len(corners) > 1 and _below(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    xs, ys = np.array(corners).T
    return xs, ys


def area(usd: NDArray[np.float64], accuracy: NDArray[np.float64], span: tuple[float, float]) -> float:
    """AIQ: mean height of the hull from the least to the greatest cost of the pool, in [0, 1].

    Left of the first corner the height is 0: no model is that cheap. Right of the last one the height is constant.
    """
    xs, ys = hull(usd, accuracy)
    low, high = span
    if high <= low:
        return float(ys[-1])
    x = np.unique(np.clip(np.concatenate([[low, high], xs]), low, high))
    y = np.interp(x, xs, ys, left=0.0)
    return float(np.trapezoid(y, x) / (high - low))


def cost_of(usd: NDArray[np.float64], accuracy: NDArray[np.float64], level: float) -> float | None:
    """The least mean cost of a swept routing that reaches an accuracy; None if none does."""
    reached = usd[accuracy >= level - 1e-12]
    return float(reached.min()) if len(reached) else None


def cost_on_hull(usd: NDArray[np.float64], accuracy: NDArray[np.float64], level: float) -> float | None:
    """The least mean cost if each query's cost weight may be drawn at random from two: the hull reaches every point between."""
    xs, ys = hull(usd, accuracy)
    if ys[-1] < level - 1e-12:
        return None
    return float(np.interp(level, ys, xs))


def _below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """True if b is on or below the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])
