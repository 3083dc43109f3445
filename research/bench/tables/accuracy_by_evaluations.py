"""Claim 1: accuracy by the number of evaluations per model, and the number that other rows need to match ours (Fig. 3, Table 1).

All rows train on the same reduced evaluations; a smaller set is part of a larger one. Every row is tuned on the whole of `val`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.bootstrap import LEVEL, draws, resampled
from research.bench.main_table import PREDICTION, ROUTING, with_macro
from research.bench.method import Fitted, Method, Setting
from research.bench.outcomes import Outcome
from research.bench.rows import METHODS, OURS, methods
from research.bench.tables.cells import grid, number, percent, picture
from research.bench.tuning import Tuned, tune
from router.data.dataset import Dataset
from router.data.pools import MACRO, MACROS, group

if TYPE_CHECKING:
    from research.bench.tables.context import Context

VERSION = 1
POINTS = (64, 128, 256, 512, 1024, 2048)
STATED = (256, 512, 1024)  # the numbers of evaluations in the paper
RESAMPLES = 500
SLOW = {"LOCUS (paper)": (256, 1024)}  # measured at these points only
SCOPES = (*MACROS, "mmlu_pro")
# Selects the settings to try with fewer evaluations, besides those that the main table chose: (setting, evaluations) -> bool.
FEWER: Mapping[str, Callable[[Setting, int], bool]] = {
    "EmbedLLM": lambda setting, _: setting["width"] == 64,
    "IRT-Net": lambda setting, _: setting["rate"] == 1e-3,
    "kNN": lambda setting, n: setting["temperature"] == "even" and n / 16 <= float(setting["k"]) <= n / 2,
    "clusters": lambda setting, _: (
        setting["prior"] == "pool" and setting["clusters"] in (16, 64) and setting["shrinkage"] in (10, 50)
    ),
    "LOCUS (paper)": lambda _setting, _n: True,
}


@dataclass(frozen=True)
class Fewer:
    """A row that is tuned over a part of its grid; its fits are the row's own."""

    method: Method
    grid: tuple[Setting, ...]
    seeds: int = 1

    @property
    def name(self) -> str:
        return self.method.name

    @property
    def version(self) -> int:
        return self.method.version

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> Fitted:
        return self.method.fit(data, q, setting, seed)


@dataclass(frozen=True)
class Point:
    """A row with a number of evaluations.

    Attributes:
        per_model: largest number of train evaluations of each model; None: all.
        evaluations: the mean number over models.
        outcomes: by pool.
    """

    per_model: int | None
    evaluations: float
    outcomes: Mapping[str, Outcome]

    def accuracy(self, measure: str) -> dict[str, float]:
        """By pool, and macro."""
        found = {pool: o.routing if measure == ROUTING else o.prediction for pool, o in self.outcomes.items()}
        return with_macro({pool: value for pool, value in found.items() if value is not None})


def measure(context: "Context", points: Sequence[int] = POINTS) -> dict[str, Any]:
    """Accuracies of every row at every point, and the factors."""
    of_rows: dict[str, list[Point]] = {name: [] for name in (OURS, *FEWER) if name in context.rows}
    for per_model in points:
        evaluations = _mean_evaluations(context, per_model)
        for name in of_rows:
            if per_model in SLOW.get(name, points):
                tuned = _tuned(context, name, per_model)
                of_rows[name].append(Point(per_model, evaluations, _outcomes(context, tuned)))
                context.say(f"accuracy by evaluations: {name}, {per_model}")
    for name, reached in of_rows.items():
        reached.append(Point(None, _mean_evaluations(context, None), _outcomes(context, context.rows[name])))
    return {
        "curves": {
            name: [
                {
                    "per_model": point.per_model,
                    "evaluations": point.evaluations,
                    **{measure: point.accuracy(measure) for measure in (ROUTING, PREDICTION)},
                }
                for point in reached
            ]
            for name, reached in of_rows.items()
        },
        "factors": [
            {"measure": measure, "scope": scope, **found}
            for measure in (ROUTING, PREDICTION)
            for scope in SCOPES
            if scope in of_rows[OURS][0].accuracy(measure)
            for found in factors(of_rows, measure, scope)
        ],
    }


def factors(of_rows: Mapping[str, Sequence[Point]], measure: str, scope: str) -> list[dict[str, Any]]:
    """The factor of evaluations that each row needs to reach the accuracy of ours with a given number.

    The interval is that of a bootstrap over test queries. Rows are compared where they were measured throughout.

    Returns:
        one entry per row and number: `factor`, `low`, `high`, None if the row never reaches it; `least` and `most` are the
            ends of the row's curve.
    """
    spread = _resampled(of_rows, measure, scope)
    ours = of_rows[OURS]
    found = []
    for name, reached in of_rows.items():
        if name == OURS or name in SLOW:
            continue
        x = np.array([point.evaluations for point in reached])
        y = np.array([point.accuracy(measure)[scope] for point in reached])
        for i, point in enumerate(ours[:-1]):
            needed = evaluations_needed(x, y, point.accuracy(measure)[scope])
            drawn = [
                evaluations_needed(x, of_row, target)
                for of_row, target in zip(spread[name], spread[OURS][:, i], strict=True)
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


def section(result: dict[str, Any]) -> str:
    curves, points = result["curves"], list(result["curves"][OURS])
    header = ["row", *(_title(point) for point in points)]
    text = [
        "## 1. Accuracy by evaluations per model",
        "Train scores are reduced to a number per model, the same ones for every row (one draw); in brackets the mean "
        "over models, since a model may have fewer. Every row is tuned anew at each point on the whole of `val`, over a part of "
        "its grid. "
        "“All” is the main table's.",
    ]
    for measure, label in ((ROUTING, "Routing accuracy"), (PREDICTION, "Correctness-prediction accuracy")):
        lines = []
        for name, reached in curves.items():
            by_point = {point["per_model"]: point[measure].get(MACRO) for point in reached}
            lines.append([name, *(percent(by_point.get(point["per_model"])) for point in points)])
        text += [f"{label}, macro, %:", grid(header, lines)]
    text += [
        "Sample efficiency: the factor of evaluations with which a row reaches the accuracy of ours at that number (interpolated "
        "over the logarithm; in brackets the 95% interval of a bootstrap over test queries). “>” says that the row does not reach "
        "it with all its evaluations, “≤” that it reaches it with the fewest that were measured. The paper states 4.8 against "
        "EmbedLLM and 2.3 against IRT-Net.",
        _factor_table(result["factors"]),
        picture("accuracy_by_evaluations", "Accuracy by evaluations per model"),
    ]
    return "\n\n".join(text)


def plot(result: dict[str, Any], folder: Path) -> None:
    from research.bench.plots import Curve, Panel, Words, curves

    panels = []
    for measure, label in ((ROUTING, "routing accuracy"), (PREDICTION, "correctness-prediction accuracy")):
        drawn = []
        for name, reached in result["curves"].items():
            kept = [point for point in reached if MACRO in point[measure]]
            x = [point["evaluations"] for point in kept]
            drawn.append(Curve(name, x, [100 * point[measure][MACRO] for point in kept]))
        panels.append(Panel(label, drawn))
    words = Words("Accuracy by evaluations per model", "train evaluations per model (mean)", "macro over pools, %")
    curves(panels, words, folder / "accuracy_by_evaluations.png", columns=2)


def _tuned(context: "Context", name: str, per_model: int) -> Tuned:
    if name == OURS:
        return tune(context.runs(per_model, ours=True), context.ours, 1)
    (method,) = methods([name])
    chosen = context.rows[name]
    kept = {chosen.for_routing, chosen.for_prediction}
    settings = tuple(s for i, s in enumerate(method.grid) if i in kept or FEWER[name](s, per_model))
    return tune(context.runs(per_model), Fewer(method, settings), 1)


def _outcomes(context: "Context", tuned: Tuned) -> dict[str, Outcome]:
    return {pool.name: tuned.outcome(context.evidence.truth, pool) for pool in context.pools("test")}


def _mean_evaluations(context: "Context", per_model: int | None) -> float:
    seen = context.evidence.seen
    counts = (~np.isnan(seen.scores[:, seen.where("train")])).sum(axis=1)
    counts = counts[counts > 0]
    return float((counts if per_model is None else np.minimum(counts, per_model)).mean())


def _resampled(of_rows: Mapping[str, Sequence[Point]], measure: str, scope: str) -> dict[str, NDArray[np.float64]]:
    """Accuracy of each row at each of its points, in each resample of the test queries, (R, points)."""
    pools = [pool for pool in of_rows[OURS][0].outcomes if scope in (pool, group(pool))]
    sums = {name: np.zeros((RESAMPLES, len(reached))) for name, reached in of_rows.items()}
    for number_of_pool, pool in enumerate(pools):
        sample = of_rows[OURS][0].outcomes[pool]
        drawn = draws(len(sample.routed), RESAMPLES, np.random.default_rng((0, number_of_pool)))
        weight = np.ones(len(sample.routed)) if measure == ROUTING else sample.evaluations
        for name, reached in of_rows.items():
            value = [p.outcomes[pool].routed if measure == ROUTING else p.outcomes[pool].right for p in reached]
            sums[name] += resampled(drawn, np.stack([v for v in value if v is not None], axis=1), weight)
    return {name: total / len(pools) for name, total in sums.items()}


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _title(point: Mapping[str, Any]) -> str:
    return f"{point['per_model'] or 'all'} [{point['evaluations']:,.0f}]"


def _factor_table(found: Sequence[Mapping[str, Any]]) -> str:
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
