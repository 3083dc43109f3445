"""Measures `fit_levels`: models that the space does not know, and a bank of which nothing is known, hard ones included.

    python -m research.measure_levels DATA...

All models marked `onboarding` are taken out of the space. Those that answered a benchmark are asked 64 of its train queries: at
random, or at random among the harder half by the known models' residuals, which are used for nothing else. Level error and bias are
those of the mean P(correct) on the benchmark's other splits, in points; order is the share of pairs of models, more than two points
apart in truth, that are in the right order.
"""

import sys
from collections.abc import Sequence
from copy import copy
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.make_known_difficulty import known_residuals
from research.measure_onboarding import LEAST_EVALUATIONS
from router.data.dataset import Dataset, load_datasets
from router.model.embedding import Embedding, Embeddings
from router.model.predictor import Predictor
from router.model.serving import Router
from router.model.space import ModelSpace
from router.probes.levels import fit_levels

BENCHMARKS = ("mmlu_pro", "crux", "math_l5", "gsm8k")
PROBES, DRAWS, KNOWN, APART = 64, 5, 3, 0.02
METHODS = ("each model alone", "levels", f"levels, {KNOWN} known models beside")
Array = NDArray[np.float32]


def main(folders: Sequence[Path]) -> None:
    loaded = Router.load()
    data = load_datasets(folders).without(loaded.card["data"]["excluded_benchmarks"])
    q = loaded.encoder.encode(data.prompts)
    residuals = known_residuals(loaded, data, q, "train")
    router = _without(loaded, {data.models[m] for m in np.flatnonzero(data.onboarding)})
    print(
        "| benchmark | bank | models | | level error | bias | Brier | order |\n|---|---|---:|---|---:|---:|---:|---:|"
    )
    for benchmark in BENCHMARKS:
        of = data.benchmarks == benchmark
        train, held = np.flatnonzero(of & (data.splits == "train")), np.flatnonzero(of & (data.splits != "train"))
        share = (~np.isnan(data.scores[:, train])).mean(axis=1)
        enough = (~np.isnan(data.scores[:, data.splits == "train"])).sum(axis=1) >= LEAST_EVALUATIONS
        new = np.flatnonzero(data.onboarding & enough & (share > 0.5)).tolist()
        old = np.random.default_rng(1).permutation(np.flatnonzero(~data.onboarding & (share > 0.8)))[:KNOWN].tolist()
        easiness = np.nanmean(residuals[:, train], axis=0)
        for bank, queries in (("random", train), ("hard", train[easiness < np.nanmedian(easiness)])):
            found = [_draw(router, data, q, queries, held, new, old, seed) for seed in range(DRAWS)]
            for method, (level, bias, brier, order) in zip(METHODS, np.mean(found, axis=0).tolist(), strict=True):
                cells = f"{level:.1f} | {bias:+.1f} | {brier:.4f} | {order:.2f}"
                print(f"| {benchmark} | {bank} | {len(new)} | {method} | {cells} |", flush=True)


def _without(router: Router, names: set[str]) -> Router:
    """The router with a space that lacks some models."""
    keep = [i for i, name in enumerate(router.space.models) if name not in names]
    smaller = copy(router)
    space = router.space
    smaller.space = ModelSpace([space.models[i] for i in keep], space.embeddings.take(keep), space.checkpoint)
    return smaller


def _draw(
    router: Router,
    data: Dataset,
    q: Array,
    queries: NDArray[np.int64],
    held: NDArray[np.int64],
    new: list[int],
    old: list[int],
    seed: int,
) -> list[list[float]]:
    """The measures of each method."""
    bank = np.random.default_rng(seed).permutation(queries)[:PROBES]
    alone = []
    for m in new:
        rows = bank[~np.isnan(data.scores[m, bank])]
        alone.append(router.embed(q[rows], data.scores[m, rows], data.models[m]))
    found = [alone]
    for models in (new, [*new, *old]):
        names = [data.models[m] for m in models]
        found.append(fit_levels(router, q[bank], data.scores[models][:, bank], names)[0][: len(new)])
    return [_measures(router, embeddings, q[held], data.scores[new][:, held]) for embeddings in found]


def _measures(router: Router, embeddings: list[Embedding], q: Array, y: Array) -> list[float]:
    """Level error and bias in points, Brier score, order of skill, of models with scores (M, n); NaN where there is none."""
    p = Predictor(router.locus, Embeddings.of(embeddings)).predict(q, graded=True).p_correct.T
    p = np.where(np.isnan(y), np.nan, p)
    said, true = np.nanmean(p, axis=1), np.nanmean(y, axis=1)
    brier = np.nanmean((p - y) ** 2, axis=1).mean()
    pairs = [(i, j) for i in range(len(y)) for j in range(i) if abs(true[i] - true[j]) > APART]
    right = np.mean([(said[i] > said[j]) == (true[i] > true[j]) for i, j in pairs])
    return [100 * float(np.abs(said - true).mean()), 100 * float((said - true).mean()), float(brier), float(right)]


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
