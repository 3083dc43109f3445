"""The pools on which ensembles are compared: scores, P(correct), prices, and how many wrong answers each query has."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.ensemble_rows import Case
from research.bench.tables.simulated_answers import is_free, wrong_answers
from router.data.baselines import best_single
from router.data.dataset import Dataset
from router.data.pools import Pool
from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS, TokenPrice

SPLIT_POOL = "mmlu_pro"
PEERS = (0.33, 0.45)  # mean train scores of peers


def cases_of(
    data: Dataset, pools: Sequence[Pool], p: NDArray[np.float32], prices: Mapping[str, TokenPrice]
) -> list[Case]:
    """The pools as cases, without those in which no query has two candidates.

    Args:
        p: P(correct), (M, Q); NaN for a model that is no candidate.
    """
    return [case for pool in pools if len((case := _case(data, pool, p, prices)).wrong)]


def parts_of(cases: Sequence[Case]) -> list[Case]:
    """`SPLIT_POOL` without its leader, and its peers alone; nothing where the data lack it."""
    whole = next((case for case in cases if case.name == SPLIT_POOL), None)
    if whole is None:
        return []
    leader = np.arange(len(whole.mean)) == whole.mean.argmax()
    peers = (whole.mean >= PEERS[0]) & (whole.mean <= PEERS[1])
    found = (_part(whole, ~leader, "without its leader"), _part(whole, peers, f"its {peers.sum()} peers"))
    return [case for case in found if len(case.wrong)]


def benchmarks_of(data: Dataset, pools: Sequence[Pool]) -> list[Pool]:
    """The benchmarks of each pool as pools of their own, `gsm8k (routerdc)`."""
    return [
        Pool(f"{name} ({pool.name})", pool.queries[data.benchmarks[pool.queries] == name], pool.models)
        for pool in pools
        for name in np.unique(data.benchmarks[pool.queries]).tolist()
    ]


def _case(data: Dataset, pool: Pool, p: NDArray[np.float32], prices: Mapping[str, TokenPrice]) -> Case:
    """A pool, with those of its queries that at least two of its candidates answered."""
    at = np.ix_(pool.models, pool.queries)
    tokens = np.array([len(data.prompts[i]) for i in pool.queries.tolist()]) / CHARS_PER_TOKEN
    usd = np.full(data.scores[at].shape, np.nan)
    for row, model in enumerate(pool.models.tolist()):
        if (price := prices.get(data.models[model])) is not None:
            usd[row] = [price.usd(number, EXPECTED_OUTPUT_TOKENS) for number in tokens.tolist()]
    wrong = np.array([_wrong_answers(data, query) for query in pool.queries.tolist()], np.float64)
    mean = best_single(data, pool)[pool.models, 0]
    whole = Case(pool.name, data.scores[at].astype(np.float64), p[at], usd, wrong, mean)
    return _part(whole, np.ones(len(pool.models), np.bool_), pool.name)


def _part(case: Case, models: NDArray[np.bool_], name: str) -> Case:
    """Some models of a case, (M,), on the queries that at least two of them answered."""
    queries = np.flatnonzero(case.able[models].sum(axis=0) >= 2)
    at = np.ix_(models, queries)
    return Case(name, case.scores[at], case.p[at], case.usd[at], case.wrong[queries], case.mean[models])


def _wrong_answers(data: Dataset, query: int) -> float:
    """How many different wrong answers a query has; NaN if its answers are code or prose."""
    benchmark = str(data.benchmarks[query])
    free = is_free(benchmark, str(data.categories[query]))
    return float("nan") if free else wrong_answers(benchmark, data.prompts[query])
