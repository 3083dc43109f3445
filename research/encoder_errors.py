"""Whether standard errors are as large as the errors, for `research.measure_encoder`."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from research.bench.method import thinned
from research.encoder_predictions import Comparison
from router.model.predictor import Predictor

SIZES_OF_ERRORS = (8, 32, 128, 512)
FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0)  # of the variance that the checkpoint states
FEWEST = 40  # queries of a domain that a model answered
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DomainErrors:
    """Of k pairs of a model and a domain.

    Attributes:
        error: mean score less mean P(correct), (k,).
        kind: the part of the stated squared standard error that comes from the kind of question, mean over the queries, (k,).
        general: the other part, (k,).
        noise: variance of the mean score if every P(correct) were right, (k,).
    """

    error: Floats
    kind: Floats
    general: Floats
    noise: Floats

    @property
    def rms(self) -> float:
        return float(np.sqrt((self.error**2).mean()))

    @property
    def rms_said(self) -> str:
        parts = (self.kind + self.general, self.kind, self.general)
        return " ".join(f"{np.sqrt(part.mean()):.4f}" for part in parts)


def domain_errors(comparison: Comparison, n: int, draws: int, *, onboarding: bool) -> DomainErrors:
    """Of the models marked `onboarding`, or of the others, from n evaluations each; a model with fewer is left out."""
    data, locus = comparison.data, comparison.locus
    asked = data.where(comparison.split)
    labels = np.char.add(np.char.add(data.benchmarks[asked], "/"), data.categories[asked])
    answered = ~np.isnan(data.scores[:, asked])
    enough = (~np.isnan(data.scores[:, data.where("train")])).sum(axis=1) >= n
    domains = [labels == label for label in np.unique(labels)]
    judged = (data.onboarding == onboarding) & enough
    chosen = [m for m in np.flatnonzero(judged) if any((answered[m] & domain).sum() >= FEWEST for domain in domains)]
    terms = locus.asked(comparison.q[asked], graded=True)
    found = []
    for draw in range(draws):
        sample = thinned(data, n, draw)
        sample.scores[np.setdiff1d(np.arange(len(data.models)), chosen)] = np.nan
        rows, embeddings = comparison.embedder.embed(sample, named=True)
        one = Predictor(locus, embeddings).predict_asked(terms)
        free = Predictor(locus, replace(embeddings, variances=0 * embeddings.variances)).predict_asked(terms)
        p, said, general = (
            x.T.astype(np.float64) for x in (one.p_correct, one.standard_error**2, free.standard_error**2)
        )
        for row, m in enumerate(rows):
            for domain in domains:
                at = answered[m] & domain
                if at.sum() >= FEWEST:
                    error = (data.scores[m, asked[at]] - p[row, at]).mean()
                    noise = (p[row, at] * (1 - p[row, at])).mean() / at.sum()
                    found.append((error, (said - general)[row, at].mean(), general[row, at].mean(), noise))
    return DomainErrors(*np.array(found).T)


def coverage(errors: DomainErrors, factor: float, *, noise: bool) -> tuple[float, float]:
    """Share of errors within 1 and within 2 standard errors, when the kind's part of their squares is multiplied by a factor.

    Args:
        noise: the mean score is expected to vary by sampling, too.
    """
    said = np.sqrt(factor * errors.kind + errors.general + noise * errors.noise)
    within = np.abs(errors.error) / said
    return float((within <= 1).mean()), float((within <= 2).mean())
