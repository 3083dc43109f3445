"""Pools: benchmarks of one source form one routing problem, since they share their models and prompting.

A benchmark that no pool names is a pool of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset


@dataclass(frozen=True)
class Pool:
    """A routing problem: queries (indices into the dataset) and the models to choose between (indices)."""

    name: str
    queries: NDArray[np.int64]
    models: NDArray[np.int64]


def _whole(*benchmarks: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A pool of benchmarks that no other source has."""
    return benchmarks, benchmarks


# name -> (benchmarks, those of them that no other source has). gsm8k and mmlu belong to several sources.
DEFINITIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "mmlu_pro": _whole("mmlu_pro"),
    "zeroeval": (("gsm8k", "math_l5", "crux"), ("math_l5", "crux")),
    "routerdc": (
        (
            "mmlu",
            "cmmlu",
            "ceval",
            "arc_easy_cloze",
            "arc_challenge_cloze",
            "gsm8k",
            "math_prealgebra",
            "humaneval",
            "humaneval_js",
            "mbpp",
        ),
        ("cmmlu", "ceval"),
    ),
    "routerbench": _whole("arc_challenge", "winogrande", "mbpp_routerbench"),
    "llmrouter": _whole("llmrouter"),
    "alpaca_eval": _whole("alpaca_eval"),
    "theme_pick": _whole("theme_pick"),
    "sql": _whole("sql_understanding", "sql_dialect_conversion", "sql_optimization"),
    "process": _whole("process_mining", "process_mining_3", "process_facts"),
    "japanese": _whole("ja_elyza_tasks", "ja_tengu_bench", "ja_rakuda", "ja_mt_bench"),
    "mcp_agent": _whole("mcp_agent"),
    "misguided": _whole("misguided_attention"),
}
# The pools of the evaluations of 2025-26. They are small, and their models are in few others, so they have an average of their own.
NEW = frozenset({"theme_pick", "sql", "process", "japanese", "mcp_agent", "misguided"})
# Reported, but in no average: two models only, few queries, four forms of one question, or scores near 0 throughout.
BESIDE = frozenset({"routerarena", "creative_writing", "project_euler", "analytics_sql", "abap_code"})
MACROS = (MACRO, MACRO_NEW) = ("macro", "macro, new pools")  # averages over pools


def pools(data: Dataset, split: str, excluded_models: NDArray[np.bool_] | None = None) -> Iterator[Pool]:
    """The pools of a split: queries that at least two of the pool's models answered.

    Args:
        excluded_models: (M,), models that may not be chosen; None: all may.
    """
    allowed = np.ones(len(data.models), np.bool_) if excluded_models is None else ~excluded_models
    answered = ~np.isnan(data.scores)
    present = set(data.benchmarks.tolist())
    covered = {benchmark for benchmarks, _ in DEFINITIONS.values() for benchmark in benchmarks}
    definitions = {name: parts for name, parts in DEFINITIONS.items() if present & set(parts[1])}
    definitions |= {name: ((name,), (name,)) for name in sorted(present - covered)}
    for name, (benchmarks, own) in definitions.items():
        models = np.flatnonzero(answered[:, np.isin(data.benchmarks, own)].any(axis=1) & allowed)
        queries = np.flatnonzero(np.isin(data.benchmarks, benchmarks) & (data.splits == split))
        queries = queries[answered[np.ix_(models, queries)].sum(axis=0) >= 2]
        if len(queries) and len(models) >= 2:
            yield Pool(name, queries, models)


def source_of(benchmark: str) -> str:
    """The pool that a benchmark belongs to alone; the benchmark itself if no pool or several have it."""
    return next((name for name, (_, own) in DEFINITIONS.items() if benchmark in own), benchmark)


def group(pool: str) -> str | None:
    """The average that a pool counts in, `MACRO` or `MACRO_NEW`; None: none."""
    return None if pool in BESIDE else MACRO_NEW if pool in NEW else MACRO


def macros(of_pools: Mapping[str, float]) -> dict[str, float]:
    """The averages over pools, `MACRO` and `MACRO_NEW`; one without any pool is left out."""
    groups: dict[str, list[float]] = {}
    for name, value in of_pools.items():
        if (label := group(name)) is not None:
            groups.setdefault(label, []).append(value)
    return {label: float(np.mean(groups[label])) for label in MACROS if label in groups}


def routed_scores(data: Dataset, pool: Pool, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """The score on each query of a pool when it is routed to the model with the highest `value`.

    Args:
        value: (M, Q) in the dataset's order. Only models that answered the query are candidates. Of equal values the first
            is taken; NaN is lower than any number.

    Returns:
        (queries of the pool,), float32.
    """
    grid = np.ix_(pool.models, pool.queries)
    scores = data.scores[grid]
    known = np.where(np.isnan(value[grid]), np.finfo(np.float32).min, value[grid])
    best = np.where(np.isnan(scores), -np.inf, known).argmax(axis=0)
    out: NDArray[np.float32] = scores[best, np.arange(len(pool.queries))]
    return out
