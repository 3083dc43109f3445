"""Measures which order of stand-ins keeps most of the accuracy, with the shipped router, for docs/failover.md.

    python -m research.measure_standins SPLIT PRICES DATA...

SPLIT is `val`, on which the orders were chosen, or `test`. In each pool every query's model is away, and the first and the second
stand-in of each order answer. A share kept is their accuracy divided by that of the model that is away. Each draw takes a quarter
of the other models away too; "+-" is the standard deviation between draws. Averages are over pools.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_datasets
from router.data.pools import group, macros, pools
from router.explore.clusters import pairwise_distances
from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS, TokenPrice, read_prices
from router.model.anchors import load_anchors
from router.model.checkpoint import load_checkpoint
from router.model.policy import Policy, choose, cost_weight
from router.model.serving import Router
from router.model.stand_ins import by_policy

DRAWS = 20
AWAY = 0.25
FEWEST_LEFT = 3  # models of a pool, with the one that was chosen
REGION = 64  # anchors around a query
POLICIES = (
    Policy("best"),
    Policy("balanced", "cost_weight", 10.0),
    Policy("cheap", "max_loss", 0.05),
    *(Policy(f"quality: {value}", "quality", value) for value in (7.0, 5.0, 3.0)),
)


@dataclass(frozen=True)
class Case:
    """One pool with the predictions for it.

    Attributes:
        y: scores, (n, M); NaN where a model did not answer.
        p, error: P(correct) and its standard error, (n, M).
        near: P(correct) on the anchors nearest to each query, (n, R, M).
        distance: between the models, (M, M).
        usd: price of each query at each model, (n, M); NaN if it is not known.
    """

    name: str
    y: NDArray[np.float32]
    p: NDArray[np.float32]
    error: NDArray[np.float32]
    near: NDArray[np.float32]
    distance: NDArray[np.float32]
    usd: NDArray[np.float64]

    def routed(self) -> NDArray[np.int64]:
        """The model with the highest P(correct) of those that answered, (n,)."""
        routed: NDArray[np.int64] = np.where(np.isnan(self.y), -np.inf, self.p).argmax(axis=1)
        return routed

    def unlike(self, model: NDArray[np.int64]) -> NDArray[np.float32]:
        """Root mean square difference of P(correct) to a model on the anchors near each query, (n, M)."""
        own = self.near[np.arange(len(model)), :, model]  # (n, R)
        out: NDArray[np.float32] = np.sqrt(((self.near - own[:, :, None]) ** 2).mean(axis=1))
        return out

    def priced(self) -> NDArray[np.bool_]:
        """The models whose price is known, (M,)."""
        return np.asarray(~np.isnan(self.usd).any(axis=0), np.bool_)

    def gap(self, model: NDArray[np.int64]) -> NDArray[np.float32]:
        """P(correct) of a model on each query less that of the others, (n, M)."""
        return self.p[np.arange(len(model)), model][:, None] - self.p


Order = Callable[[Case, NDArray[np.int64]], NDArray[np.floating]]  # the least value first


def _apart(case: Case, model: NDArray[np.int64]) -> NDArray[np.float32]:
    return case.distance[model]


def _less_p(distance: Order, weight: float) -> Order:
    return lambda case, model: weight * distance(case, model) - case.p


def _with_loss(distance: Order, weight: float) -> Order:
    return lambda case, model: distance(case, model) + weight * np.maximum(case.gap(model), 0)


ORDERS: Mapping[str, Order] = {
    "distance": _apart,
    "P(correct)": lambda case, model: -case.p,
    "P(correct) + standard error": lambda case, model: -(case.p + case.error),
    "P(correct) - standard error": lambda case, model: case.error - case.p,
    "difference of P(correct)": lambda case, model: np.abs(case.gap(model)),
    "distance near the query": Case.unlike,
    "half P(correct), half that near the query": lambda case, model: -(case.p + case.near.mean(axis=1)) / 2,
    **{f"{weight:g} distance - P(correct)": _less_p(_apart, weight) for weight in (0.25, 0.5, 1.0, 2.0)},
    **{f"{weight:g} distance near the query - P(correct)": _less_p(Case.unlike, weight) for weight in (0.25, 0.5, 1)},
    **{f"distance + {weight} loss": _with_loss(_apart, weight) for weight in (1, 2, 4, 8)},
    **{f"distance near the query + {weight} loss": _with_loss(Case.unlike, weight) for weight in (1, 4)},
}


def main(split: str, prices: Path, folders: Sequence[Path]) -> None:
    cases = list(_cases(split, read_prices(prices), folders))
    old, new = (sum(group(case.name) == label for case in cases) for label in ("macro", "macro, new pools"))
    print(f"split {split}, averages over {old} older pools, {new} new pools, and all of these\n")
    _print_routed(cases)
    _print_named(cases)
    _print_policies([case for case in cases if case.priced().sum() >= FEWEST_LEFT and group(case.name) == "macro"])


def _cases(split: str, prices: Mapping[str, TokenPrice], folders: Sequence[Path]) -> Iterator[Case]:
    router, checkpoint = Router.load(), load_checkpoint()
    data = load_datasets(folders).without(checkpoint.card["data"]["excluded_benchmarks"])
    in_space = set(router.space.models)
    known = [m for m, name in enumerate(data.models) if name in in_space]
    anchors = load_anchors(checkpoint).q
    for pool in pools(data, split, data.onboarding):
        models = np.intersect1d(pool.models, known)
        if len(models) >= FEWEST_LEFT and group(pool.name) is not None:
            yield _case(pool.name, pool.queries, models, data, router, anchors, prices)


def _case(
    name: str,
    queries: NDArray[np.int64],
    models: NDArray[np.int64],
    data: Dataset,
    router: Router,
    anchors: NDArray[np.float32],
    prices: Mapping[str, TokenPrice],
) -> Case:
    names = [data.models[m] for m in models.tolist()]
    prompts = [data.prompts[i] for i in queries.tolist()]
    q, scorer = router.encoder.encode(prompts), router.scorer(names)
    predicted, width = scorer.predict(q), router.encoder.text_dim
    closeness = q[:, :width] @ anchors[:, :width].T
    near = np.argpartition(-closeness, REGION - 1, axis=1)[:, :REGION]
    usd = np.full(predicted.p_correct.shape, np.nan)
    for column, model in enumerate(names):
        if model in prices:
            usd[:, column] = [prices[model].usd(len(p) / CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS) for p in prompts]
    return Case(
        name,
        data.scores[np.ix_(models, queries)].T,
        predicted.p_correct,
        predicted.standard_error,
        scorer.p_correct(anchors)[near],
        pairwise_distances(router.space.z[router.space.rows(names)]).astype(np.float32),
        usd,
    )


def _draws(case: Case) -> Iterator[NDArray[np.bool_]]:
    """Which models are away, whatever the query: nothing but the chosen model first, then in each draw a quarter of the others."""
    number = len(case.distance)
    yield np.zeros(number, np.bool_)
    for seed in range(DRAWS):
        away = np.zeros(number, np.bool_)
        count = min(max(1, round(AWAY * number)), number - FEWEST_LEFT)
        away[np.random.default_rng(seed).permutation(number)[: max(0, count)]] = True
        yield away


def _print_routed(cases: Sequence[Case]) -> None:
    print("Routed by P(correct): share of the routed accuracy that is kept, %; in () with a quarter of the others away")
    print("order | first: older, new, all | (older +-, all) | second: older, all | (older +-, all)")
    for name, order in ORDERS.items():
        shown = []
        for k in (1, 2):
            of_pools = {case.name: _kept_of_routed(case, order, k) for case in cases}  # each (1 + DRAWS,)
            alone = {pool: kept[0] for pool, kept in of_pools.items()}
            means = macros(alone)
            all_pools = np.mean([*of_pools.values()], axis=0)
            older = np.mean([kept for pool, kept in of_pools.items() if group(pool) == "macro"], axis=0)
            new = [100 * means["macro, new pools"]] if k == 1 else []
            shown += [100 * means["macro"], *new, 100 * all_pools[0]]
            shown += [100 * older[1:].mean(), 100 * older[1:].std(), 100 * all_pools[1:].mean()]
        print(f"{name:42s} | " + " ".join(f"{value:5.1f}" for value in shown))


def _kept_of_routed(case: Case, order: Order, k: int) -> NDArray[np.float64]:
    routed, rows = case.routed(), np.arange(len(case.p))
    cost = order(case, routed)
    kept = []
    for away in _draws(case):
        may = ~np.isnan(case.y) & ~away
        may[rows, routed] = False
        counts = np.flatnonzero(may.sum(axis=1) >= k)
        stand_in = np.argsort(np.where(may, cost, np.inf), axis=1, kind="stable")[counts, k - 1]
        kept.append(case.y[counts, stand_in].mean() / case.y[counts, routed[counts]].mean())
    return np.array(kept, np.float64)


def _print_named(cases: Sequence[Case]) -> None:
    """Each model of a pool is named by every query that it answered."""
    print(
        "\nNamed models: accuracy of the first stand-in, % of the named model's; right where that is right, %; USD (times)"
    )
    print("order | accuracy: older, all | right: older, all | USD")
    for name, order in ORDERS.items():
        of_pools = {case.name: _named(case, order) for case in cases}  # each (accuracy, right, log of USD)
        older = np.array([of for pool, of in of_pools.items() if group(pool) == "macro"])
        every = np.array(list(of_pools.values()))
        accuracy, right = ([100 * table[:, i].mean() for table in (older, every)] for i in (0, 1))
        usd = np.exp(np.nanmean(every[:, 2]))
        print(f"{name:42s} | " + " ".join(f"{value:5.1f}" for value in (*accuracy, *right)) + f" | {usd:.2f}")


def _named(case: Case, order: Order) -> tuple[float, float, float]:
    found = []
    for m in range(len(case.distance)):
        may = ~np.isnan(case.y)
        may[:, m] = False
        rows = np.flatnonzero(~np.isnan(case.y[:, m]) & may.any(axis=1))
        if not len(rows):
            continue
        cost = np.where(may, order(case, np.full(len(may), m)), np.inf)
        stand_in = cost.argmin(axis=1)[rows]
        own, other = case.y[rows, m], case.y[rows, stand_in]
        ratio = np.log(case.usd[rows, stand_in] / case.usd[rows, m])
        usd = np.nan if np.isnan(ratio).all() else np.nanmean(ratio)
        found.append((other.mean(), np.minimum(own, other).mean(), own.mean(), usd))
    accuracy, right, own, usd = np.array(found).T
    usd = usd[~np.isnan(usd)]
    return accuracy.mean() / own.mean(), right.mean() / own.mean(), usd.mean() if len(usd) else np.nan


def _print_policies(cases: Sequence[Case]) -> None:
    print(
        f"\nRouted by a policy, {len(cases)} pools with prices: % of the accuracy kept, and USD (times), of the first stand-in"
    )
    print("policy | by distance | by P(correct) | what the policy chooses next")
    for policy in POLICIES:
        columns = np.mean([_under(case, policy) for case in cases], axis=0)  # (3, 2)
        print(f"{policy.name:12s} | " + " | ".join(f"{100 * kept:.1f} {usd:.2f}" for kept, usd in columns))


def _under(case: Case, policy: Policy) -> NDArray[np.float64]:
    """Accuracy kept and USD spent, compared with the routed models', of three orders, (3, 2)."""
    priced = case.priced()
    total = np.zeros((4, 2))  # sums of scores and of USD: of the routed models, then of each order
    for i, usd in enumerate(case.usd):
        may = priced & ~np.isnan(case.y[i])
        if may.sum() < 2:
            continue
        p, error, weight = case.p[i], case.error[i], cost_weight(policy, usd[priced])
        usd = np.where(priced, usd, 0.0)
        choice = choose(p, error, usd, may, policy, weight)
        assert choice is not None
        may[choice.model] = False
        orders = (
            choice.model,
            int(np.where(may, case.distance[choice.model], np.inf).argmin()),
            int(np.where(may, p, -np.inf).argmax()),
            *islice(by_policy(p, error, usd, may, policy, weight), 1),
        )
        total += [(case.y[i, model], usd[model]) for model in orders]
    kept: NDArray[np.float64] = total[1:] / total[0]
    return kept


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), [Path(folder) for folder in sys.argv[3:]])
