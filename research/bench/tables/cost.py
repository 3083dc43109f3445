"""Claim 8: accuracy against price: each row's curve by cost weight, its hull, and the cost of the best single model's accuracy.

The area is RouterBench's AIQ (arXiv 2403.12031): the mean height of the non-decreasing concave hull over the pool's range of cost.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.bootstrap import LEVEL, draws
from research.bench.evidence import macro
from research.bench.rows import OURS
from research.bench.tables.cells import grid, number, percent, picture, points
from research.bench.tables.cost_curves import (
    WEIGHTS,
    Priced,
    Sweep,
    area,
    cost_of,
    cost_on_hull,
    hull,
    query_prices,
    swept,
)
from research.bench.tuning import Tuned
from router.data.baselines import mean_scores
from router.data.pools import MACROS, Pool, group, macros
from router.explore.model_prices import CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 3
RESAMPLES = 200
LEVELS = (1.0, 0.97)  # of the best single model's accuracy
SINGLE_MODELS = "single models"  # RouterBench's zero router: the hull of the models themselves
DENSE = 0.95  # least share of a pool's queries that a model answered, to be a point of that hull


def measure(context: "Context") -> dict[str, Any]:
    """Curves, areas and cost shares of every row in every pool; without prices there are no pools."""
    test, val = _priced(context, "test"), _priced(context, "val")
    kept = {pool.name for pool in test}
    pools = context.pools("test")
    unpriced = {
        context.data.models[m] for pool in pools if pool.name in kept for m in pool.models
    } - context.prices.keys()
    chosen = {name: _chosen(row, val) for name, row in context.rows.items()}
    found = {}
    for pool in test:
        of_rows = {name: [swept(pool, run) for run in runs] for name, runs in chosen.items()}
        of_val = {name: swept(v, runs[0]) for name, runs in chosen.items() for v in val if v.name == pool.name}
        found[pool.name] = _measured(pool, next((v for v in val if v.name == pool.name), None), of_rows, of_val)
        context.say(f"cost: {pool.name}")
    return {
        "pools": found,
        "unpriced": sorted(unpriced),
        "left_out": [pool.name for pool in pools if pool.name not in kept],
    }


def section(result: dict[str, Any]) -> str:
    pools = result["pools"]
    if not pools:
        return "## 8. Cost\n\nNot measured: the data have no `prices.csv`, or it prices no pool's models."
    names = list(next(iter(pools.values()))["rows"])
    swept_rows = [name for name in names if name != SINGLE_MODELS]
    columns = [*pools, *macros(dict.fromkeys(pools, 0.0))]
    text = [
        "## 8. Cost",
        f"A query costs a prompt's characters / {CHARS_PER_TOKEN} tokens in and {EXPECTED_OUTPUT_TOKENS} tokens out at the rates "
        "of `prices.csv`. Every row routes to the highest p − cost weight × price, over "
        f"{WEIGHTS + 2} cost weights from 0 to one where only price counts; of a row's settings the one with the larger area on "
        "`val` is taken. AIQ: mean height of the non-decreasing concave hull between the costs of always choosing the cheapest and "
        f"always the most expensive model, %. `{SINGLE_MODELS}`: the hull of the models themselves, chosen on `test`.",
        grid(["row", *columns], [[name, *(percent(_aiq(pools, name, c), 2) for c in columns)] for name in names]),
    ]
    text += _difference_text(pools, names) + _level_text(pools, swept_rows)
    if OURS in names:
        text += _chosen_text(pools)
    if result["unpriced"]:
        text.append(f"Without a price, and so left out: {', '.join(result['unpriced'])}.")
    if result["left_out"]:
        text.append(
            f"Pools that are left out, since too few of their models have a price: {', '.join(result['left_out'])}."
        )
    return "\n\n".join([*text, picture("cost", "Accuracy against cost per query")])


def _difference_text(pools: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """Differences of AIQ to our row; empty if our row was not run."""
    others = [name for name in names if name != OURS and "difference" in next(iter(pools.values()))["rows"][name]]
    if not others:
        return []
    lines = []
    for name in others:
        gaps = {pool: found["rows"][name]["difference"] for pool, found in pools.items()}
        cells = [f"{points(g['mean'], 2)} [{points(g['low'], 2)}, {points(g['high'], 2)}]" for g in gaps.values()]
        lines.append([name, *cells])
    return [
        f"AIQ of each row less that of {OURS}, in points, with the 95% interval of a paired bootstrap over test queries:",
        grid(["row", *pools], lines),
    ]


def _level_text(pools: Mapping[str, Any], swept_rows: Sequence[str]) -> list[str]:
    """The least cost of each row at which it reaches a level of accuracy."""
    text = []
    for level in LEVELS:
        label = "the best single model's accuracy" if level == 1 else f"{100 * level:.0f}% of it"
        text += [
            f"Least cost at which {label} is reached, as a share of that model's cost: at one cost weight, and after the stroke on "
            "the hull, where each query's cost weight is drawn at random from two (–: not reached):",
            grid(
                ["row", *pools],
                [
                    [name, *(_shares(found["rows"][name]["shares"], level) for found in pools.values())]
                    for name in swept_rows
                ],
            ),
        ]
    return text


def _chosen_text(pools: Mapping[str, Any]) -> list[str]:
    """Our row at the cost weights that `val` chooses."""
    lines = [
        [f"{pool}, {100 * level:.0f}%", *_chosen_cells(found["rows"][OURS]["chosen"].get(str(level)))]
        for pool, found in pools.items()
        for level in LEVELS
    ]
    return [
        f"{OURS} at the cost weight that `val` chooses to reach that level there (the cost weight above is chosen with "
        "knowledge of `test`), as shares of the best single model's accuracy and cost on `test`:",
        grid(["pool, level", "share of accuracy", "share of cost"], lines),
    ]


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.looks import SINGLE
    from research.bench.plots import Curve, Panel, Words, curves

    shown = (OURS, "EmbedLLM", "IRT-Net", "kNN", "clusters")
    panels = []
    for pool, found in result["pools"].items():
        if group(pool) is None:
            continue
        drawn = []
        for name in (name for name in shown if name in found["rows"]):
            # The hull is straight in dollars, not in their logarithm.
            usd = np.geomspace(max(found["span"][0], 1e-9), found["span"][1], 200)
            drawn.append(Curve(name, (1000 * usd).tolist(), _percents(usd, *found["rows"][name]["hull"]), line=True))
        single = found["single"]
        drawn.append(Curve("best single", [1000 * single["usd"]], [100 * single["accuracy"]], points=True))
        x, y = ([scale * model[key] for model in found["models"]] for key, scale in (("usd", 1000), ("accuracy", 100)))
        panels.append(Panel(pool, [*drawn, Curve(SINGLE, x, y, points=True)]))
    words = Words(_finding(result["pools"]), "mean USD per 1,000 queries", "routing accuracy on test, %")
    return curves(panels, words) if panels else None


def _finding(pools: Mapping[str, Any]) -> str:
    """The title: in how many pools our curve is the highest one."""
    areas = [
        {name: row["aiq"] for name, row in found["rows"].items() if name != SINGLE_MODELS}
        for pool, found in pools.items()
        if group(pool) is not None
    ]
    best = sum(of_rows.get(OURS, 0.0) >= max(of_rows.values()) for of_rows in areas)
    return f"Accuracy against cost: {OURS} has the largest area under the hull in {best} of {len(areas)} pools"


def _percents(usd: NDArray[np.float64], xs: Sequence[float], ys: Sequence[float]) -> list[float]:
    """Heights of a hull, %."""
    return [float(value) for value in 100 * np.interp(usd, xs, ys, left=np.nan)]


def _priced(context: "Context", split: str) -> list[Priced]:
    """The pools of a split, without models that have no price; pools that keep half of their models, and two."""
    found = []
    for pool in context.pools(split):
        priced = np.array([m for m in pool.models if context.data.models[m] in context.prices], np.int64)
        queries = pool.queries[(~np.isnan(context.data.scores[np.ix_(priced, pool.queries)])).sum(axis=0) >= 2]
        if len(priced) >= max(2, len(pool.models) / 2) and len(queries):
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
    """Accuracy and cost of the best single model; where it did not answer, of the next best."""
    choice = np.where(pool.answered, pool.mean[:, None], -np.inf).argmax(axis=0)
    rows = np.arange(len(choice))
    return {"accuracy": float(pool.scores[choice, rows].mean()), "usd": float(pool.usd[choice, rows].mean())}


def _by_val(test: Sweep, val: Sweep, single: Mapping[str, float], val_single: Mapping[str, float]) -> dict[str, Any]:
    """The largest cost weight that reaches a level on `val`, and its accuracy and cost on `test`."""
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


def _aiq(pools: Mapping[str, Any], name: str, column: str) -> float | None:
    values = {pool: found["rows"][name]["aiq"] for pool, found in pools.items() if name in found["rows"]}
    if column in MACROS:
        members = {pool for pool in pools if group(pool) == column}
        return macros(values)[column] if members <= set(values) else None
    return values.get(column)


def _shares(found: Mapping[str, float | None], level: float) -> str:
    return " / ".join(
        "–" if value is None else number(value) for value in (found[f"{level}"], found[f"{level} by lot"])
    )


def _chosen_cells(found: Mapping[str, float] | None) -> list[str]:
    return ["", ""] if found is None else [number(found["accuracy"], 3), number(found["usd"])]
