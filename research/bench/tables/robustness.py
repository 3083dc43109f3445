"""Claim 3: an embedding depends little on the sample of queries (Fig. 5): movement against distance between models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.cells import grid, number, percent, picture
from research.bench.tables.repeats import EXPLAINED, draws_for, mean, percent_between, spread

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from research.bench.tables.context import Context

VERSION = 2
SAMPLES = (64, 256)  # evaluations in each of two samples
OVERLAPS = (0.0, 0.25, 0.5, 0.75, 1.0)  # share that two samples have in common
SIZES = (16, 32, 64, 128, 256, 512, 1024)


def measure(context: "Context", samples: Sequence[int] = SAMPLES, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Distances of a model's embeddings from two samples, and from a sample and all evaluations."""
    models = [m for m in range(len(context.data.models)) if len(context.answered(m))]
    full = np.stack([context.z[m] for m in models])
    return {
        "overlap": [entry for n in samples for entry in _overlaps(context, models, n)],
        "size": [entry for n in sizes if (entry := _size(context, models, full, n))],
    }


def moved(a: NDArray[np.float32], b: NDArray[np.float32], others: NDArray[np.float32]) -> dict[str, float]:
    """Movement from a to b, and the distances from b to other models, all Euclidean, medians over models.

    Args:
        a, b: two embeddings of each of k models, (k, d); rows belong together.
        others: embeddings of the same models as of `a`, then of further ones, (K, d), K >= k.

    Returns:
        `movement`; `nearest` and `between`, the distance to the nearest other model, and to other models; and `recognised`,
        the share of models for which the nearest of `others` is the model itself.
    """
    d = np.linalg.norm(b[:, None].astype(np.float64) - others[None].astype(np.float64), axis=2)
    own = np.arange(len(a))
    d[own, own] = movement = np.linalg.norm(a.astype(np.float64) - b, axis=1)
    apart = d.copy()
    apart[own, own] = np.inf
    return {
        "movement": float(np.median(movement)),
        "nearest": float(np.median(apart.min(axis=1))),
        "between": float(np.median(apart[np.isfinite(apart)])),
        "recognised": float((movement <= apart.min(axis=1)).mean()),
    }


def overlapping(
    rows: NDArray[np.int64], size: int, overlap: float, seed: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Two samples of `size` queries, of which a share is in both; rows are at least twice as many."""
    drawn = np.random.default_rng(seed).permutation(rows)
    common = round(overlap * size)
    return drawn[:size], np.concatenate([drawn[:common], drawn[size : 2 * size - common]])


def section(result: dict[str, Any]) -> str:
    header = ["movement", "to the nearest other model", "between models", "movement / between", "recognised, %"]
    text = [
        "## 3. Robustness to the choice of queries",
        "Two samples of a model's train evaluations, which share a part, and how far its embedding moves between them: medians "
        "over models of Euclidean distances, beside those between different models (one from each sample). Recognised: the model "
        f"nearest to the second sample's embedding is the same model in the first. Shown is {EXPLAINED}.",
        grid(
            ["evaluations, shared", "models", *header],
            [
                [f"{e['evaluations']}, {100 * e['overlap']:.0f}%", str(e["models"]), *_cells(e)]
                for e in result["overlap"]
            ],
        ),
        "From a number of evaluations to all of a model's:",
        grid(
            ["evaluations", "models", *header],
            [[str(e["evaluations"]), str(e["models"]), *_cells(e)] for e in result["size"]],
        ),
        picture("robustness", "Movement of embeddings against the distance between models"),
    ]
    return "\n\n".join(text)


def figure(result: dict[str, Any]) -> "Figure | None":
    from research.bench.plots import Curve, Panel, Words, curves

    def lines(entries: Sequence[dict[str, Any]], key: str, scale: float) -> list[Curve]:
        x = [scale * entry[key] for entry in entries]
        named = (("movement", "same model"), ("nearest", "nearest other model"), ("between", "other models"))
        return [Curve(name, x, [entry[field] for entry in entries]) for field, name in named]

    panels = []
    for n in dict.fromkeys(entry["evaluations"] for entry in result["overlap"]):
        entries = [entry for entry in result["overlap"] if entry["evaluations"] == n]
        panels.append(Panel(f"two samples of {n} evaluations", lines(entries, "overlap", 100)))
    words = Words(_finding(result["overlap"]), "evaluations that both samples hold, %", "distance between embeddings")
    return curves(panels, words, log_x=False, from_zero=True, columns=2) if panels else None


def _finding(entries: Sequence[dict[str, Any]]) -> str:
    """The title: how far an embedding moves with the largest samples that share nothing."""
    apart = [entry for entry in entries if not entry["overlap"] and entry["between"] and entry["nearest"]]
    if not apart:
        return "How far an embedding moves when other queries are asked"
    last = apart[-1]
    share = percent(last["movement"] / last["between"], 0)
    times = number(last["movement"] / last["nearest"], 1)
    return (
        f"{last['evaluations']} other queries move an embedding by {share}% of the distance between models, "
        f"{times} times that to the nearest one"
    )


def _overlaps(context: "Context", models: Sequence[int], size: int) -> list[dict[str, Any]]:
    """Movement by overlap, over models with enough evaluations for two disjoint samples."""
    able = [m for m in models if len(context.answered(m)) >= 2 * size]
    if len(able) < 2:
        return []
    found: dict[float, list[dict[str, float]]] = {overlap: [] for overlap in OVERLAPS}
    for draw in range(draws_for(size)):
        for overlap in OVERLAPS:
            pairs = [overlapping(context.answered(m), size, overlap, (draw, m)) for m in able]
            if overlap == OVERLAPS[0]:
                a = np.stack([context.embed(m, first).z for m, (first, _) in zip(able, pairs, strict=True)])
            b = np.stack([context.embed(m, second).z for m, (_, second) in zip(able, pairs, strict=True)])
            found[overlap].append(moved(a, b, a))
    context.say(f"robustness: samples of {size}")
    return [
        {"evaluations": size, "overlap": o, "models": len(able), **_over_draws(drawn)} for o, drawn in found.items()
    ]


def _size(context: "Context", models: Sequence[int], full: NDArray[np.float32], size: int) -> dict[str, Any] | None:
    able = [i for i, m in enumerate(models) if len(context.answered(m)) > size]
    if len(able) < 2:
        return None
    everyone = np.concatenate([full[able], np.delete(full, able, axis=0)])
    drawn = []
    for draw in range(draws_for(size)):
        rows = [
            np.random.default_rng((1 + draw, models[i])).permutation(context.answered(models[i]))[:size] for i in able
        ]
        z = np.stack([context.embed(models[i], of_model).z for i, of_model in zip(able, rows, strict=True)])
        drawn.append(moved(full[able], z, everyone))
    context.say(f"robustness: {size} evaluations")
    return {"evaluations": size, "models": len(able), **_over_draws(drawn)}


def _over_draws(drawn: Sequence[dict[str, float]]) -> dict[str, Any]:
    """The means over draws, and the spread of what is told apart."""
    return {**mean(drawn), "recognised_spread": spread(drawn).get("recognised")}


def _cells(entry: dict[str, Any]) -> list[str]:
    share = entry["movement"] / entry["between"] if entry["between"] else None
    return [
        number(entry["movement"], 3),
        number(entry["nearest"], 3),
        number(entry["between"], 3),
        number(share),
        percent_between(entry["recognised"], entry["recognised_spread"]),
    ]
