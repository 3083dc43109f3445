"""Measures the general term: order of everyday prompts, its difficulty, its familiarity, what policies choose, and benchmarks.

    python -m research.measure_everyday DATA...

Reads the shipped checkpoint, the everyday prompts of the tests, the judged requests and splits `train` and `val` of the data.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_datasets
from router.model.checkpoint import load_checkpoint
from router.model.policy import Policy, choose, cost_weight
from router.model.predictor import Predictor
from router.model.serving import Router
from router.train.general import Regression, prompt_design, spaced
from router.train.requests import Judged, judged_requests
from tests.gateway.routing.test_everyday_prompts import MODELS, NAMES, prices_usd
from tests.router.everyday.prompts import everyday_pairs

FOLDS = 10
BINS = 10
POLICIES = (
    Policy("cost_weight: 10", "cost_weight", 10),
    Policy("quality: 8", "quality", 8),
    Policy("quality: 9", "quality", 9),
    Policy("max_loss: 0.05", "max_loss", 0.05),
)
Floats = NDArray[np.float64]


def main(folders: Sequence[Path]) -> None:
    router = Router.load()
    data = load_datasets(folders).without(load_checkpoint().card["data"]["excluded_benchmarks"])
    orders(router)
    difficulty(router)
    choices(router)
    val = spaced(np.where(data.splits == "val", np.unique(data.benchmarks, return_inverse=True)[1], -1))
    q = router.encoder.encode([data.prompts[i] for i in val.tolist()])
    familiarity(router, data, val, q)
    grades(router, data, val, q)


def orders(router: Router) -> None:
    pairs = everyday_pairs()
    easy, hard = (router.predict([getattr(pair, side) for pair in pairs]) for side in ("easy", "hard"))
    english = np.array([pair.language == "en" for pair in pairs])
    for name, rows in (("English", english), ("other languages", ~english)):
        one, other = easy.p_correct.mean(axis=1)[rows], hard.p_correct.mean(axis=1)[rows]
        print(
            f"{name}: {100 * (one >= other).mean():.0f}% of {rows.sum()} pairs in order; mean P easy {one.mean():.2f}, "
            f"hard {other.mean():.2f}; familiarity {easy.familiarity[rows].mean():.2f}, {hard.familiarity[rows].mean():.2f}"
        )


def difficulty(router: Router) -> None:
    """Cross-validation of the difficulty over the judged requests alone, which the checkpoint has all read."""
    judged = Judged.encoded(judged_requests(), router.encoder)
    design = prompt_design(judged.q, router.locus.features)
    fold = np.random.default_rng(0).permutation(len(design)) % FOLDS
    found = np.zeros(len(design))
    empty = np.zeros((0, design.shape[1])), np.zeros(0), np.zeros(0, np.int64)
    for k in range(FOLDS):
        rest = fold != k
        found[~rest] = design[~rest] @ Regression.of(*empty, design[rest], judged.difficulty[rest]).solution()
    error = np.sqrt(np.mean((found - judged.difficulty) ** 2))
    print(
        f"difficulty of {len(design)} judged requests, {FOLDS} folds: correlation "
        f"{np.corrcoef(found, judged.difficulty)[0, 1]:.3f}, rms error {error:.2f} logits"
    )


def choices(router: Router) -> None:
    """What policies choose among current models; the tests use the same."""
    output = np.array([usd for _, usd in MODELS.values()])
    for side in ("easy", "hard"):
        prompts = [getattr(pair, side) for pair in everyday_pairs()]
        predicted = router.predict(prompts, NAMES)
        for policy in POLICIES:
            chosen = []
            for prompt, p, error in zip(prompts, predicted.p_correct, predicted.standard_error, strict=True):
                usd = prices_usd(prompt)
                choice = choose(p, error, usd, np.ones(len(usd), np.bool_), policy, cost_weight(policy, usd))
                assert choice is not None
                chosen.append(choice.model)
            lost = predicted.p_correct.max(axis=1) - predicted.p_correct[np.arange(len(chosen)), chosen]
            most = ", ".join(f"{NAMES[m]} {n}" for m, n in Counter(chosen).most_common(3))
            print(
                f"{side}, {policy.name}: P {lost.mean():.3f} below the best; USD/Mtok {output[chosen].mean():.2f}; {most}"
            )


def familiarity(router: Router, data: Dataset, val: NDArray[np.int64], q: NDArray[np.float32]) -> None:
    general = router.locus.general
    as_graded, served = general(q, graded=True).familiarity, general(q).familiarity
    low = {
        name: round(float(served[data.benchmarks[val] == name].mean()), 2)
        for name in np.unique(data.benchmarks[val]).tolist()
    }
    print(f"familiarity on val: graded {as_graded.mean():.3f}, served {served.mean():.3f}; {low}")


def grades(router: Router, data: Dataset, val: NDArray[np.int64], q: NDArray[np.float32]) -> None:
    """Brier score and calibration of graded predictions on val, with the general term and with every query familiar."""
    known = np.flatnonzero(np.isin(data.models, router.space.models))
    scores = data.scores[known][:, val].T
    rows = router.space.rows([data.models[m] for m in known.tolist()])
    predictor = Predictor(router.locus, router.space.embeddings.take(rows))
    asked = router.locus.asked(q, graded=True)
    sure = replace(asked, general=replace(asked.general, familiarity=np.ones(len(q), np.float32)))
    there = ~np.isnan(scores)
    kind = np.unique(data.benchmarks[val], return_inverse=True)[1][np.nonzero(there)[0]]
    for name, terms in (("with the general term", asked), ("without", sure)):
        p = predictor.predict_asked(terms).p_correct.astype(np.float64)[there]
        error = (p - scores[there]) ** 2
        of_benchmarks = np.bincount(kind, error) / np.bincount(kind)
        print(
            f"graded predictions on val {name}: Brier {error.mean():.5f}, mean of benchmarks {of_benchmarks.mean():.5f}, "
            f"ECE {ece(p, scores[there]):.4f}"
        )


def ece(p: Floats, score: NDArray[np.floating]) -> float:
    """Mean difference of P(correct) and scores in bins of equal width, weighed by their sizes."""
    at = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(at, p - score, BINS)).sum() / len(p))


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
