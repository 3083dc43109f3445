"""Claim 6: a few models, chosen by the space or by predicted coverage, route as well as the whole pool (Fig. 8).

Models are chosen on train queries by predictions alone and judged by routing among them on `test`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.portfolio_search import exhaustive, k_center, k_medoids
from research.bench.tables.cells import grid, number, percent, picture, usd
from router.data.baselines import mean_scores
from router.data.pools import MACRO, Pool, group
from router.explore.portfolio_choice import (
    ENOUGH,
    coverage_greedy,
    coverage_under_budget,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 1
FEWEST = 3  # models of a pool that something can be chosen from
DENSE = 0.95  # of a pool's queries, which a model must have answered
QUERIES = 1500  # train queries that models are chosen on, at most
DRAWS = 50  # random portfolios of each size
COMBINATIONS = 1000  # of a size, that are tried exhaustively
BUDGETS = (0.1, 0.25, 0.5, 1.0)  # of what the best single model costs
COVERAGE, CENTER, MEDOIDS, BEST, CHANCE, ALL = (
    "coverage-greedy",
    "k-center",
    "k-medoids",
    "most accurate on train",
    "random",
    "exhaustive",
)


@dataclass(frozen=True)
class Problem:
    """A pool without holes.

    Attributes:
        models: indices, (M,).
        distances: between their embeddings, (M, M).
        p_choose: predicted correctness on train queries, (n, M).
        accuracy: mean train score of each model, (M,).
        p: predicted correctness on test queries, (t, M).
        scores: (t, M), no NaN.
    """

    models: NDArray[np.int64]
    queries: NDArray[np.int64]
    distances: NDArray[np.float64]
    p_choose: NDArray[np.float32]
    accuracy: NDArray[np.float32]
    p: NDArray[np.float32]
    scores: NDArray[np.float32]

    def routed(
        self, models: Sequence[int], penalty: NDArray[np.floating] | float = 0.0
    ) -> tuple[float, NDArray[np.int64]]:
        """Accuracy on `test` of routing among some models to the highest p - penalty, and the choices, (t,)."""
        kept = np.array(sorted(models))
        choice = kept[(self.p - penalty)[:, kept].argmax(axis=1)]
        return float(self.scores[np.arange(len(choice)), choice].mean()), choice


def measure(context: "Context") -> dict[str, Any]:
    """Routing accuracy by size and way of choosing, smallest sufficient sizes, and portfolios under budgets."""
    found = []
    for pool in context.pools("test"):
        problem = dense(context, pool)
        if problem is None:
            continue
        curves = sized(problem)
        full = problem.routed(range(len(problem.models)))[0]
        found.append(
            {
                "pool": pool.name,
                "models": len(problem.models),
                "of_models": len(pool.models),
                "queries": len(problem.queries),
                "of_queries": len(pool.queries),
                "full": full,
                "curves": curves,
                "enough": {way: enough(reached, full) for way, reached in curves.items()},
                "budgets": _budgets(context, problem),
            }
        )
        context.say(f"portfolio: {pool.name}")
    return {"pools": found}


def dense(context: "Context", pool: Pool) -> Problem | None:
    """The pool's models that answered nearly all of its test queries, and the queries that all of them answered.

    None where that leaves too little.
    """
    from router.explore.clusters import pairwise_distances

    data = context.data
    answered = ~np.isnan(data.scores[np.ix_(pool.models, pool.queries)])
    models = pool.models[answered.mean(axis=1) >= DENSE]
    queries = pool.queries[answered[answered.mean(axis=1) >= DENSE].all(axis=0)]
    of_pool = np.flatnonzero(
        np.isin(data.benchmarks, np.unique(data.benchmarks[pool.queries])) & (data.splits == "train")
    )
    if len(models) < FEWEST or not len(queries) or not len(of_pool):
        return None
    chosen_on = np.random.default_rng(0).permutation(of_pool)[:QUERIES]
    return Problem(
        models,
        queries,
        pairwise_distances(context.z[models]),
        context.p_train[np.ix_(models, chosen_on)].T,
        mean_scores(data.scores[np.ix_(models, of_pool)]),
        context.p_test[np.ix_(models, queries)].T,
        data.scores[np.ix_(models, queries)].T,
    )


def sized(problem: Problem) -> dict[str, list[float | None]]:
    """Routing accuracy on `test` with 1, 2, ... M models, by way of choosing; None where a way was not tried."""
    total = len(problem.models)
    center = k_center(problem.distances, total)
    coverage = coverage_greedy(problem.p_choose, None, total).models
    best = np.argsort(-problem.accuracy, kind="stable").tolist()
    rng = np.random.default_rng(0)
    found: dict[str, list[float | None]] = {way: [] for way in (COVERAGE, CENTER, MEDOIDS, BEST, CHANCE, ALL)}
    for k in range(1, total + 1):
        found[COVERAGE].append(problem.routed(coverage[:k])[0])
        found[CENTER].append(problem.routed(center[:k])[0])
        found[MEDOIDS].append(problem.routed(k_medoids(problem.distances, k))[0])
        found[BEST].append(problem.routed(best[:k])[0])
        drawn = [problem.routed(rng.permutation(total)[:k].tolist())[0] for _ in range(DRAWS)]
        found[CHANCE].append(float(np.mean(drawn)))
        few = comb(total, k) <= COMBINATIONS
        found[ALL].append(problem.routed(exhaustive(problem.p_choose, None, k))[0] if few else None)
    return found


def enough(reached: Sequence[float | None], full: float) -> int | None:
    """The smallest size that reaches 99% of what all models do."""
    return next((k for k, value in enumerate(reached, 1) if value is not None and value >= ENOUGH * full), None)


def section(result: dict[str, Any]) -> str:
    pools = [entry for entry in result["pools"] if group(entry["pool"]) is not None]
    ways = [COVERAGE, CENTER, MEDOIDS, BEST, CHANCE, ALL]
    smallest = [
        [
            f"{e['pool']} ({e['models']} of {e['of_models']} models, {e['queries']:,} of {e['of_queries']:,} queries)",
            percent(e["full"]),
            *(str(e["enough"][way] or "") for way in ways),
        ]
        for e in pools
    ]
    text = [
        "## 6. Portfolio",
        f"Models that answered at least {100 * DENSE:.0f}% of a pool's test queries, and the queries that all of these answered. "
        f"They are chosen on up to {QUERIES:,} train queries by predictions, distances or train accuracy, and judged by routing "
        f"among them on `test`. Smallest number of models that reaches {100 * ENOUGH:.0f}% of the accuracy of routing among all "
        f"(random: mean of {DRAWS} portfolios; exhaustive: best predicted coverage, where there are at most "
        f"{COMBINATIONS:,} portfolios of a size; blank: at no size that was tried; pools in no average are left out):",
        grid(["pool", "all models, %", *ways], smallest),
        "Routing accuracy on `test`, %, by number of models:",
    ]
    sizes = [1, 2, 3, 4, 5, 8, 12]
    lines = [
        [f"{e['pool']}, {way}", *(percent(e["curves"][way][k - 1]) if k <= e["models"] else "" for k in sizes)]
        for e in pools
        for way in ways
        if any(value is not None for value in e["curves"][way])
    ]
    text.append(grid(["pool, chosen by", *map(str, sizes)], lines))
    text += _budget_text(pools)
    return "\n\n".join([*text, picture("portfolio", "Routing accuracy by number of models")])


def _budget_text(pools: Sequence[Mapping[str, Any]]) -> list[str]:
    """The part of the section about budgets; empty if the data have no prices."""
    budgets = [
        [
            f"{e['pool']}, {number(b['share'])}",
            str(len(b["models"])),
            usd(b["usd"]),
            percent(b["accuracy"]),
            usd(b["single_usd"]),
            percent(b["single_accuracy"]),
        ]
        for e in pools
        for b in e["budgets"]
    ]
    if not budgets:
        return []
    return [
        "Coverage-greedy under a budget, as a share of what the best single model (on train) costs: fewest models that reach "
        f"{100 * ENOUGH:.0f}% of what all reach within the budget, as predicted; then on `test` accuracy, and cost in USD per "
        "1,000 queries, at the cost weight that the budget sets.",
        grid(
            ["pool, budget", "models", "cost", "accuracy, %", "best single's cost", "best single's accuracy, %"],
            budgets,
        ),
    ]


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    panels = []
    shown = [entry for entry in result["pools"] if group(entry["pool"]) == MACRO]
    for entry in shown:
        drawn = []
        for way, reached in entry["curves"].items():
            known = {float(k): 100 * value for k, value in enumerate(reached, 1) if value is not None}
            if way != ALL and known:
                drawn.append(Curve(way, list(known), list(known.values())))
        label = f"{100 * ENOUGH:.0f}% of all models' accuracy"
        panels.append(Panel(entry["pool"], drawn, (label, 100 * ENOUGH * entry["full"])))
    words = Words(_finding(shown), "number of models", "routing accuracy on test, %")
    return curves(panels, words, log_x=False) if panels else None


def _finding(pools: Sequence[Mapping[str, Any]]) -> str:
    """The title: how many models suffice when they are chosen by coverage, and beside it by train accuracy."""
    of_ways = {way: [e["enough"][way] for e in pools if e["enough"][way]] for way in (COVERAGE, BEST)}
    if not of_ways[COVERAGE]:
        return "Routing among few models"
    where = "" if len(of_ways[COVERAGE]) == len(pools) else f" in {len(of_ways[COVERAGE])} of {len(pools)} pools"
    beside = f"; so do {_span(of_ways[BEST])}, the most accurate on train" if len(of_ways[BEST]) == len(pools) else ""
    return (
        f"{_span(of_ways[COVERAGE])} models, chosen by predicted coverage, reach {100 * ENOUGH:.0f}% of all models' "
        f"accuracy{where}{beside}"
    )


def _span(sizes: Sequence[int]) -> str:
    """`1 to 4`, or `2`."""
    return f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else str(min(sizes))


def _budgets(context: "Context", problem: Problem) -> list[dict[str, Any]]:
    """Portfolios at shares of the best single model's price; empty without prices."""
    from research.bench.tables.cost_curves import query_prices

    names = [context.data.models[m] for m in problem.models]
    if any(name not in context.prices for name in names):
        return []
    prices = query_prices(context, problem.models, problem.queries).mean(axis=1)
    single = int(problem.accuracy.argmax())
    found = []
    for share in BUDGETS:
        budget = share * float(prices[single])
        if budget < prices.min():
            continue
        portfolio = coverage_under_budget(problem.p_choose, None, prices, budget)
        accuracy, choice = problem.routed(portfolio.models, portfolio.cost_weight * prices)
        found.append(
            {
                "share": share,
                "models": [names[m] for m in portfolio.models],
                "accuracy": accuracy,
                "usd": float(prices[choice].mean()),
                "single_accuracy": float(problem.scores[:, single].mean()),
                "single_usd": float(prices[single]),
            }
        )
    return found
