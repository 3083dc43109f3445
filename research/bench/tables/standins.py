"""Claim 5: a near model can replace one that is unavailable (Fig. 7): routed models replaced by their neighbours."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.main_table import with_macro
from research.bench.tables.cells import grid, percent, picture
from router.data.baselines import mean_scores
from router.data.pools import MACRO, MACROS, Pool, group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 1
NEIGHBOURS = (1, 2, 3, 5)
REGION = 64  # train queries around a query, of its pool
ROUTED, CONDITIONAL, RUNNER_UP = "routed model", "query-conditional neighbour", "runner-up by predicted correctness"
RANDOM_OTHER, SINGLE = "random other model", "best single of the others"


@dataclass(frozen=True)
class Choice:
    """Routing of a pool, before anything is replaced.

    Attributes:
        scores: (M, n), NaN where a model did not answer.
        p: predicted correctness, (M, n).
        routed: the chosen model, (n,).
    """

    scores: NDArray[np.float64]
    p: NDArray[np.float32]
    routed: NDArray[np.int64]

    @classmethod
    def of(cls, scores: NDArray[np.float32], p: NDArray[np.float32]) -> "Choice":
        routed = np.where(np.isnan(scores), -np.inf, p).argmax(axis=0)
        return cls(scores.astype(np.float64), p, routed)

    @property
    def others(self) -> NDArray[np.bool_]:
        """True for possible stand-ins: models other than the routed one that answered the query, (M, n), bool."""
        there = ~np.isnan(self.scores)
        there[self.routed, np.arange(len(self.routed))] = False
        return there

    def accuracy(self) -> float:
        return float(self.scores[self.routed, np.arange(len(self.routed))].mean())

    def replaced(self, cost: NDArray[np.floating], k: int = 1) -> float | None:
        """Accuracy when the routed model is replaced by the one with the k-th least cost of the others.

        Args:
            cost: (M, n). Where fewer than k others answered a query, it does not count.

        Returns:
            None if no query counts.
        """
        order = np.where(self.others, cost, np.inf)
        counts = np.flatnonzero(self.others.sum(axis=0) >= k)
        if not len(counts):
            return None
        stand_in = np.argsort(order[:, counts], axis=0, kind="stable")[k - 1]
        return float(self.scores[stand_in, counts].mean())

    def by_chance(self) -> float:
        """Expected accuracy if another model is drawn at random."""
        weight = self.others / np.maximum(self.others.sum(axis=0), 1)
        return float((np.nan_to_num(self.scores) * weight).sum(axis=0).mean())


def measure(context: "Context") -> dict[str, Any]:
    """Accuracy of each kind of stand-in by pool, and the share of the routed accuracy that it keeps."""
    accuracy: dict[str, dict[str, float]] = {}
    for pool in context.pools("test"):
        for name, value in _pool(context, pool).items():
            if value is not None:
                accuracy.setdefault(name, {})[pool.name] = value
    routed = accuracy[ROUTED]
    kept = {
        name: with_macro({pool: value / routed[pool] for pool, value in of_pools.items()})
        for name, of_pools in accuracy.items()
    }
    return {"accuracy": {name: with_macro(of_pools) for name, of_pools in accuracy.items()}, "kept": kept}


def section(result: dict[str, Any]) -> str:
    columns = list(result["accuracy"][ROUTED])

    def lines(part: Mapping[str, Mapping[str, float]], names: list[str]) -> list[list[str]]:
        return [[name, *(percent(part[name].get(column)) for column in columns)] for name in names]

    kept = [name for name in result["kept"] if name != ROUTED]
    return "\n\n".join(
        [
            "## 5. Stand-ins",
            "Every routed model is replaced by another of the pool that answered the query: the k-th nearest in the space; the one "
            f"whose predicted correctness on the {REGION} train queries of the pool nearest to this query is most like the routed "
            "model's; and for comparison the runner-up by predicted correctness, the best single model of the others (by train), "
            "and one drawn at random. Macro: the mean over pools that have enough models. Share of the routed accuracy that is "
            "kept, % (the paper states 85 at k = 1):",
            grid(["stand-in", *columns], lines(result["kept"], kept)),
            "Accuracy, %:",
            grid(["stand-in", *columns], lines(result["accuracy"], list(result["accuracy"]))),
            picture("standins", "Accuracy kept by stand-ins"),
        ]
    )


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Dots, Words, dots

    pools = [pool for pool in result["accuracy"][ROUTED] if pool in MACROS or group(pool) == MACRO]
    names = [neighbour(1), CONDITIONAL, RUNNER_UP, SINGLE, RANDOM_OTHER]
    kept = {name: result["kept"].get(name, {}) for name in names}
    drawn = [Dots(name, [100 * of_pools.get(pool, float("nan")) for pool in pools]) for name, of_pools in kept.items()]
    words = Words(_finding(kept), "accuracy that the stand-in keeps, % of the routed model's", "")
    return dots(pools, drawn, words, level=100) if pools else None


def _finding(kept: Mapping[str, Mapping[str, float]]) -> str:
    """The title: what each kind of stand-in but a random one keeps over the pools, the best one first."""
    of_macro = {name: found[MACRO] for name, found in kept.items() if MACRO in found and name != RANDOM_OTHER}
    if not of_macro:
        return "Accuracy that stand-ins keep"
    best, *others = sorted(of_macro, key=lambda name: -of_macro[name])
    told = "".join(f", {name} {percent(of_macro[name], 0)}%" for name in others)
    return f"{best.capitalize()} keeps {percent(of_macro[best], 0)}% of the routed accuracy{told}"


def neighbour(k: int) -> str:
    return "nearest neighbour" if k == 1 else f"neighbour {k}"


def like(p: NDArray[np.float32], region: NDArray[np.int64], routed: NDArray[np.int64]) -> NDArray[np.float32]:
    """Difference in behaviour of each model to the routed one around each query: root mean square of p's difference there.

    Args:
        p: predicted correctness on train queries, (M, T).
        region: columns of p, (n, R).
        routed: (n,).

    Returns:
        (M, n).
    """
    around = p[:, region]  # (M, n, R)
    gap = around - around[routed, np.arange(len(routed))]
    out: NDArray[np.float32] = np.sqrt((gap**2).mean(axis=2))
    return out


def _pool(context: "Context", pool: Pool) -> dict[str, float | None]:
    from router.explore.clusters import pairwise_distances

    data = context.data
    choice = Choice.of(
        data.scores[np.ix_(pool.models, pool.queries)], context.p_test[np.ix_(pool.models, pool.queries)]
    )
    apart = pairwise_distances(context.z[pool.models])[:, choice.routed]
    of_pool = np.flatnonzero(
        np.isin(data.benchmarks, np.unique(data.benchmarks[pool.queries])) & (data.splits == "train")
    )
    closeness = context.text[pool.queries] @ context.text[of_pool].T
    take = min(REGION, len(of_pool))
    region = np.argpartition(-closeness, take - 1, axis=1)[:, :take]
    single = mean_scores(data.scores[np.ix_(pool.models, of_pool)])
    return {
        ROUTED: choice.accuracy(),
        **{neighbour(k): choice.replaced(apart, k) for k in NEIGHBOURS},
        CONDITIONAL: choice.replaced(like(context.p_train[np.ix_(pool.models, of_pool)], region, choice.routed)),
        RUNNER_UP: choice.replaced(-choice.p),
        SINGLE: choice.replaced(np.broadcast_to(-single[:, None], choice.p.shape)),
        RANDOM_OTHER: choice.by_chance(),
    }
