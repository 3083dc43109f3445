"""Sample efficiency: the factor of evaluations with which a row reaches the accuracy that ours reaches with a given number."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from research.bench.bootstrap import LEVEL, draws, resampled
from research.bench.main_table import PREDICTION, ROUTING, with_macro
from research.bench.outcomes import Outcome
from research.bench.rows import METHODS, OURS
from research.bench.tables.cells import grid, number
from research.bench.tables.repeats import mean, spread
from router.data.pools import MACROS, group

RESAMPLES = 500
STATED = (64, 128, 256, 512, 1024)  # the last three are the paper's
SCOPES = (*MACROS, "mmlu_pro")


@dataclass(frozen=True)
class Point:
    """A row with a number of evaluations.

    Attributes:
        per_model: largest number of train evaluations of each model; None: all.
        evaluations: the mean number over models.
        draws: the outcomes by pool, of each draw of the evaluations.
    """

    per_model: int | None
    evaluations: float
    draws: tuple[Mapping[str, Outcome], ...]

    def accuracy(self, measure: str) -> dict[str, float]:
        """By pool, and macro: means over draws."""
        return mean(self._accuracies(measure))

    def spread(self, measure: str) -> dict[str, float]:
        """The standard deviations between draws; empty for one draw."""
        return spread(self._accuracies(measure))

    def _accuracies(self, measure: str) -> list[dict[str, float]]:
        found = []
        for outcomes in self.draws:
            of_pools = {pool: o.routing if measure == ROUTING else o.prediction for pool, o in outcomes.items()}
            found.append(with_macro({pool: value for pool, value in of_pools.items() if value is not None}))
        return found


def factors(
    of_rows: Mapping[str, Sequence[Point]], measure: str, scope: str, without: Collection[str] = ()
) -> list[dict[str, Any]]:
    """The factor of evaluations that each row needs to reach the accuracy of ours with a given number.

    The interval is that of a bootstrap over test queries, and over draws where there are several.

    Args:
        of_rows: row -> its points, by the number of evaluations.
        measure: `ROUTING` or `PREDICTION`.
        scope: a macro average or a pool.
        without: rows that were not measured throughout, and so are left out.

    Returns:
        one entry per row and number: `factor`, `low`, `high`, None if the row never reaches it; `least` and `most` are the
            ends of the row's curve.
    """
    resamples = _resampled(of_rows, measure, scope)
    ours = of_rows[OURS]
    found = []
    for name, reached in of_rows.items():
        if name == OURS or name in without:
            continue
        x = np.array([point.evaluations for point in reached])
        y = np.array([point.accuracy(measure)[scope] for point in reached])
        for i, point in enumerate(ours[:-1]):
            needed = evaluations_needed(x, y, point.accuracy(measure)[scope])
            drawn = [
                evaluations_needed(x, of_row, target)
                for of_row, target in zip(resamples[name], resamples[OURS][:, i], strict=True)
            ]
            low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="nearest")
            entry: dict[str, Any] = {"row": name, "per_model": point.per_model}
            values = {"factor": needed, "low": low, "high": high, "least": x[0], "most": x[-1]}
            found.append(entry | {key: _finite(value / point.evaluations) for key, value in values.items()})
    return found


def evaluations_needed(x: NDArray[np.float64], y: NDArray[np.float64], target: float) -> float:
    """The x at which a curve first reaches a height, by linear interpolation over log x, within the ends of the curve.

    Args:
        x: ascending, above 0, (n,).
        y: (n,), not necessarily ascending.

    Returns:
        x[0] if the first point reaches it, inf if no point does.
    """
    if y[0] >= target:
        return float(x[0])
    for (x0, y0), (x1, y1) in pairwise(zip(x.tolist(), y.tolist(), strict=True)):
        if y1 >= target:
            share = (target - y0) / (y1 - y0) if y1 > y0 else 1.0
            return float(np.exp(np.log(x0) + share * (np.log(x1) - np.log(x0))))
    return float("inf")


def _resampled(of_rows: Mapping[str, Sequence[Point]], measure: str, scope: str) -> dict[str, NDArray[np.float64]]:
    """Accuracy of each row at each of its points, in each resample of the test queries and of the draws, (R, points).

    All rows see the same resamples of a pool's queries, and points with equally many draws the same resamples of these.
    """
    pools = [pool for pool in of_rows[OURS][0].draws[0] if scope in (pool, group(pool))]
    sums = {name: np.zeros((RESAMPLES, len(reached))) for name, reached in of_rows.items()}
    for number_of_pool, pool in enumerate(pools):
        sample = of_rows[OURS][0].draws[0][pool]
        drawn = draws(len(sample.routed), RESAMPLES, np.random.default_rng((0, number_of_pool)))
        weight = np.ones(len(sample.routed)) if measure == ROUTING else sample.evaluations
        for name, reached in of_rows.items():
            for i, point in enumerate(reached):
                values = [
                    outcomes[pool].routed if measure == ROUTING else outcomes[pool].right for outcomes in point.draws
                ]
                of_draws = resampled(
                    drawn, np.stack([v for v in values if v is not None], axis=1), weight
                )  # (R, draws)
                count = of_draws.shape[1]
                share = draws(count, RESAMPLES, np.random.default_rng((1, count))) / count
                sums[name][:, i] += (of_draws * share).sum(axis=1)
    return {name: total / len(pools) for name, total in sums.items()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def factor_table(found: Sequence[Mapping[str, Any]]) -> str:
    rows = [name for name in METHODS if any(entry["row"] == name for entry in found)]
    lines = []
    for measure in (ROUTING, PREDICTION):
        for scope in SCOPES:
            for per_model in STATED:
                cells = {
                    entry["row"]: _factor(entry)
                    for entry in found
                    if (entry["measure"], entry["scope"], entry["per_model"]) == (measure, scope, per_model)
                }
                if cells:
                    lines.append([f"{measure}, {scope}, {per_model}", *(cells.get(name, "") for name in rows)])
    return grid(["measure, pools, evaluations of ours", *rows], lines)


def _factor(entry: Mapping[str, Any]) -> str:
    def bounded(value: float | None) -> str:
        if value is None:
            return f"> {number(entry['most'], 1)}"
        return f"≤ {number(value, 1)}" if value <= entry["least"] else number(value, 1)

    return f"{bounded(entry['factor'])} [{bounded(entry['low'])}, {bounded(entry['high'])}]"
