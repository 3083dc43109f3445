"""Measures what the policies reach and cost on held-out queries with the shipped router, for the figures in docs/routing.md.

    python -m research.measure_policies PRICES DATA...

Every test query is routed among the models of its pool that answered it, have a price and are in the shipped space. A query costs
its prompt's tokens and an answer of usual length. The averages are over pools, so that each counts the same.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_datasets
from router.data.pools import Pool, pools
from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS, TokenPrice, read_prices
from router.model.checkpoint import load_checkpoint
from router.model.policy import BEST_QUALITY, Policy, choose, cost_weight
from router.model.serving import Router

FEWEST_MODELS = 3
POLICIES = (
    *(Policy(f"quality: {quality}", "quality", quality) for quality in range(int(BEST_QUALITY) + 1)),
    *(Policy(f"cost_weight: {weight}", "cost_weight", weight) for weight in (10, 100)),
    *(Policy(f"max_loss: {loss}", "max_loss", loss) for loss in (0.02, 0.05, 0.1)),
    *(Policy(f"min_p_correct: {minimum}", "min_p_correct", minimum) for minimum in (0.6, 0.8)),
)


def main(prices: Path, folders: Sequence[Path]) -> None:
    router, listed = Router.load(), read_prices(prices)
    data = load_datasets(folders).without(load_checkpoint().card["data"]["excluded_benchmarks"])
    known = [m for m, name in enumerate(data.models) if name in listed and name in router.space.models]
    for pool in pools(data, "val"):
        models = np.intersect1d(pool.models, known)
        if len(models) >= FEWEST_MODELS:
            difference = _typical_difference(router, data, Pool(pool.name, pool.queries, models))
            print(f"median difference of P(correct) between two models, {pool.name} (val): {difference:.3f}")
    reached = {}  # pool -> score, USD and whether the minimum was reached, means of each policy, (policies, 3)
    for pool in pools(data, "test"):
        models = np.intersect1d(pool.models, known)
        if len(models) >= FEWEST_MODELS:
            reached[pool.name] = _routed(router, data, Pool(pool.name, pool.queries, models), listed)
    print("policy | score | USD of 1,000 queries | minimum reached | score in each of " + ", ".join(reached))
    for i, policy in enumerate(POLICIES):
        of_pools = np.array([means[i] for means in reached.values()])
        score, usd, minimum = of_pools.mean(axis=0)
        each = " ".join(f"{100 * value:.1f}" for value in of_pools[:, 0])
        print(f"{policy.name:18s} | {100 * score:.1f} | {1e3 * usd:.2f} | {100 * minimum:.0f}% | {each}")


def _typical_difference(router: Router, data: Dataset, pool: Pool) -> float:
    """The median difference of P(correct) between two models of a pool, over its queries."""
    prompts = [data.prompts[i] for i in pool.queries.tolist()]
    p = router.predict(prompts, [data.models[m] for m in pool.models.tolist()]).p_correct
    one, other = np.triu_indices(len(pool.models), 1)
    return float(np.median(np.abs(p[:, one] - p[:, other])))


def _routed(router: Router, data: Dataset, pool: Pool, prices: Mapping[str, TokenPrice]) -> NDArray[np.float64]:
    """Means over the queries of a pool: score, USD and whether the minimum was reached, for each policy, (policies, 3)."""
    names = [data.models[m] for m in pool.models.tolist()]
    prompts = [data.prompts[i] for i in pool.queries.tolist()]
    predicted = router.predict(prompts, names)
    found = []
    for row, (query, prompt) in enumerate(zip(pool.queries.tolist(), prompts, strict=True)):
        scores = data.scores[pool.models, query]
        usd = np.array([prices[name].usd(len(prompt) / CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS) for name in names])
        for policy in POLICIES:
            choice = choose(
                predicted.p_correct[row],
                predicted.standard_error[row],
                usd,
                ~np.isnan(scores),
                policy,
                cost_weight(policy, usd),
            )
            if choice is not None:
                found.append((scores[choice.model], usd[choice.model], choice.reached))
    means: NDArray[np.float64] = np.array(found, np.float64).reshape(-1, len(POLICIES), 3).mean(axis=0)
    return means


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]])
