"""Claim 9: predictions are calibrated: reliability, expected calibration error and Brier score, also for new models."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.rows import OURS
from research.bench.tables.cells import grid, number, picture
from research.bench.tables.repeats import EXPLAINED, draws_for, mean, number_between, spread
from router.data.pools import MACRO, MACROS, Pool, group, macros
from router.model.embedding import Embeddings
from router.model.space import ModelSpace
from router.train.evaluate import predict_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 2
FEWEST = 30  # evaluations of a bin that is drawn
BINS = 15  # of equal width, as is usual for the ECE
ALL = "all evaluations"
ONBOARDED = (32, 128, None)  # evaluations that models marked onboarding are embedded from; None: all


def measure(context: "Context") -> dict[str, Any]:
    """ECE and Brier of each row and pool, and the reliability of ours, for known and for onboarded models."""
    pools = context.pools("test")
    rows = {}
    for name, row in context.rows.items():
        of_seeds = [_by_pool(context, pools, run.p) for run in row.prediction_runs]
        rows[name] = {
            pool: {key: float(np.mean([seed[pool][key] for seed in of_seeds])) for key in ("ece", "brier")}
            for pool in of_seeds[0]
        }
    return {
        "rows": rows,
        "reliability": _by_pool(context, pools, context.p_test),
        "onboarded": {
            str(n or "all"): _averaged(context, pools_of, drawn) for n, pools_of, drawn in _onboarded(context)
        },
    }


def calibration(p: NDArray[np.float32], y: NDArray[np.float32], bins: int = BINS) -> dict[str, Any]:
    """Calibration error of predicted probabilities.

    Args:
        p: predictions, (n,), in [0, 1].
        y: scores, (n,), in [0, 1].
        bins: their number; they are of equal width.

    Returns:
        `ece`: Σ over bins of (share of predictions) |mean p - mean y|; `brier`: mean (p - y)²; `evaluations`; and per bin that
        is not empty `predicted`, `observed` and `share`.
    """
    wide, score = p.astype(np.float64), y.astype(np.float64)
    bin_of = np.minimum((wide * bins).astype(np.int64), bins - 1)
    count = np.bincount(bin_of, minlength=bins)
    full = count > 0
    predicted, observed = (np.bincount(bin_of, part, bins)[full] / count[full] for part in (wide, score))
    share = count[full] / len(wide)
    return {
        "ece": float((share * np.abs(predicted - observed)).sum()),
        "brier": float(((wide - score) ** 2).mean()),
        "evaluations": len(wide),
        "predicted": predicted.tolist(),
        "observed": observed.tolist(),
        "share": share.tolist(),
    }


def section(result: dict[str, Any]) -> str:
    pools = [name for name in result["reliability"] if name not in (ALL, *MACROS)]
    columns = [*pools, *(label for label in MACROS if label in result["reliability"]), ALL]
    text = [
        "## 9. Calibration",
        f"Over all evaluations of a pool's models on its test queries: expected calibration error with {BINS} bins of equal width, "
        "and Brier score. A fractional score counts as what it is. Macro: the mean over pools; all evaluations: one set, each "
        "(model, query) once. Rows are at the setting that `val` chose for correctness prediction. The picture leaves out bins of "
        f"fewer than {FEWEST} evaluations.",
    ]
    for key, label in (("ece", "ECE"), ("brier", "Brier score")):
        lines = [
            [name, *(number(found.get(c, {}).get(key), 3) for c in columns)] for name, found in result["rows"].items()
        ]
        text += [f"{label}:", grid(["row", *columns], lines)]
    if result["onboarded"]:
        lines = []
        for key, label in (("ece", "ECE"), ("brier", "Brier")):
            for n, found in result["onboarded"].items():
                cells = (found.get(c, {}) for c in columns)
                lines.append(
                    [
                        f"{label}, {n} evaluations",
                        *(number_between(c.get(key), c.get(f"{key}_spread"), 3) for c in cells),
                    ]
                )
        text += [
            f"{OURS} for the models marked `onboarding` alone, embedded from a number of their train evaluations; {EXPLAINED}:",
            grid(["measure", *columns], lines),
        ]
    return "\n\n".join([*text, picture("calibration", "Reliability")])


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Words, reliability

    shown = [
        (name, bins)
        for name, bins in result["reliability"].items()
        if name == ALL or (group(name) == MACRO and name not in MACROS)
    ]
    shown += [(f"onboarded, {n}", found[ALL]) for n, found in result["onboarded"].items() if n in ("128", "all")]
    words = Words(_finding(result["reliability"]), "mean P(correct)", "mean score, or share of evaluations")
    return reliability({f"{name}: ECE {bins['ece']:.3f}": _large(bins) for name, bins in shown}, words)


def _finding(of_pools: Mapping[str, Mapping[str, Any]]) -> str:
    """The title: the calibration error over all evaluations, and the largest one of the pools that are shown."""
    errors = {name: bins["ece"] for name, bins in of_pools.items() if group(name) == MACRO and name not in MACROS}
    worst = max(errors, key=lambda name: errors[name], default=None)
    most = f", and by {number(errors[worst], 3)} in {worst}, the worst pool shown" if worst else ""
    return f"P(correct) is off by {number(of_pools[ALL]['ece'], 3)} on average over all evaluations{most}"


def _large(bins: Mapping[str, Any]) -> dict[str, list[float]]:
    """The bins with at least `FEWEST` evaluations."""
    large = [i for i, share in enumerate(bins["share"]) if share * bins["evaluations"] >= FEWEST]
    return {key: [bins[key][i] for i in large] for key in ("predicted", "observed", "share")}


def _by_pool(context: "Context", pools: list[Pool], *drawn: NDArray[np.float32]) -> dict[str, Any]:
    """By pool, macro, and over everything; pools in which nothing is predicted are left out.

    Args:
        drawn: predictions, (M, Q); several sets, with NaN in the same places, count as one.
    """
    scores = context.data.scores
    found, seen = {}, np.zeros(scores.shape, np.bool_)
    for pool in pools:
        at = np.ix_(pool.models, pool.queries)
        known = ~np.isnan(scores[at]) & ~np.isnan(drawn[0][at])
        if known.any():
            y = np.tile(scores[at][known], len(drawn))
            found[pool.name] = calibration(np.concatenate([p[at][known] for p in drawn]), y)
            seen[at] |= known
    if not found:
        return {}
    averaged = {key: macros({pool: part[key] for pool, part in found.items()}) for key in ("ece", "brier")}
    of_macros = {label: {key: averaged[key][label] for key in averaged} for label in averaged["ece"]}
    return {
        **found,
        **of_macros,
        ALL: calibration(np.concatenate([p[seen] for p in drawn]), np.tile(scores[seen], len(drawn))),
    }


def _averaged(context: "Context", pools: list[Pool], drawn: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """As `_by_pool`, with means of ECE and Brier score over draws, and their spread; the bins are those of all draws together."""
    joined, single = _by_pool(context, pools, *drawn), [_by_pool(context, pools, p) for p in drawn]
    found: dict[str, Any] = {}
    for name, part in joined.items():
        errors = [{key: of_draw[name][key] for key in ("ece", "brier")} for of_draw in single]
        between = {f"{key}_spread": value for key, value in spread(errors).items()}
        found[name] = {**part, **mean(errors), **between}
    return found


def _onboarded(context: "Context") -> Iterator[tuple[int | None, list[Pool], list[NDArray[np.float32]]]]:
    """Our predictions for the models marked onboarding alone, by the number of evaluations, one per draw of these."""
    data = context.data
    models = [m for m in np.flatnonzero(data.onboarding).tolist() if len(context.answered(m))]
    if not models:
        return
    pools = [
        Pool(pool.name, pool.queries, np.intersect1d(pool.models, models))
        for pool in context.pools("test", onboarding=True)
    ]
    for n in ONBOARDED:
        drawn = []
        for draw in range(draws_for(n)):
            rows = [np.random.default_rng((2 + draw, m)).permutation(context.answered(m))[:n] for m in models]
            embeddings = [context.embed(m, of_model) for m, of_model in zip(models, rows, strict=True)]
            space = ModelSpace([data.models[m] for m in models], Embeddings.of(embeddings), "")
            drawn.append(predict_all(context.fitted.locus, data, context.q, space, "test"))
        yield n, pools, drawn
