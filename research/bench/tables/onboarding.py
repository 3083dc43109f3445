"""Claim 2: a model that joins later is embedded from few evaluations, without training, with little loss (Fig. 4, Table 2).

Newcomers are the models marked `onboarding`, and by cross-validation all others: in each fold the router is trained without
a third of its models. Every way to predict a newcomer uses the same few evaluations.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.main_table import with_macro
from research.bench.rows import OURS
from research.bench.tables.cells import grid, percent, picture, points
from research.bench.tables.newcomers import Agreeing, Case, Embedded, OwnNeighbours, Refitted, Rows, Way
from research.bench.tables.repeats import BETWEEN, EXPLAINED, draws_for, percent_between
from router.data.pools import MACRO, MACRO_NEW, routed_scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 2
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
FOLDS = 3
TOLD = 32  # evaluations that the plot's title tells of
TUNED_ON = 24  # known models that the settings of the other ways are chosen on, by their `val` scores
FRESH, FOLDED = "onboarding", "cross-validation"


def measure(context: "Context", sizes: Sequence[int] = SIZES, folds: int = FOLDS) -> dict[str, Any]:
    """Accuracies of newcomers, and of routing among them and the known models, by the number of evaluations."""
    return {
        FRESH: [_curve(case, sizes) for case in _fresh(context)],
        FOLDED: [_curve(case, sizes) for case in _folds(context, folds)],
    }


def section(result: dict[str, Any]) -> str:
    folds = f", and in {len(result[FOLDED])} folds all others" if result[FOLDED] else ""
    text = [
        "## 2. Onboarding",
        "Newcomers are embedded from a number of their train evaluations, drawn at random, by a router that was trained without "
        f"them: the models marked `onboarding`{folds}. Shown is {EXPLAINED}. "
        "Prediction: whether the newcomer answers a test query correctly, averaged over newcomers that have more evaluations than "
        "are used. Routing: macro over pools that hold known models and newcomers; one with fewer evaluations gives all it has. "
        "Loss: against the same way with all of a newcomer's evaluations, for our rows; in points.",
    ]
    for name in (FRESH, FOLDED):
        if result[name]:
            text += [
                f"**{name}**: {sum(len(case['newcomers']) for case in result[name])} models.",
                _tables(result[name]),
            ]
    text.append(picture("onboarding", "Accuracy of newcomers by the number of evaluations"))
    return "\n\n".join(text)


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    panels = []
    for name in (FRESH, FOLDED):
        for key in ("prediction", "routing") if result[name] else ():
            drawn = _averaged(result[name], key)
            if not drawn:
                continue
            full = _averaged(result[name], f"full_{key}")[OURS]
            between = _between(result[name], key)
            lines = [
                Curve(
                    way,
                    [float(n) for n in by_size],
                    [100 * (v - full[n]) for n, v in by_size.items()],
                    spread=[100 * between.get(way, {}).get(n, np.nan) for n in by_size],
                )
                for way, by_size in drawn.items()
            ]
            title = f"{name}: {key}\n{_measured_on(result[name], key)}"
            panels.append(Panel(title, lines, ("ours, all evaluations", 0.0)))
    words = Words(_finding(result), "evaluations of the newcomer", "points against ours with all evaluations", BETWEEN)
    return curves(panels, words, columns=2) if panels else None


def _measured_on(cases: Sequence[Mapping[str, Any]], key: str) -> str:
    """What a panel averages over: newcomers with more evaluations, which become fewer, or pools."""
    if key == "routing":
        return "mean over pools with newcomers"
    counted = [
        (entry["evaluations"], entry["models"]) for case in cases for entry in case["ways"][OURS] if entry["models"]
    ]
    models = {n: sum(count for size, count in counted if size == n) for n, _ in counted}
    few, many = min(models), max(models)
    return f"{models[few]} newcomers at {few:,}, {models[many]} at {many:,}"


def _finding(result: Mapping[str, Any]) -> str:
    """The title: what newcomers lose with few evaluations."""
    cases = [*result[FRESH], *result[FOLDED]]
    found = [
        entry for case in cases for entry in case["ways"][OURS] if entry["evaluations"] == TOLD and entry["losses"]
    ]
    lost = [loss for entry in found for loss in entry["losses"]]
    if not lost:
        return "Models that join later"
    loss = float(np.mean(lost))
    changes = f"{'loses' if loss > 0 else 'gains'} {percent(abs(loss))} points"
    return f"Predicted from {TOLD} evaluations, a newcomer {changes} against all it has"


def _fresh(context: "Context") -> Iterator[Case]:
    train = context.data.where("train")
    newcomers = np.flatnonzero(context.data.onboarding & ~np.isnan(context.data.scores[:, train]).all(axis=1))
    if len(newcomers):
        pools = [p for p in context.pools("test", onboarding=True) if np.isin(p.models, newcomers).any()]
        yield Case(context, context.fitted, context.evidence.seen, newcomers, pools)


def _folds(context: "Context", folds: int) -> Iterator[Case]:
    """Every known model is a newcomer in one fold. Models are shuffled, so that related ones are spread over the folds."""
    shuffled = np.random.default_rng(0).permutation(np.flatnonzero(context.known))
    for k in range(folds):
        newcomers = np.sort(shuffled[k::folds])
        hidden = np.isin(np.arange(len(context.data.models)), newcomers)[:, None]
        seen = replace(context.evidence.seen, scores=np.where(hidden, np.float32(np.nan), context.evidence.seen.scores))
        case = Case(context, context.fit(seen), seen, newcomers, context.pools("test"))
        context.say(f"onboarding: fold {k + 1} of {folds} is trained")
        yield case


def _curve(case: Case, sizes: Sequence[int]) -> dict[str, Any]:
    """The results of one case by way and number of evaluations."""
    context = case.context
    ways: list[Way] = [Embedded(case), Agreeing(case)]
    ways += [OwnNeighbours(case)] if "kNN" in context.rows else []
    ways += [Refitted(case)] if "EmbedLLM" in context.rows else []
    full = [context.answered(m) for m in case.newcomers.tolist()]
    found: dict[str, list[dict[str, Any]]] = {}
    for way in ways:
        known = way.known()
        whole = _results(case, way, known, full, _setting(case, way, max(map(len, full))))
        found[way.name] = []
        for size in sizes:
            setting = _setting(case, way, size)
            drawn = [
                _results(case, way, known, [sample(rows, size, draw, m) for m, rows in enumerate(full)], setting)
                for draw in range(draws_for(size))
            ]
            found[way.name].append({"evaluations": size, "setting": setting, **_compared(drawn, whole, full, size)})
        context.say(f"onboarding: {way.name}")
    return {"newcomers": [context.data.models[m] for m in case.newcomers], "ways": found}


def sample(rows: NDArray[np.int64], size: int, draw: int, model: int) -> NDArray[np.int64]:
    """`size` of the queries at random, or all; a smaller sample is part of a larger one."""
    return np.random.default_rng((draw, model)).permutation(rows)[:size]


@dataclass(frozen=True)
class _Results:
    """Accuracy and Brier score on each newcomer's test evaluations, (k,), NaN without any; routing accuracy by pool and macro."""

    right: NDArray[np.float64]
    brier: NDArray[np.float64]
    routing: Mapping[str, float]


def _results(case: Case, way: Way, known: NDArray[np.float32], rows: Rows, setting: float) -> _Results:
    data = case.context.data
    test = data.where("test")
    p_new = way.newcomers(case.newcomers, rows, test, setting)
    scores = data.scores[np.ix_(case.newcomers, test)]
    p = known.copy()
    p[np.ix_(case.newcomers, test)] = p_new
    routing = {pool.name: float(routed_scores(data, pool, p).mean()) for pool in case.pools}
    return _Results(
        _mean(1 - np.abs((p_new >= 0.5) - scores)), _mean((p_new - scores) ** 2), with_macro(routing) if routing else {}
    )


def _mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The mean over values that are not NaN, (k, n) -> (k,); NaN if there are none."""
    count = (~np.isnan(values)).sum(axis=1)
    return np.where(count > 0, np.nansum(values, axis=1, dtype=np.float64) / np.maximum(count, 1), np.nan)


def _compared(drawn: Sequence[_Results], whole: _Results, full: Rows, size: int) -> dict[str, Any]:
    """Means over draws, and the results with all evaluations for the same models."""
    more = np.array([len(rows) > size for rows in full]) & ~np.isnan(whole.right)
    some = bool(more.any())
    return {
        "models": int(more.sum()),
        "draws": len(drawn),
        "prediction": float(np.mean([r.right[more].mean() for r in drawn])) if some else None,
        "prediction_draws": [float(r.right[more].mean()) for r in drawn] if some else None,
        "full_prediction": float(whole.right[more].mean()) if some else None,
        "brier": float(np.mean([r.brier[more].mean() for r in drawn])) if some else None,
        "full_brier": float(whole.brier[more].mean()) if some else None,
        "losses": (whole.right[more] - np.mean([r.right[more] for r in drawn], axis=0)).tolist() if some else [],
        **_routing(drawn, whole, MACRO, "routing"),
        **_routing(drawn, whole, MACRO_NEW, "routing_new"),
        "routing_by_pool": {p: float(np.mean([r.routing[p] for r in drawn])) for p in whole.routing},
        "full_routing_by_pool": dict(whole.routing),
    }


def _routing(drawn: Sequence[_Results], whole: _Results, scope: str, key: str) -> dict[str, Any]:
    """A macro average: its mean over draws, each draw's, and that with all evaluations; None where no pool counts in it."""
    found = [result.routing[scope] for result in drawn if scope in result.routing]
    full = whole.routing.get(scope)
    return {key: float(np.mean(found)) if found else None, f"{key}_draws": found or None, f"full_{key}": full}


def _setting(case: Case, way: Way, size: int) -> float:
    """The setting with which `size` evaluations of known models predict their `val` scores best."""
    if len(way.settings) == 1:
        return way.settings[0]
    context = case.context
    models = np.sort(np.random.default_rng(0).permutation(case.known)[:TUNED_ON])
    rows = [sample(context.answered(m), size, 0, m) for m in models.tolist()]
    val = context.data.where("val")
    scores = context.data.scores[np.ix_(models, val)]
    right = {
        setting: np.nanmean(_mean(1 - np.abs((way.newcomers(models, rows, val, setting) >= 0.5) - scores)))
        for setting in way.settings
    }
    return max(way.settings, key=lambda setting: right[setting])


def _averaged(cases: Sequence[Mapping[str, Any]], key: str) -> dict[str, dict[int, float]]:
    """way -> evaluations -> mean over cases; without sizes that no case has."""
    found: dict[str, dict[int, float]] = {}
    for way in cases[0]["ways"]:
        for i, first in enumerate(cases[0]["ways"][way]):
            values = [case["ways"][way][i][key] for case in cases]
            values = [value for value in values if value is not None]
            if values:
                found.setdefault(way, {})[first["evaluations"]] = float(np.mean(values))
    return found


def _between(cases: Sequence[Mapping[str, Any]], key: str) -> dict[str, dict[int, float]]:
    """way -> evaluations -> standard deviation between draws of the mean over cases; without sizes of one draw."""
    found: dict[str, dict[int, float]] = {}
    for way, entries in cases[0]["ways"].items():
        for i, first in enumerate(entries):
            drawn = [case["ways"][way][i][f"{key}_draws"] for case in cases]
            drawn = [values for values in drawn if values is not None]
            if drawn and len(drawn[0]) > 1:
                found.setdefault(way, {})[first["evaluations"]] = float(np.std(np.mean(drawn, axis=0), ddof=1))
    return found


def _tables(cases: Sequence[Mapping[str, Any]]) -> str:
    sizes = [entry["evaluations"] for entry in cases[0]["ways"][OURS]]
    text = []
    for key, label in (("prediction", "Prediction"), ("routing", "Routing"), ("routing_new", "Routing, new pools")):
        now, full = _averaged(cases, key), _averaged(cases, f"full_{key}")
        if not now:
            continue
        between = _between(cases, key)
        lines = [
            [way, *(percent_between(by_size.get(n), between.get(way, {}).get(n)) for n in sizes)]
            for way, by_size in now.items()
        ]
        ours = {n: now[OURS][n] - full[OURS][n] for n in sizes if n in now[OURS] and n in full[OURS]}
        lines.append(["ours less ours with all evaluations", *(points(ours.get(n), 2) for n in sizes)])
        if key == "prediction":
            losses = [[x for case in cases for x in case["ways"][OURS][i]["losses"]] for i in range(len(sizes))]
            errors = [np.std(part, ddof=1) / np.sqrt(len(part)) if len(part) > 1 else None for part in losses]
            lines.append(["its standard error over newcomers", *(percent(error, 2) for error in errors)])
            lines.append(["newcomers with more evaluations", *(str(len(part)) for part in losses)])
        text += [f"{label}, %, by evaluations:", grid(["way", *map(str, sizes)], lines)]
    return "\n\n".join(text)
