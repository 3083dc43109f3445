"""Which k of M models to keep: by distance in the model space, or by how well the kept ones cover the queries.

Pure functions of arrays: models are columns, queries rows; nothing here knows of files or names. Every choice is
deterministic, equal candidates going to the lower index.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import comb

import numpy as np
from numpy.typing import NDArray

ENOUGH = 0.99  # of the full pool's accuracy: where a portfolio counts as complete
ROUNDING = 1e-9  # a mean of equal prices differs from them by so much, as a share
COST_WEIGHTS = 32  # coarse cost weights that a budget is tried with
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Coverage:
    """Models in the order of picking, and what routing among the first 1, 2, ... k of them is expected to give.

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


def k_center(distances: Floats, k: int) -> tuple[int, ...]:
    """k models such that the farthest model from its nearest kept one is near: Gonzalez' greedy, from the medoid.

    The largest distance to the nearest kept model is at most twice the least possible one (where the triangle
    inequality holds). Starting from any model gives that guarantee; the medoid makes k = 1 sensible as well.

    Args:
        distances: (M, M), symmetric, zero diagonal.
        k: 1 to M.

    Returns:
        k models in the order of picking, so that a shorter result is a prefix of a longer one.

    Raises:
        ValueError: k is out of range, or the matrix is not square.
    """
    _check_square(distances, k)
    picked = [int(distances.sum(axis=1).argmin())]
    nearest = distances[picked[0]].astype(np.float64)
    while len(picked) < k:
        nearest[picked] = -1.0  # a duplicate of a kept model may still be needed to reach k, a kept one never
        picked.append(int(nearest.argmax()))
        nearest = np.minimum(np.maximum(nearest, 0.0), distances[picked[-1]])
    return tuple(picked)


def k_medoids(distances: Floats, k: int) -> tuple[int, ...]:
    """k models with a small sum of distances to the nearest kept one: PAM (Kaufman & Rousseeuw 1990), build then swap.

    Build adds the model that lowers the sum most; swap then exchanges the kept and unkept pair that lowers it most,
    until no exchange does. A local optimum, no guarantee on its distance to the best.

    Args:
        distances: (M, M), symmetric, zero diagonal.
        k: 1 to M.

    Returns:
        k models, ascending.

    Raises:
        ValueError: k is out of range, or the matrix is not square.
    """
    _check_square(distances, k)
    d = distances.astype(np.float64)
    kept: list[int] = []
    nearest = np.full(len(d), d.max() + 1)
    for _ in range(k):
        sums = np.minimum(d, nearest).sum(axis=1)
        sums[kept] = np.inf
        kept.append(int(sums.argmin()))
        nearest = np.minimum(nearest, d[kept[-1]])
    while (better := _best_swap(d, kept)) is not None:
        out, into = better
        kept[out] = into
    return tuple(sorted(kept))


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
    w = _checked(p, weights, k)
    value = p.astype(np.float64)
    found = _described(value, w, np.zeros(p.shape[1]), tuple(_greedy(value, w, k)), 0.0)
    return replace(found, usd_per_query=(np.nan,) * k)


def coverage_under_budget(
    p: Floats, weights: Floats | None, prices: Floats, budget: float, k: int | None = None
) -> Coverage:
    """Models that cover the queries best while routing among them costs at most `budget` USD a query on average.

    What a portfolio costs depends on how it is routed. Here it is routed as the gateway does it, to the highest
    p - cost_weight * price, at the smallest cost weight that keeps the mean price within the budget. At a given
    cost weight the mean of the best utility is submodular like coverage, so greedy finds the models; several
    cost weights are tried and the portfolio with the highest accuracy within the budget wins.

    Args:
        p: P(correct), (n, M), in [0, 1], no NaN.
        weights: (n,), non-negative; None weighs all queries alike.
        prices: (M,), USD per query.
        budget: USD per query.
        k: so many models; None: as few as reach 99% of what all M reach within the same budget.

    Returns:
        Its last entry keeps the budget; a shorter prefix need not, as it lacks the cheaper models.

    Raises:
        ValueError: as for `coverage_greedy`, prices are negative, or the budget is below the cheapest model's price.
    """
    _checked(p, weights, k or 1)
    w, c = _checked_prices(p, weights, prices, budget)
    value = p.astype(np.float64)
    sizes = range(1, p.shape[1] + 1) if k is None else [k]
    greedy = [_greedy(value - weight * c, w, sizes[-1]) for weight in _coarse_cost_weights(c)]
    orders: list[tuple[int, ...]] = [() for _ in greedy]
    full = routed_within(p, weights, prices, budget, range(p.shape[1])).accuracy[-1]
    for size in sizes:
        orders = [order + tuple(islice(more, size - len(order))) for order, more in zip(orders, greedy, strict=True)]
        best = max(
            (_within(value, w, c, budget, models) for models in sorted(set(orders))),
            key=lambda portfolio: portfolio.accuracy[-1] if _keeps(portfolio, budget) else -1.0,
        )
        if _keeps(best, budget) and best.accuracy[-1] >= ENOUGH * full:
            break
    return best


def routed_within(p: Floats, weights: Floats | None, prices: Floats, budget: float, models: Sequence[int]) -> Coverage:
    """What these models reach when routing among all of them costs at most `budget` USD a query on average.

    Args:
        p, weights, prices, budget: as for `coverage_under_budget`.
        models: columns.

    Returns:
        The models in the order given. Where even the cheapest of them exceeds the budget, the last entry does.

    Raises:
        ValueError: as for `coverage_under_budget`.
    """
    w, c = _checked_prices(p, weights, prices, budget)
    return _within(p.astype(np.float64), w, c, budget, tuple(models))


def exhaustive(p: Floats, weights: Floats | None, k: int, limit: int = 1_000_000) -> tuple[int, ...]:
    """The k models with the highest weighted mean over queries of the best p among them, by trying all of them.

    Args:
        p: P(correct), or scores, (n, M), no NaN.
        weights: (n,), non-negative; None weighs all queries alike.
        k: 1 to M.
        limit: combinations that are still tried; a million take about a second per thousand queries.

    Returns:
        k models, ascending; of equals the first in lexicographic order.

    Raises:
        ValueError: as for `coverage_greedy`, or there are more combinations than `limit`.
    """
    w = _checked(p, weights, k)
    if comb(p.shape[1], k) > limit:
        raise ValueError(f"{k} of {p.shape[1]} models: {comb(p.shape[1], k):,} combinations, more than {limit:,}")
    value = np.ascontiguousarray(p.T, np.float64)
    best, kept = -np.inf, tuple[int, ...]()
    for prefix, covered in _prefixes(value, k - 1):
        start = prefix[-1] + 1 if prefix else 0
        means = np.maximum(value[start:], covered) @ w
        if means.max() > best + 1e-12:
            best, kept = float(means.max()), (*prefix, start + int(means.argmax()))
    return kept


def expected_accuracy(p: Floats, weights: Floats | None, models: Sequence[int]) -> float:
    """The weighted mean over queries of the best p among some models: what routing among them is expected to reach.

    Args:
        p: (n, M), no NaN.
        weights: (n,), non-negative; None weighs all queries alike.
        models: at least one column.

    Raises:
        ValueError: shapes do not fit, or there is no model.
    """
    return float(p[:, list(models)].max(axis=1).astype(np.float64) @ _checked(p, weights, len(models)))


def smallest_enough(coverage: Coverage, full_accuracy: float, share: float = ENOUGH) -> int | None:
    """The smallest k whose accuracy is at least `share` of the full pool's; None where no prefix reaches it."""
    reached = [k for k, accuracy in enumerate(coverage.accuracy, 1) if accuracy >= share * full_accuracy]
    return reached[0] if reached else None


def _greedy(value: NDArray[np.float64], w: NDArray[np.float64], k: int) -> Iterator[int]:
    """Columns by their marginal gain in Σ w max(value), lazily evaluated.

    Everything starts covered at the least value there is, a constant, so that utilities below 0 are no special case.
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


def _described(
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


def _within(
    p: NDArray[np.float64], w: NDArray[np.float64], prices: NDArray[np.float64], budget: float, models: tuple[int, ...]
) -> Coverage:
    """These models at the smallest cost weight that keeps the budget, or where none does, at one that is as cheap as can be."""
    by_price = np.array(sorted(models, key=lambda m: (prices[m], m)), np.int64)  # of equals argmax takes the first
    value, price = p[:, by_price], prices[by_price]

    def keeps(cost_weight: float) -> bool:
        return float(price[(value - cost_weight * price).argmax(axis=1)] @ w) <= budget * (1 + ROUNDING)

    if keeps(0.0):
        return _described(p, w, prices, models, 0.0)
    low, high = 1e-6 / prices.max(), _decisive(prices)
    for _ in range(40):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if keeps(middle) else (middle, high)
    return _described(p, w, prices, models, high)


def _keeps(portfolio: Coverage, budget: float) -> bool:
    return portfolio.usd_per_query[-1] <= budget * (1 + ROUNDING)


def _coarse_cost_weights(prices: NDArray[np.float64]) -> list[float]:
    """0, steps from where prices hardly matter to where little else does, and one where nothing else does."""
    if not prices.any():
        return [0.0]
    steps = np.geomspace(0.01 / prices.max(), 1 / prices[prices > 0].min(), COST_WEIGHTS)
    return [0.0, *steps.tolist(), _decisive(prices)]


def _decisive(prices: NDArray[np.float64]) -> float:
    """A cost weight at which no difference in p, at most 1, outweighs a difference in price: the cheapest is chosen."""
    return float(2.0 / np.diff(np.unique(prices)).min(initial=prices.max()))


def _prefixes(value: NDArray[np.float64], size: int) -> Iterator[tuple[tuple[int, ...], NDArray[np.float64]]]:
    """Every ascending tuple of `size` rows that leaves room for one more, with the elementwise maximum of its rows."""
    stack: list[tuple[tuple[int, ...], NDArray[np.float64]]] = [((), np.full(value.shape[1], -np.inf))]
    while stack:
        prefix, covered = stack.pop()
        if len(prefix) == size:
            yield prefix, covered
            continue
        start = prefix[-1] + 1 if prefix else 0
        for m in reversed(range(start, len(value) - (size - len(prefix)))):
            stack.append(((*prefix, m), np.maximum(covered, value[m])))


def _best_swap(d: NDArray[np.float64], kept: list[int]) -> tuple[int, int] | None:
    """The exchange (position in `kept`, model) that lowers the sum of distances most; None where none does."""
    to_kept = d[:, kept]
    now = to_kept.min(axis=1).sum()
    best, swap = now - 1e-9 * max(now, 1.0), None
    for out in range(len(kept)):
        rest = np.delete(to_kept, out, axis=1).min(axis=1, initial=np.inf)
        sums = np.minimum(d, rest).sum(axis=1)
        sums[kept] = np.inf
        if sums.min() < best:
            best, swap = float(sums.min()), (out, int(sums.argmin()))
    return swap


def _check_square(distances: Floats, k: int) -> None:
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1]:
        raise ValueError(f"expected a square matrix of distances, got {distances.shape}")
    if not 1 <= k <= len(distances):
        raise ValueError(f"k must be from 1 to {len(distances)}, got {k}")


def _checked_prices(
    p: Floats, weights: Floats | None, prices: Floats, budget: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights summing to 1, (n,), and prices, (M,), both float64."""
    w, c = _checked(p, weights, 1), np.asarray(prices, np.float64)
    if c.shape != (p.shape[1],) or not (c >= 0).all():
        raise ValueError(f"expected {p.shape[1]} non-negative prices, got {c.shape}")
    if budget < c.min():
        raise ValueError(f"a budget of {budget:g} USD per query is below the cheapest model's {c.min():g}")
    return w, c


def _checked(p: Floats, weights: Floats | None, k: int) -> NDArray[np.float64]:
    """The weights, (n,), float64, summing to 1."""
    if p.ndim != 2 or not len(p):
        raise ValueError(f"expected (queries, models), got {p.shape}")
    if not 1 <= k <= p.shape[1]:
        raise ValueError(f"k must be from 1 to {p.shape[1]}, got {k}")
    w = np.ones(len(p)) if weights is None else np.asarray(weights, np.float64)
    if w.shape != (len(p),) or not (w >= 0).all() or not w.sum() > 0:
        raise ValueError(f"expected {len(p)} non-negative weights, not all 0, got {w.shape}")
    return np.asarray(w / w.sum())
