"""Claim 2, for all models at once: a router trained on everything, when every model is embedded from few evaluations alone.

Beside it stands the best single model by the same few evaluations, which is what one would use without a router.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.main_table import PREDICTION, ROUTING, with_macro
from research.bench.method import thinned
from research.bench.outcomes import outcome
from research.bench.rows import OURS
from research.bench.tables.cells import grid, percent, picture
from research.bench.tables.repeats import BETWEEN, EXPLAINED, draws_for, mean, number_between, percent_between, spread
from router.data.baselines import best_single
from router.data.pools import MACRO, MACROS
from router.train.evaluate import embed_all, predict_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 1
SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
SINGLE = "best single"
BRIER, CROSS_ENTROPY = "brier", "cross_entropy"
LEAST = 1e-6  # probability that a prediction of 0 or 1 counts as, in the cross-entropy
Draw = Mapping[str, Mapping[str, float]]  # measure -> pool or macro average -> value


def measure(context: "Context", sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Every measure at every number of evaluations, and with all: `evaluations`, `mean`, and `spread` between draws."""
    found = []
    for size in (*sizes, None):
        drawn = [_draw(context, size, draw) for draw in range(draws_for(size))]
        context.say(f"few evaluations: {size or 'all'}")
        found.append(
            {
                "evaluations": size,
                "draws": len(drawn),
                "mean": {name: mean([of_draw[name] for of_draw in drawn]) for name in drawn[0]},
                "spread": {name: spread([of_draw[name] for of_draw in drawn]) for name in drawn[0]},
            }
        )
    return {"sizes": found}


def losses(p: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[float, float]:
    """Brier score and cross-entropy of predictions of scores, (n,) each; a fractional score counts as what it is."""
    wide, score = p.astype(np.float64), y.astype(np.float64)
    inside = np.clip(wide, LEAST, 1 - LEAST)
    entropy = -(score * np.log(inside) + (1 - score) * np.log(1 - inside))
    return float(((wide - score) ** 2).mean()), float(entropy.mean())


def section(result: dict[str, Any]) -> str:
    sizes = result["sizes"]
    header = ["measure", *(str(entry["evaluations"] or "all") for entry in sizes)]
    lines = []
    for scope in MACROS:
        if scope not in sizes[0]["mean"][ROUTING]:
            continue
        for name, label in ((ROUTING, f"{OURS}, routing, %"), (SINGLE, f"{SINGLE} by the same, routing, %"),
                            (PREDICTION, f"{OURS}, prediction, %")):  # fmt: skip
            cells = [percent_between(e["mean"][name].get(scope), e["spread"][name].get(scope)) for e in sizes]
            lines.append([f"{label}, {scope}", *cells])
        for name, label in ((BRIER, "Brier score"), (CROSS_ENTROPY, "cross-entropy")):
            cells = [number_between(e["mean"][name].get(scope), e["spread"][name].get(scope), 4) for e in sizes]
            lines.append([f"{OURS}, {label}, {scope}", *cells])
    return "\n\n".join(
        [
            "## 2a. Every model from few evaluations",
            "The router is trained on all train evaluations; then each known model is embedded from a number of them, drawn at "
            f"random. Shown is {EXPLAINED}. A model with fewer evaluations gives all it has.",
            grid(header, lines),
            picture("few_evaluations", "Routing accuracy when every model is embedded from few evaluations"),
        ]
    )


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    panels = []
    for name, label in ((ROUTING, "routing accuracy"), (PREDICTION, "correctness-prediction accuracy")):
        sizes = [entry for entry in result["sizes"] if entry["evaluations"] and MACRO in entry["mean"][name]]
        shown = {OURS: name} | ({SINGLE: SINGLE} if name == ROUTING else {})
        drawn = [
            Curve(
                title,
                [float(e["evaluations"]) for e in sizes],
                [100 * e["mean"][key][MACRO] for e in sizes],
                spread=[100 * e["spread"][key].get(MACRO, np.nan) for e in sizes],
            )
            for title, key in shown.items()
        ]
        if sizes:
            panels.append(
                Panel(label, drawn, ("ours, all evaluations", 100 * result["sizes"][-1]["mean"][name][MACRO]))
            )
    words = Words(_finding(result["sizes"]), "evaluations per model", "accuracy, mean over pools, %", BETWEEN)
    return curves(panels, words, columns=2) if panels else None


def _finding(sizes: Sequence[Mapping[str, Any]]) -> str:
    """The title: how far ours is from the best single model with the fewest evaluations."""
    few = sizes[0]
    if MACRO not in few["mean"][ROUTING]:
        return "Accuracy where every model is embedded from few evaluations"
    gap = few["mean"][ROUTING][MACRO] - few["mean"][SINGLE][MACRO]
    than = f"{percent(abs(gap))} points {'better' if gap > 0 else 'worse'} than the best single model"
    return f"From {few['evaluations']} evaluations per model {OURS} routes {than}"


def _draw(context: "Context", size: int | None, draw: int) -> Draw:
    """Every measure by pool and macro average, with one draw of evaluations."""
    truth, seen = context.evidence.truth, context.evidence.seen
    data = seen if size is None else thinned(seen, size, draw)
    locus = context.fitted.locus
    space = embed_all(locus, data, context.q, "train", per_model=None, seed=0, checkpoint="")
    p = predict_all(locus, truth, context.q, space, "test")
    found: dict[str, dict[str, float]] = {name: {} for name in (ROUTING, SINGLE, PREDICTION, BRIER, CROSS_ENTROPY)}
    for pool in context.pools("test"):
        ours = outcome(truth, pool, [p])
        single = outcome(truth, pool, [best_single(data, pool)])
        at = np.ix_(pool.models, pool.queries)
        known = ~np.isnan(truth.scores[at]) & ~np.isnan(p[at])
        brier, entropy = losses(p[at][known], truth.scores[at][known])
        values = (ours.routing, single.routing, ours.prediction or 0.0, brier, entropy)
        for name, value in zip(found, values, strict=True):
            found[name][pool.name] = value
    return {name: with_macro(of_pools) for name, of_pools in found.items()}
