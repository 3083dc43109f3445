"""Measures what ensembles gain over one call with the shipped router, for research/results/ensembles.md.

    python -m research.measure_ensembles DATA...

Prints the table "ensembles" of the benchmark for the test queries of every pool, then what other settings of the shipped policy
would reach on `val`, and writes research/results/tables/ensembles.json and draws its plot.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.config.ensemble import Ensemble
from gateway.ensemble.vote import HIGHEST_P, LOWEST_P, SAME_WRONG
from research.bench.tables import draw, keep
from research.bench.tables.cells import grid, number
from research.bench.tables.context import prices_of
from research.bench.tables.ensemble_cases import benchmarks_of, cases_of, parts_of
from research.bench.tables.ensemble_rows import PANEL, ROUTER, ROWS, Asked, Case, Strategy, outcomes, planned, top
from research.bench.tables.ensembles import SHOWN, averaged, compared, difference, measured, section
from router.data.dataset import Dataset, load_datasets
from router.data.pools import MACRO, group, pools
from router.model.checkpoint import load_checkpoint
from router.model.serving import Router

RESULTS = Path(__file__).parent / "results" / "tables"
GAPS = (0.1, 0.15, 0.2)
HIGHEST = (0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
SIZES = ((3, 3), (4, 2), (5, 2))
SAME = (1 / 9, 0.4, 0.7, 1.0)  # probabilities of the same error that weights may assume


def main(folders: Sequence[Path]) -> None:
    router, data = Router.load(), load_datasets(folders)
    excluded = set(load_checkpoint().card["data"]["excluded_benchmarks"]) & set(data.benchmarks.tolist())
    data, prices = data.without(excluded), prices_of(folders)
    test, val = (predictions(router, data, split) for split in ("test", "val"))
    of_test = list(pools(data, "test"))
    benchmarks = cases_of(data, benchmarks_of(data, of_test), test, prices)
    result = measured(cases_of(data, of_test, test, prices), benchmarks)
    print(section(result), end="\n\n")
    keep("ensembles", result, RESULTS, data.hash)
    draw("ensembles", result, RESULTS)
    cases = cases_of(data, list(pools(data, "val")), val, prices)
    print("\n\n".join(settings([case for case in cases if group(case.name) == MACRO], parts_of(cases))))


def predictions(router: Router, data: Dataset, split: str) -> NDArray[np.float32]:
    """P(correct) of the models of the space on a split, (M, Q); NaN elsewhere."""
    known = np.flatnonzero(np.isin(data.models, router.space.models))
    queries = data.where(split)
    scorer = router.scorer([data.models[m] for m in known.tolist()])
    p = np.full(data.scores.shape, np.nan, np.float32)
    for rows in np.array_split(queries, len(queries) // 1024 + 1):
        q = router.encoder.encode([data.prompts[i] for i in rows.tolist()])
        p[np.ix_(known, rows)] = scorer.predict(q).p_correct.T
    return p


def settings(cases: Sequence[Case], parts: Sequence[Case]) -> Iterator[str]:
    """Other settings on `val`: what each gains over the shipped policy, and its calls."""
    panel = Ensemble()
    yield (
        f"## Other settings, on val\n\nDifference to the shipped policy in points ± its standard error over queries, paired, and "
        f"calls per query, where wrong answers are alike with probability {SHOWN}. The shipped policy: size {panel.size}, first "
        f"{panel.first}, gap_below {panel.gap_below}, p_below {panel.p_below}, weights that assume the same error with probability "
        f"{SAME_WRONG}."
    )
    whens = {
        f"p_below {p}, gap_below {gap}": planned(replace(panel, p_below=p, gap_below=gap))
        for p in HIGHEST
        for gap in GAPS
    }
    sizes = {f"size {size}, first {first}": planned(replace(panel, size=size, first=first)) for size, first in SIZES}
    votes = {
        f"top {size}, same error {same:.2g}": reweighed(top(size, first=2), same) for size in (3, 5) for same in SAME
    }
    yield _settings_table(whens | sizes | votes, cases, parts)


def reweighed(strategy: Strategy, same_wrong: float) -> Strategy:
    """The same models with weights that assume the same error with another probability."""

    def weights(p: float) -> float:
        p = min(max(p, LOWEST_P), HIGHEST_P)
        return max(0.0, log(p / (1 - p) / same_wrong))

    def changed(case: Case, query: int) -> Asked:
        asked = strategy(case, query)
        return replace(asked, weights=tuple(map(weights, asked.p)))

    return changed


def _settings_table(others: Mapping[str, Strategy], cases: Sequence[Case], parts: Sequence[Case]) -> str:
    rows = {PANEL: ROWS[PANEL], ROUTER: ROWS[ROUTER], **others}
    found = {case.name: compared(outcomes(case, rows, float(SHOWN)), PANEL) for case in [*cases, *parts]}
    columns = {MACRO: averaged([found[case.name] for case in cases])} | found
    lines = [
        [name, *(f"{difference(of[name])}, {number(of[name]['calls'])}" for of in columns.values())] for name in rows
    ]
    return grid(["setting", *columns], lines)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
