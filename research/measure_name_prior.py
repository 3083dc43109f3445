"""Measures what the prior by a model's name knows, and what it gains where a model has few evaluations, for research/notebook.md.

    python -m research.measure_name_prior DATA [DATA ...]

P(correct) is sigmoid(logit of the mean model's P + level): no other difference between models, so that the level is measured alone.
The level is the maximum of its normal prior times the likelihood of n train evaluations, drawn at random. Priors: mean 0 and the
variance over all models, or mean and variance by name, from the other models. Brier scores are averaged over a model's
benchmarks, then over models. alpaca_eval is left out, as in the shipped checkpoint.
"""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset, load_datasets
from router.model.anchors import choose_anchors
from router.model.checkpoint import load_checkpoint
from router.model.name_parts import parse_name
from router.model.name_prior import Floats, NamePrior
from router.model.query_reader import log_odds
from router.train.domains import find_domains
from router.train.feature_map import fit_feature_map
from router.train.name_prior import fit_name_prior
from router.train.training_set import fit_mean

SIZES = (0, 4, 8, 16, 32, 64)
DRAWS = 5
FEW = 64
EXAMPLES = (
    "gpt-5.4-mini",
    "openai/gpt-5-2025-08-07:high",
    "azure/gpt-6",
    "anthropic/claude-opus-5",
    "anthropic/claude-opus-6",
)
MORE_EXAMPLES = ("qwen3:8b", "meta-llama/Llama-2-7b-hf", "acme/newmodel-7b", "acme/newmodel-400b", "acme/assistant")


def main(folders: Sequence[Path]) -> None:
    data = load_datasets(folders)
    if "alpaca_eval" in data.benchmarks:
        data = data.without(["alpaca_eval"])
    fitted = fit_name_prior(data)
    _print_explained(fitted.prior)
    logit_mean = _mean_model(data, fitted.easiness)
    count = (~np.isnan(data.scores)).sum(axis=1)
    groups = {
        "trained on": np.isin(data.models, fitted.prior.names),
        "held out": data.onboarding & (count > 0),
        f"fewer than {FEW} evaluations": (count > 0) & (count < FEW),
    }
    local = float(
        fitted.deviations.mean()
    )  # the level where the evaluations are is not quite the level over all benchmarks
    mean, variance = fitted.prior.level("")
    unnamed = np.full(len(data.models), mean), np.full(len(data.models), variance + local)
    named = fitted.prior.expected(data.models)[0], fitted.prior.expected(data.models)[1] + local
    for split in ("val", "test"):
        for group, members in groups.items():
            print(f"\n{split}, models {group}: Brier without name, with name (standard deviations over draws), models")
            for n in SIZES:
                models = _with_evaluations(data, np.flatnonzero(members), split, n)
                if len(models):
                    results = [_brier(data, logit_mean, models, prior, split, n) for prior in (unnamed, named)]
                    means, spread = np.mean(results, axis=1), np.std(results, axis=1)
                    print(f"  {n}: {means[0]:.4f} {means[1]:.4f} ({spread[0]:.4f} {spread[1]:.4f}) {len(models)}")


def _with_evaluations(data: Dataset, models: NDArray[np.int64], split: str, n: int) -> NDArray[np.int64]:
    """Those of the models that have n train evaluations and some in `split`."""
    known = ~np.isnan(data.scores[models])
    enough = (known & (data.splits == "train")).sum(axis=1) >= n
    chosen: NDArray[np.int64] = models[enough & (known & (data.splits == split)).any(axis=1)]
    return chosen


def _brier(
    data: Dataset, logit_mean: Floats, models: NDArray[np.int64], prior: tuple[Floats, Floats], split: str, n: int
) -> list[float]:
    """The Brier score with n train evaluations of each model, for each draw; prior means and variances of all models (M,)."""
    draws = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        of_models = []
        for m in models:
            known = ~np.isnan(data.scores[m])
            sample = rng.choice(np.flatnonzero(known & (data.splits == "train")), n, replace=False)
            level = _level(data.scores[m, sample], logit_mean[sample], prior[0][m], prior[1][m])
            targets = np.flatnonzero(known & (data.splits == split))
            error = (_sigmoid(logit_mean[targets] + level) - data.scores[m, targets]) ** 2
            kinds = data.benchmarks[targets]
            of_models.append(np.mean([error[kinds == kind].mean() for kind in np.unique(kinds)]))
        draws.append(float(np.mean(of_models)))
    return draws


def _level(scores: NDArray[np.float32], offset: Floats, mean: float, variance: float) -> float:
    """The most probable level, by Newton steps; scores and the mean model's log-odds (n,)."""
    level = mean
    for _ in range(30):
        p = _sigmoid(offset + level)
        gradient, curvature = (scores - p).sum() - (level - mean) / variance, (p * (1 - p)).sum() + 1 / variance
        level += float(np.clip(gradient / curvature, -1, 1))
    return level


def _sigmoid(x: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-x))
    return p


def _mean_model(data: Dataset, easiness: Floats) -> Floats:
    """Log-odds of all queries for level 0, (Q,)."""
    encoder = load_checkpoint().encoder()
    q = encoder.encode(data.prompts)
    anchors, domains = choose_anchors(data, q, seed=0), find_domains(data)
    with TemporaryDirectory() as folder:
        feature_map = fit_feature_map(data, q, encoder.text_dim, anchors, domains, 0, Path(folder), lambda *_: None)
    psi = feature_map.design(feature_map(q))
    return log_odds((psi @ fit_mean(psi, easiness)).astype(np.float32)).astype(np.float64)


def _print_explained(prior: NamePrior) -> None:
    """Share of the variance of true levels that names explain: measured variances less the measurements' own errors."""
    print(f"{len(prior.names)} models; standard deviations of parts: {np.round(np.sqrt(prior.scales), 2).tolist()}")
    parts = [parse_name(name) for name in prior.names]
    groups: dict[str, Sequence[str]] = {
        "model": prior.names,
        "main family": [" ".join(part.families[:1]) for part in parts],
        "provider": [part.provider for part in parts],
    }
    weight = 1 / (prior.errors + prior.errors.mean())
    centre = np.average(prior.levels, weights=weight)
    variance = np.average((prior.levels - centre) ** 2 - prior.errors, weights=weight)
    for left_out, labels in groups.items():
        group = np.array(labels)
        means, variances = np.zeros((2, len(group)))
        for member in np.unique(group):
            out = np.flatnonzero(group == member)
            rest = np.flatnonzero(group != member)
            others = NamePrior(
                tuple(prior.names[i] for i in rest), prior.levels[rest], prior.errors[rest], prior.scales
            )
            means[out], variances[out] = others.expected([prior.names[i] for i in out])
        squared = (prior.levels - means) ** 2
        explained = 1 - np.average(squared - prior.errors, weights=weight) / variance
        calibration = np.average(squared / (variances + prior.errors))
        print(f"leave one {left_out} out: explained {explained:.2f}, squared error / said variance {calibration:.2f}")
    for name in (*EXAMPLES, *MORE_EXAMPLES):
        mean, variance_left = prior.level(name)
        print(f"  {name}: {mean:+.2f} ± {math.sqrt(variance_left):.2f}")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
