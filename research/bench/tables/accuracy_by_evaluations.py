"""Claim 1: accuracy by the number of evaluations per model, and the number that other rows need to match ours (Fig. 3, Table 1).

All rows train on the same reduced evaluations; a smaller set is part of a larger one. Every row is tuned on the whole of `val` with
the first draw of each number; the other draws choose between the two settings that are best for routing and for prediction there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.main_table import PREDICTION, ROUTING
from research.bench.method import Fitted, Method, Setting
from research.bench.outcomes import Outcome
from research.bench.rows import OURS, methods
from research.bench.tables.cells import grid, picture
from research.bench.tables.repeats import BETWEEN, EXPLAINED, draws_for, percent_between
from research.bench.tables.sample_efficiency import SCOPES, Point, factor_table, factors
from research.bench.tuning import Tuned, tune
from router.data.dataset import Dataset
from router.data.pools import MACRO, MACROS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 3
POINTS = (64, 128, 256, 512, 1024, 2048)
MANY = 256  # evaluations, above which the slowly trained rows take the settings that the main table chose
SLOW = {"LOCUS (paper)": (512, 1024)}  # measured at these points only
# Selects the settings to try with fewer evaluations, besides those that the main table chose: (setting, evaluations) -> bool.
FEWER: Mapping[str, Callable[[Setting, int], bool]] = {
    "EmbedLLM": lambda setting, n: setting["width"] == 64 and n <= MANY,
    "IRT-Net": lambda setting, n: setting["rate"] == 1e-3 and n <= MANY,
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


def measure(context: "Context", points: Sequence[int] = POINTS) -> dict[str, Any]:
    """Accuracies of every row at every point, and the factors."""
    of_rows: dict[str, list[Point]] = {name: [] for name in (OURS, *FEWER) if name in context.rows}
    for per_model in points:
        evaluations = _mean_evaluations(context, per_model)
        for name in of_rows:
            if per_model in SLOW.get(name, points):
                of_rows[name].append(Point(per_model, evaluations, _drawn(context, name, per_model)))
    for name, reached in of_rows.items():
        reached.append(Point(None, _mean_evaluations(context, None), (_outcomes(context, context.rows[name]),)))
    return {
        "curves": {
            name: [
                {
                    "per_model": point.per_model,
                    "evaluations": point.evaluations,
                    "draws": len(point.draws),
                    **{measure: point.accuracy(measure) for measure in (ROUTING, PREDICTION)},
                    **{f"{measure}_spread": point.spread(measure) for measure in (ROUTING, PREDICTION)},
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
            for found in factors(of_rows, measure, scope, without=tuple(SLOW))
        ],
    }


def section(result: dict[str, Any]) -> str:
    curves, points = result["curves"], list(result["curves"][OURS])
    header = ["row", *(_title(point) for point in points)]
    text = [
        "## 1. Accuracy by evaluations per model",
        "Train scores are reduced to a number per model, drawn at random, the same ones for every row; in brackets the mean over "
        "models, since a model may have fewer. Every row is tuned on the whole of `val` over a part of its grid with the first "
        "draw of each number; the other draws choose between the settings that are best for routing and for prediction there. "
        f"Shown is {EXPLAINED}. “All” is the main table's.",
    ]
    for measure, label in ((ROUTING, "Routing accuracy"), (PREDICTION, "Correctness-prediction accuracy")):
        for scope in MACROS:
            lines = []
            for name, reached in curves.items():
                cells = {point["per_model"]: _cell(point, measure, scope) for point in reached}
                lines.append([name, *(cells.get(point["per_model"], "") for point in points)])
            if any(cell for line in lines for cell in line[1:]):
                text += [f"{label}, {scope}, %:", grid(header, lines)]
    text += [
        "Sample efficiency: the factor of evaluations with which a row reaches the accuracy of ours at that number (interpolated "
        "over the logarithm; in brackets the 95% interval of a bootstrap over test queries and draws). “>” says that the row does "
        "not reach it with all its evaluations, “≤” that it reaches it with the fewest that were measured. The paper states 4.8 "
        "against EmbedLLM and 2.3 against IRT-Net.",
        factor_table(result["factors"]),
        picture("accuracy_by_evaluations", "Accuracy by evaluations per model"),
    ]
    return "\n\n".join(text)


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    panels = []
    for measure, label in ((ROUTING, "routing accuracy"), (PREDICTION, "correctness-prediction accuracy")):
        drawn = []
        for name, reached in result["curves"].items():
            kept = [point for point in reached if MACRO in point[measure]]
            x = [point["evaluations"] for point in kept]
            spread = [100 * point[f"{measure}_spread"].get(MACRO, np.nan) for point in kept]
            drawn.append(Curve(name, x, [100 * point[measure][MACRO] for point in kept], spread=spread))
        panels.append(Panel(label, drawn))
    words = Words(
        _finding(result["curves"]), "train evaluations per model (mean)", "accuracy, mean over pools, %", BETWEEN
    )
    return curves(panels, words, columns=2)


def _finding(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """The title: the fewest evaluations from which ours predicts at least as well as the named rows with all theirs."""
    others = [name for name in ("EmbedLLM", "IRT-Net") if name in curves]
    best = max((curves[name][-1][PREDICTION].get(MACRO, 1.0) for name in others), default=1.0)
    enough = [point for point in curves[OURS] if point[PREDICTION].get(MACRO, 0.0) >= best]
    if not enough or enough[0]["per_model"] is None:
        return "Accuracy by evaluations per model"
    few, many = (f"{point['evaluations']:,.0f}" for point in (enough[0], curves[OURS][-1]))
    return (
        f"{OURS.capitalize()} predicts with {few} evaluations per model as well as {' and '.join(others)} with {many}"
    )


def _drawn(context: "Context", name: str, per_model: int) -> tuple[Mapping[str, Outcome], ...]:
    """The outcomes of a row by pool, with each draw of the evaluations."""
    method, settings = _fewer(context, name, per_model)
    found = []
    for draw in range(draws_for(per_model)):
        tuned = tune(context.runs(per_model, draw, ours=name == OURS), Fewer(method, settings), 1)
        chosen = dict.fromkeys((tuned.for_routing, tuned.for_prediction))
        settings = tuple(tuned.trials[i].setting for i in chosen) if draw == 0 else settings
        found.append(_outcomes(context, tuned))
        context.say(f"accuracy by evaluations: {name}, {per_model}, draw {draw + 1}")
    return tuple(found)


def _fewer(context: "Context", name: str, per_model: int) -> tuple[Method, tuple[Setting, ...]]:
    """A row, and the settings of its grid to try with so many evaluations."""
    if name == OURS:
        return context.ours, context.ours.grid
    (method,) = methods([name])
    chosen = context.rows[name]
    kept = {chosen.for_routing, chosen.for_prediction}
    return method, tuple(s for i, s in enumerate(method.grid) if i in kept or FEWER[name](s, per_model))


def _outcomes(context: "Context", tuned: Tuned) -> dict[str, Outcome]:
    return {pool.name: tuned.outcome(context.evidence.truth, pool) for pool in context.pools("test")}


def _mean_evaluations(context: "Context", per_model: int | None) -> float:
    seen = context.evidence.seen
    counts = (~np.isnan(seen.scores[:, seen.where("train")])).sum(axis=1)
    counts = counts[counts > 0]
    return float((counts if per_model is None else np.minimum(counts, per_model)).mean())


def _title(point: Mapping[str, Any]) -> str:
    return f"{point['per_model'] or 'all'} [{point['evaluations']:,.0f}]"


def _cell(point: Mapping[str, Any], measure: str, scope: str) -> str:
    return percent_between(point[measure].get(scope), point[f"{measure}_spread"].get(scope))
