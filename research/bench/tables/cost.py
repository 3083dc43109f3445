"""Claim 8: quality against price: the curve of each row by cost weight, its hull, and what the best single model's level costs.

A query costs (characters of its prompt / 4) tokens in and a fixed number out, at the price list's rates. The area is
RouterBench's AIQ (arXiv 2403.12031): the mean height of the non-decreasing concave hull over the pool's range of cost.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.bootstrap import LEVEL, draws
from research.bench.evidence import BESIDE, macro
from research.bench.main_table import MACRO
from research.bench.rows import OURS
from research.bench.tables.cells import grid, number, percent, picture, points
from research.bench.tuning import Tuned
from router.data.baselines import mean_scores
from router.data.pools import Pool

if TYPE_CHECKING:
    from research.bench.tables.context import Context

VERSION = 2
CHARS_PER_TOKEN = 4
TOKENS_OUT = 400
WEIGHTS = 80  # cost weights between 0 and one at which nothing but price counts
RESAMPLES = 200
LEVELS = (1.0, 0.97)  # of the best single model's accuracy
SINGLE_MODELS = "single models"  # RouterBench's zero router: the hull of the models themselves
DENSE = 0.95  # of a pool's queries, which a model must have answered to be a point of that


@dataclass(frozen=True)
class Priced:
    """A pool with prices; models are sorted by price, so that of equals the cheaper one is chosen.

    Attributes:
        name: of the pool.
        queries: indices, (n,).
        models: indices, (M,).
        scores: (M, n), NaN where a model did not answer.
        usd: price of each query at each model, (M, n).
        mean: each model's mean score on the pool's train queries, (M,): the best single model has the highest.
    """

    name: str
    queries: NDArray[np.int64]
    models: NDArray[np.int64]
    scores: NDArray[np.float64]
    usd: NDArray[np.float64]
    mean: NDArray[np.float32]

    @property
    def answered(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.scores)

    def span(self) -> tuple[float, float]:
        """USD per query of always choosing the cheapest and the dearest model that answered."""
        cheap = np.where(self.answered, self.usd, np.inf).min(axis=0)
        return float(cheap.mean()), float(np.where(self.answered, self.usd, -np.inf).max(axis=0).mean())


@dataclass(frozen=True)
class Sweep:
    """One routing per cost weight, ascending: score and price of the chosen model, (n, W) each."""

    score: NDArray[np.float64]
    usd: NDArray[np.float64]

    def curve(self, weight: NDArray[np.float64] | None = None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean USD and accuracy by cost weight, (W,) each; queries weighted, or alike."""
        w = np.ones(len(self.score)) if weight is None else weight
        return w @ self.usd / w.sum(), w @ self.score / w.sum()


def measure(context: "Context") -> dict[str, Any]:
    """Curves, areas and cost shares of every row in every pool; empty pools without prices."""
    test, val = _priced(context, "test"), _priced(context, "val")
    unpriced = sorted(
        {context.data.models[m] for pool in context.pools("test") for m in pool.models} - context.prices.keys()
    )
    chosen = {name: _chosen(row, val) for name, row in context.rows.items()}
    found = {}
    for pool in test:
        of_rows = {name: [swept(pool, run) for run in runs] for name, runs in chosen.items()}
        of_val = {name: swept(v, runs[0]) for name, runs in chosen.items() for v in val if v.name == pool.name}
        found[pool.name] = _measured(pool, next((v for v in val if v.name == pool.name), None), of_rows, of_val)
        context.say(f"cost: {pool.name}")
    return {"pools": found, "unpriced": unpriced}


def query_prices(context: "Context", models: NDArray[np.int64], queries: NDArray[np.int64]) -> NDArray[np.float64]:
    """USD of each query at each model, (M, n); all of them have a price."""
    tokens = np.array([len(context.data.prompts[i]) for i in queries.tolist()]) / CHARS_PER_TOKEN
    prices = [context.prices[context.data.models[m]] for m in models.tolist()]
    return np.array([[price.usd(float(n), TOKENS_OUT) for n in tokens] for price in prices])


def cost_weights(usd: NDArray[np.float64]) -> NDArray[np.float64]:
    """0, a geometric series, and infinity for practical purposes, in 1/USD, ascending."""
    largest, smallest = float(usd.max()), max(float(usd[usd > 0].min(initial=usd.max())), 1e-9)
    series = np.geomspace(1e-3 / max(largest, 1e-9), 10 / smallest, WEIGHTS)
    return np.array([0.0, *series, 1e6 / smallest])


def swept(pool: Priced, p: NDArray[np.float32]) -> Sweep:
    """Routes to the highest p - weight * price at every cost weight.

    Args:
        p: P(correct), (M of the data, Q), NaN counts as the lowest.
    """
    value = p[np.ix_(pool.models, pool.queries)].astype(np.float64)
    value = np.where(pool.answered, np.where(np.isnan(value), -10.0, value), -np.inf)
    rows = np.arange(len(pool.queries))
    choice = np.stack([(value - weight * pool.usd).argmax(axis=0) for weight in cost_weights(pool.usd)], axis=1)
    return Sweep(pool.scores[choice, rows[:, None]], pool.usd[choice, rows[:, None]])


def hull(usd: NDArray[np.float64], accuracy: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the least concave, non-decreasing curve on or above the points, by ascending cost."""
    best = -np.inf
    corners: list[tuple[float, float]] = []
    for x, y in sorted(zip(usd.tolist(), accuracy.tolist(), strict=True), key=lambda point: (point[0], -point[1])):
        if y <= best:
            continue
        best = y
        while len(corners) > 1 and _below(corners[-2], corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    xs, ys = np.array(corners).T
    return xs, ys


def area(usd: NDArray[np.float64], accuracy: NDArray[np.float64], span: tuple[float, float]) -> float:
    """AIQ: mean height of the hull from the least to the greatest cost of the pool, in [0, 1].

    Left of the first corner nothing can be bought, and nothing is reached; right of the last one the height stays.
    """
    xs, ys = hull(usd, accuracy)
    low, high = span
    if high <= low:
        return float(ys[-1])
    x = np.unique(np.clip(np.concatenate([[low, high], xs]), low, high))
    y = np.interp(x, xs, ys, left=0.0)
    return float(np.trapezoid(y, x) / (high - low))


def cost_of(usd: NDArray[np.float64], accuracy: NDArray[np.float64], level: float) -> float | None:
    """The least mean cost of a swept routing that reaches an accuracy; None where none does."""
    reached = usd[accuracy >= level - 1e-12]
    return float(reached.min()) if len(reached) else None


def cost_on_hull(usd: NDArray[np.float64], accuracy: NDArray[np.float64], level: float) -> float | None:
    """The same where each query's cost weight may be drawn by lot from two: where the hull reaches an accuracy."""
    xs, ys = hull(usd, accuracy)
    if ys[-1] < level - 1e-12:
        return None
    return float(np.interp(level, ys, xs))


def section(result: dict[str, Any]) -> str:
    pools = result["pools"]
    if not pools:
        return "## 8. Cost\n\nNot measured: the data have no `prices.csv`, or it prices no pool's models."
    names = list(next(iter(pools.values()))["rows"])
    swept_rows = [name for name in names if name != SINGLE_MODELS]
    columns = [*pools, MACRO]
    text = [
        "## 8. Cost",
        f"A query costs a prompt's characters / {CHARS_PER_TOKEN} tokens in and {TOKENS_OUT} tokens out at the rates of "
        "`prices.csv`. Every row routes to the highest p − cost weight × price, over "
        f"{WEIGHTS + 2} cost weights from 0 to one where only price counts; of a row's settings the one with the larger area on "
        "`val` is taken. AIQ: mean height of the non-decreasing concave hull between the costs of always choosing the cheapest and "
        f"always the dearest model, %. `{SINGLE_MODELS}` is the hull of the models themselves, chosen with knowledge of `test`.",
        grid(["row", *columns], [[name, *(percent(_aiq(pools, name, c), 2) for c in columns)] for name in names]),
    ]
    others = [name for name in names if name != OURS and "difference" in next(iter(pools.values()))["rows"][name]]
    if others:
        lines = []
        for name in others:
            gaps = {pool: found["rows"][name]["difference"] for pool, found in pools.items()}
            cells = [f"{points(g['mean'], 2)} [{points(g['low'], 2)}, {points(g['high'], 2)}]" for g in gaps.values()]
            lines.append([name, *cells])
        text += [
            f"AIQ of each row less that of {OURS}, in points, with the 95% interval of a paired bootstrap over test queries:",
            grid(["row", *pools], lines),
        ]
    for level in LEVELS:
        label = "the best single model's accuracy" if level == 1 else f"{100 * level:.0f}% of it"
        text += [
            f"Least cost at which {label} is reached, as a share of that model's cost: at one cost weight, and after the stroke on "
            "the hull, where each query's cost weight is drawn by lot from two (–: not reached):",
            grid(
                ["row", *pools],
                [
                    [name, *(_shares(found["rows"][name]["shares"], level) for found in pools.values())]
                    for name in swept_rows
                ],
            ),
        ]
    if OURS in names:
        lines = [
            [f"{pool}, {100 * level:.0f}%", *_chosen_cells(found["rows"][OURS]["chosen"].get(str(level)))]
            for pool, found in pools.items()
            for level in LEVELS
        ]
        text += [
            f"{OURS} at the cost weight that `val` chooses to reach that level there (the cost weight above is chosen with "
            "knowledge of `test`), as shares of the best single model's accuracy and cost on `test`:",
            grid(["pool, level", "share of accuracy", "share of cost"], lines),
        ]
    if result["unpriced"]:
        text.append(f"Without a price, and so left out: {', '.join(result['unpriced'])}.")
    return "\n\n".join([*text, picture("cost", "Accuracy against cost per query")])


def plot(result: dict[str, Any], folder: Path) -> None:
    from research.bench.plots import SINGLE, Curve, Panel, Words, curves

    shown = (OURS, "EmbedLLM", "IRT-Net", "kNN", "clusters")
    panels = []
    for pool, found in result["pools"].items():
        if pool in BESIDE:
            continue
        drawn = []
        for name in (name for name in shown if name in found["rows"]):
            # The hull is straight in dollars, not in their logarithm.
            usd = np.geomspace(max(found["span"][0], 1e-9), found["span"][1], 200)
            drawn.append(Curve(name, (1000 * usd).tolist(), _percents(usd, *found["rows"][name]["hull"]), steps=True))
        single = found["single"]
        drawn.append(Curve("best single", [1000 * single["usd"]], [100 * single["accuracy"]], marks=True))
        x, y = ([scale * model[key] for model in found["models"]] for key, scale in (("usd", 1000), ("accuracy", 100)))
        panels.append(Panel(pool, [*drawn, Curve(SINGLE, x, y, marks=True)]))
    if panels:
        words = Words("Accuracy by cost weight (hulls)", "mean USD per 1,000 queries", "routing accuracy on test, %")
        curves(panels, words, folder / "cost.png")


def _percents(usd: NDArray[np.float64], xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    """Heights of a hull, %."""
    return [float(value) for value in 100 * np.interp(usd, xs, ys, left=np.nan)]


def _priced(context: "Context", split: str) -> list[Priced]:
    """The pools of a split, without models that have no price; pools that keep two models."""
    found = []
    for pool in context.pools(split):
        priced = np.array([m for m in pool.models if context.data.models[m] in context.prices], np.int64)
        queries = pool.queries[(~np.isnan(context.data.scores[np.ix_(priced, pool.queries)])).sum(axis=0) >= 2]
        if len(priced) >= 2 and len(queries):
            found.append(_pool(context, Pool(pool.name, queries, priced)))
    return found


def _pool(context: "Context", pool: Pool) -> Priced:
    data = context.data
    usd = query_prices(context, pool.models, pool.queries)
    order = np.argsort(usd.mean(axis=1), kind="stable")
    models = pool.models[order]
    of_pool = np.isin(data.benchmarks, np.unique(data.benchmarks[pool.queries])) & (data.splits == "train")
    mean = mean_scores(data.scores[np.ix_(models, np.flatnonzero(of_pool))])
    scores = data.scores[np.ix_(models, pool.queries)].astype(np.float64)
    return Priced(pool.name, pool.queries, models, scores, usd[order], mean)


def _chosen(row: Tuned, val: Sequence[Priced]) -> list[NDArray[np.float32]]:
    """Predictions of every seed, with the setting (best for routing, or for prediction) that has the larger area on `val`."""

    def of_val(p: NDArray[np.float32]) -> float:
        return macro({pool.name: area(*swept(pool, p).curve(), pool.span()) for pool in val})

    candidates = [[run.p for run in runs] for runs in (row.routing_runs, row.prediction_runs)]
    if row.for_routing == row.for_prediction or not val:
        return candidates[0]
    return max(candidates, key=lambda runs: of_val(runs[0]))


def _measured(
    pool: Priced, val: Priced | None, of_rows: Mapping[str, Sequence[Sweep]], of_val: Mapping[str, Sweep]
) -> dict[str, Any]:
    span = pool.span()
    single = _single(pool)
    rows: dict[str, dict[str, Any]] = {}
    for name, sweeps in of_rows.items():
        usd, accuracy = sweeps[0].curve()
        xs, ys = hull(usd, accuracy)
        shares = {}
        for level in LEVELS:
            for key, cost in (("", cost_of), (" by lot", cost_on_hull)):
                spent = [cost(*sweep.curve(), level * single["accuracy"]) for sweep in sweeps]
                reached = [value / single["usd"] for value in spent if value is not None]
                shares[f"{level}{key}"] = float(np.mean(reached)) if len(reached) == len(sweeps) else None
        rows[name] = {
            "aiq": float(np.mean([area(*sweep.curve(), span) for sweep in sweeps])),
            "hull": [xs.tolist(), ys.tolist()],
            "shares": shares,
            "chosen": {} if val is None else _by_val(sweeps[0], of_val[name], single, _single(val)),
        }
    if OURS in of_rows:
        for name, gap in _differences(of_rows, span).items():
            rows[name]["difference"] = gap
    models = [
        {"row": int(m), "usd": float(pool.usd[m, there].mean()), "accuracy": float(pool.scores[m, there].mean())}
        for m, there in enumerate(pool.answered)
        if there.mean() >= DENSE
    ]
    if models:
        xs, ys = (np.array([model[key] for model in models]) for key in ("usd", "accuracy"))
        rows[SINGLE_MODELS] = {"aiq": area(xs, ys, span)}
    return {"span": list(span), "single": single, "models": models, "rows": rows}


def _single(pool: Priced) -> dict[str, float]:
    """What always asking the best single model reaches and costs; where it did not answer, the next best."""
    choice = np.where(pool.answered, pool.mean[:, None], -np.inf).argmax(axis=0)
    rows = np.arange(len(choice))
    return {"accuracy": float(pool.scores[choice, rows].mean()), "usd": float(pool.usd[choice, rows].mean())}


def _by_val(test: Sweep, val: Sweep, single: Mapping[str, float], val_single: Mapping[str, float]) -> dict[str, Any]:
    """The largest cost weight that reaches a level on `val`, and what it comes to on `test`."""
    found: dict[str, Any] = {}
    _, accuracy = val.curve()
    usd, reached = test.curve()
    for level in LEVELS:
        enough = np.flatnonzero(accuracy >= level * val_single["accuracy"] - 1e-12)
        if len(enough):
            at = enough[-1]
            found[str(level)] = {
                "accuracy": float(reached[at] / single["accuracy"]),
                "usd": float(usd[at] / single["usd"]),
            }
    return found


def _differences(of_rows: Mapping[str, Sequence[Sweep]], span: tuple[float, float]) -> dict[str, dict[str, float]]:
    """AIQ of each row less ours, with a paired interval; the range of cost is that of all queries."""
    drawn = draws(len(of_rows[OURS][0].score), RESAMPLES, np.random.default_rng(0))

    def areas(weight: NDArray[np.float64] | None, name: str) -> float:
        return float(np.mean([area(*sweep.curve(weight), span) for sweep in of_rows[name]]))

    measured = {name: areas(None, name) for name in of_rows}
    spread = {name: np.array([areas(weight, name) for weight in drawn]) for name in of_rows}
    found = {}
    for name in of_rows:
        if name != OURS:
            low, high = np.quantile(spread[name] - spread[OURS], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found[name] = {"mean": measured[name] - measured[OURS], "low": float(low), "high": float(high)}
    return found


def _below(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b is on or below the line from a to c."""
    return (b[1] - a[1]) * (c[0] - a[0]) <= (c[1] - a[1]) * (b[0] - a[0])


def _aiq(pools: Mapping[str, Any], name: str, column: str) -> float | None:
    values = {pool: found["rows"][name]["aiq"] for pool, found in pools.items() if name in found["rows"]}
    if column == MACRO:
        return macro(values) if set(pools) - BESIDE <= set(values) else None
    return values.get(column)


def _shares(found: Mapping[str, float | None], level: float) -> str:
    return " / ".join(
        "–" if value is None else number(value) for value in (found[f"{level}"], found[f"{level} by lot"])
    )


def _chosen_cells(found: Mapping[str, float] | None) -> list[str]:
    return ["", ""] if found is None else [number(found["accuracy"], 3), number(found["usd"])]
