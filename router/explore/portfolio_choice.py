"""Chooses k of M models so that for most queries one of them is likely to be correct, without or with a budget.

Pure functions of arrays: models are columns, queries are rows. Every choice is deterministic: of equal candidates the one with
the lower index is taken.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.99  # share of the full pool's accuracy at which a portfolio counts as complete
ROUNDING = 1e-9  # relative rounding error of a mean of equal prices
COST_WEIGHTS = 32  # number of coarse cost weights that are tried for a budget
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Coverage:
    """Models in the order of picking, with the expected accuracy and price of routing among the first 1, 2, ... k of them.

    Attributes:
        models: k columns.
        accuracy: k numbers in [0, 1], the weighted mean over queries of p of the routed choice.
        usd_per_query: k numbers, the weighted mean price of the routed choices; NaN without prices.
        cost_weight: 1/USD, as in a policy: the choice is the model with the highest p - cost_weight * price.
    """

    models: tuple[int, ...]
    accuracy: tuple[float, ...]
    usd_per_query: tuple[float, ...]
    cost_weight: float = 0.0


def coverage_greedy(p: Floats, weights: Floats | None, k: int) -> Coverage:
    """k models that maximise the weighted mean over queries of the best p among them: greedy with lazy evaluation.

    The mean of the best is monotone and submodular (facility location), so greedy reaches at least 1 - 1/e, 63%, of
    the best k models' value (Nemhauser, Wolsey & Fisher 1978). A gain never grows as models are added, so most models'
    gains of earlier rounds rule them out unseen (Minoux 1978).

    Args:
        p: P(correct), or scores, (n, M), in [0, 1], no NaN.
        weights: (n,), non-negative; None weighs all queries alike. They need not sum to 1.
        k: 1 to M.

    Raises:
        ValueError: k is out of range, shapes do not fit, or the weights are negative or all zero.
    """
    w = check_weights(p, weights, k)
    value = p.astype(np.float64)
    found = _coverage_of(value, w, np.zeros(p.shape[1]), tuple(_greedy(value, w, k)), 0.0)
    return replace(found, usd_per_query=(np.nan,) * k)


def coverage_under_budget(
    p: Floats, weights: Floats | None, prices: Floats, budget: float, k: int | None = None
) -> Coverage:
    """Models that cover the queries best while routing among them costs at most `budget` USD per query on average.

    What a portfolio costs depends on how it is routed. Here it is routed as the gateway does it, to the highest
    p - cost_weight * price, at the smallest cost weight that keeps the mean price within the budget. At a given
    cost weight the mean of the best utility is submodular like coverage, so greedy finds the models; several
    cost weights are tried and the portfolio with the highest accuracy within the budget wins.

    Args:
        p: P(correct), (n, M), in [0, 1], no NaN.
        weights: (n,), non-negative; None weighs all queries alike.
        prices: (M,), USD per query.
        budget: USD per query.
        k: number of models; None: as few as reach 99% of the accuracy of all M within the same budget.

    Returns:
        The last entry keeps the budget. A shorter prefix may exceed it, since it lacks cheaper models.

    Raises:
        ValueError: as for `coverage_greedy`, prices are negative, or the budget is below the cheapest model's price.
    """
    check_weights(p, weights, k or 1)
    w, c = _checked_prices(p, weights, prices, budget)
    value = p.astype(np.float64)
    sizes = range(1, p.shape[1] + 1) if k is None else [k]
    greedy = [_greedy(value - weight * c, w, sizes[-1]) for weight in _coarse_cost_weights(c)]
    orders: list[tuple[int, ...]] = [() for _ in greedy]
    full = routed_within(p, weights, prices, budget, range(p.shape[1])).accuracy[-1]
    for size in sizes:
        orders = [order + tuple(islice(more, size - len(order))) for order, more in zip(orders, greedy, strict=True)]
        best = max(
            (_at_least_cost_weight(value, w, c, budget, models) for models in sorted(set(orders))),
            key=lambda portfolio: portfolio.accuracy[-1] if _is_within_budget(portfolio, budget) else -1.0,
        )
        if _is_within_budget(best, budget) and best.accuracy[-1] >= ENOUGH * full:
            break
    return best


def routed_within(p: Floats, weights: Floats | None, prices: Floats, budget: float, models: Sequence[int]) -> Coverage:
    """Accuracy and price of these models when routing among all of them costs at most `budget` USD per query on average.

    Args:
        p, weights, prices, budget: as for `coverage_under_budget`.
        models: columns.

    Returns:
        The models in the order given. Where even the cheapest of them exceeds the budget, the last entry does.

    Raises:
        ValueError: as for `coverage_under_budget`.
    """
    w, c = _checked_prices(p, weights, prices, budget)
    return _at_least_cost_weight(p.astype(np.float64), w, c, budget, tuple(models))


def smallest_enough(coverage: Coverage, full_accuracy: float, share: float = ENOUGH) -> int | None:
    """The smallest k whose accuracy is at least `share` of the full pool's; None where no prefix reaches it."""
    reached = [k for k, accuracy in enumerate(coverage.accuracy, 1) if accuracy >= share * full_accuracy]
    return reached[0] if reached else None


def _greedy(value: NDArray[np.float64], w: NDArray[np.float64], k: int) -> Iterator[int]:
    """Columns in the order of their marginal gain in Σ w max(value), lazily evaluated.

    Every query starts covered at the least value of all, so that utilities below 0 need no special case.
    """

    def gain(m: int) -> float:
        return round(
            float(np.maximum(columns[m] - covered, 0) @ w), 12
        )  # so that equals stay equal in any summation order

    columns = np.ascontiguousarray(value.T)
    covered = np.full(value.shape[0], value.min())
    queue = [(-gain(m), m, 0) for m in range(len(columns))]
    heapq.heapify(queue)
    for picked in range(k):
        while queue[0][2] < picked:
            m = queue[0][1]
            heapq.heapreplace(queue, (-gain(m), m, picked))
        m = heapq.heappop(queue)[1]
        covered = np.maximum(covered, columns[m])
        yield m


def _coverage_of(
    p: NDArray[np.float64],
    w: NDArray[np.float64],
    prices: NDArray[np.float64],
    models: tuple[int, ...],
    cost_weight: float,
) -> Coverage:
    """Accuracy and price of routing among each prefix."""
    utility, choice = np.full(len(p), -np.inf), np.full(len(p), models[0])
    accuracy, usd = [], []
    for m in models:
        own = p[:, m] - cost_weight * prices[m]
        cheaper = (prices[m] < prices[choice]) | ((prices[m] == prices[choice]) & (m < choice))
        choice = np.where((own > utility) | ((own == utility) & cheaper), m, choice)
        utility = np.maximum(utility, own)
        accuracy.append(float(p[np.arange(len(p)), choice] @ w))
        usd.append(float(prices[choice] @ w))
    return Coverage(models, tuple(accuracy), tuple(usd), cost_weight)


def _at_least_cost_weight(
    p: NDArray[np.float64], w: NDArray[np.float64], prices: NDArray[np.float64], budget: float, models: tuple[int, ...]
) -> Coverage:
    """These models at the smallest cost weight that keeps the budget. If none keeps it, at one that always takes the cheapest."""
    by_price = np.array(sorted(models, key=lambda m: (prices[m], m)), np.int64)  # of equals argmax takes the first
    value, price = p[:, by_price], prices[by_price]

    def is_within_budget(cost_weight: float) -> bool:
        return float(price[(value - cost_weight * price).argmax(axis=1)] @ w) <= budget * (1 + ROUNDING)

    if is_within_budget(0.0):
        return _coverage_of(p, w, prices, models, 0.0)
    low, high = 1e-6 / prices.max(), _price_only_weight(prices)
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if is_within_budget(middle) else (middle, high)
    return _coverage_of(p, w, prices, models, high)


def _is_within_budget(portfolio: Coverage, budget: float) -> bool:
    return portfolio.usd_per_query[-1] <= budget * (1 + ROUNDING)


def _coarse_cost_weights(prices: NDArray[np.float64]) -> list[float]:
    """0, then steps from weights at which prices hardly matter, and last one at which only the price matters."""
    if not prices.any():
        return [0.0]
    steps = np.geomspace(0.01 / prices.max(), 1 / prices[prices > 0].min(), COST_WEIGHTS)
    return [0.0, *steps.tolist(), _price_only_weight(prices)]


def _price_only_weight(prices: NDArray[np.float64]) -> float:
    """A cost weight at which the cheapest model is always chosen: no difference in p (at most 1) outweighs one in price."""
    return float(2.0 / np.diff(np.unique(prices)).min(initial=prices.max()))


def _checked_prices(
    p: Floats, weights: Floats | None, prices: Floats, budget: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights summing to 1, (n,), and prices, (M,), both float64."""
    w, c = check_weights(p, weights, 1), np.asarray(prices, np.float64)
    if c.shape != (p.shape[1],) or not (c >= 0).all():
        raise ValueError(f"expected {p.shape[1]} non-negative prices, got {c.shape}")
    if budget < c.min():
        raise ValueError(f"a budget of {budget:g} USD per query is below the cheapest model's {c.min():g}")
    return w, c


def check_weights(p: Floats, weights: Floats | None, k: int) -> NDArray[np.float64]:
    """The weights, (n,), float64, summing to 1.

    Raises:
        ValueError: shapes do not fit, k is out of range, or the weights are negative or all zero.
    """
    if p.ndim != 2 or not len(p):
        raise ValueError(f"expected (queries, models), got {p.shape}")
    if not 1 <= k <= p.shape[1]:
        raise ValueError(f"k must be from 1 to {p.shape[1]}, got {k}")
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    if w.shape != (len(p),) or not (w >= 0).all() or not w.sum() > 0:
        raise ValueError(f"expected {len(p)} non-negative weights, not all 0, got {w.shape}")
    return np.asarray(w / w.sum())
