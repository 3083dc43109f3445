"""The main table: routing and correctness-prediction accuracy of every row in every pool, and its difference to ours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from research.bench.bootstrap import RESAMPLES, Difference, difference, draws, resampled
from research.bench.evidence import Evidence
from research.bench.outcomes import Outcome, oracle, random_choice
from research.bench.rows import ORACLE, RANDOM
from research.bench.tuning import Tuned
from router.data.pools import MACROS, Pool, group, macros
from router.errors import DataError

ROUTING, PREDICTION = "routing", "prediction"


@dataclass(frozen=True)
class Row:
    """One method on the test split. Every mapping has the pools and the macro averages of `router.data.pools.macros`.

    Attributes:
        routing, prediction: accuracies in [0, 1], averaged over seeds; no prediction for rows without predictions.
        seed_spread: standard deviation of the macro routing accuracy over seeds.
        routing_difference, prediction_difference: this row less the reference; empty without a reference.
    """

    name: str
    routing: Mapping[str, float]
    prediction: Mapping[str, float]
    seed_spread: float
    routing_difference: Mapping[str, Difference]
    prediction_difference: Mapping[str, Difference]


@dataclass(frozen=True)
class MainTable:
    """Rows in the order of the report.

    Attributes:
        pools: test pools in order: those of each macro average, then those beside it.
        reference: the row that others are compared with; None if it was not run.
    """

    pools: tuple[Pool, ...]
    reference: str | None
    rows: tuple[Row, ...]


def main_table(evidence: Evidence, tuned: Sequence[Tuned], reference: str, seed: int = 0) -> MainTable:
    """Measures rows on `test`, between random choice and oracle.

    Args:
        reference: a row's name.
        seed: of the bootstrap.

    Raises:
        DataError: no test query was answered by two models.
    """
    pools = tuple(sorted(evidence.pools("test"), key=lambda pool: (*MACROS, None).index(group(pool.name))))
    if not pools:
        raise DataError("no query of split test was answered by two models: there is nothing to measure on")
    data = evidence.truth
    outcomes = {RANDOM: {pool.name: random_choice(data, pool) for pool in pools}}
    for row in tuned:
        outcomes[row.name] = {pool.name: row.outcome(data, pool) for pool in pools}
    outcomes[ORACLE] = {pool.name: oracle(data, pool) for pool in pools}
    present = reference if reference in outcomes else None
    differences = {} if present is None else compare(outcomes, present, seed)
    spread = {row.name: row.spread(evidence, pools) for row in tuned}
    rows = []
    for name, of_pools in outcomes.items():
        routing = with_macro({pool: found.routing for pool, found in of_pools.items()})
        prediction = {p: f.prediction for p, f in of_pools.items() if f.prediction is not None}
        rows.append(
            Row(
                name,
                routing,
                with_macro(prediction) if prediction else {},
                spread.get(name, 0.0),
                differences.get((name, ROUTING), {}),
                differences.get((name, PREDICTION), {}),
            )
        )
    return MainTable(pools, present, tuple(rows))


def with_macro(of_pools: Mapping[str, float]) -> dict[str, float]:
    return {**of_pools, **macros(of_pools)}


def compare(
    outcomes: Mapping[str, Mapping[str, Outcome]], reference: str, seed: int, resamples: int = RESAMPLES
) -> dict[tuple[str, str], dict[str, Difference]]:
    """Every row less the reference, with paired intervals: (row, "routing" or "prediction") -> pool or macro -> difference.

    All rows see the same resamples of a pool's queries.

    Args:
        outcomes: row -> pool -> outcome.
    """
    names = [name for name in outcomes if name != reference]
    found: dict[tuple[str, str], dict[str, tuple[float, NDArray[np.float64]]]] = {}
    for number, pool in enumerate(outcomes[reference]):
        base = outcomes[reference][pool]
        drawn = draws(len(base.routed), resamples, np.random.default_rng((seed, number)))
        ones = np.ones(len(base.routed))
        for measure, weight in ((ROUTING, ones), (PREDICTION, base.evaluations)):
            of_base = _values(base, measure)
            judged = [(name, _values(outcomes[name][pool], measure)) for name in names]
            pairs = [(name, value - of_base) for name, value in judged if value is not None and of_base is not None]
            if not pairs:
                continue
            gaps = np.stack([gap for _, gap in pairs], axis=1)
            spread = resampled(drawn, gaps, weight)
            for i, (name, gap) in enumerate(pairs):
                found.setdefault((name, measure), {})[pool] = (float(gap.sum() / weight.sum()), spread[:, i])
    return {key: _differences(of_pools) for key, of_pools in found.items()}


def _values(outcome: Outcome, measure: str) -> NDArray[np.float64] | None:
    return outcome.routed if measure == ROUTING else outcome.right


def _differences(of_pools: Mapping[str, tuple[float, NDArray[np.float64]]]) -> dict[str, Difference]:
    single = {pool: difference({pool: part}) for pool, part in of_pools.items()}
    averaged = {label: {pool: part for pool, part in of_pools.items() if group(pool) == label} for label in MACROS}
    return {**single, **{label: difference(parts) for label, parts in averaged.items() if parts}}
