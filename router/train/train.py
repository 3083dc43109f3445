"""Training: evaluations of many models -> query features, a prior over models, the embedding's directions and the guard.

Only the domain classifier is trained by gradient descent; all other parts have closed forms. Afterwards any model, known or new,
is embedded without training.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.model.anchors import Anchors, choose_anchors
from router.model.locus import Locus
from router.model.space import ModelSpace
from router.train.domains import EPOCHS, Domains, find_domains
from router.train.evaluate import embed_all
from router.train.feature_map import fit_feature_map
from router.train.guard import GuardResult, measure_guard, profiles
from router.train.prior import choose_prior, embedding_directions
from router.train.training_set import TrainingSet

Progress = Callable[[int, str], None]  # called with the number of steps done, of `STEPS`, and a note about the last one
STEPS = EPOCHS + 5


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
        locus: the weights.
        space: embeddings of every model from all its train evaluations, models marked `onboarding` included. Its checkpoint id
            is still empty.
        domains: the classes of the domain classifier.
        anchors: the anchor queries, for the card.
        variances: the chosen prior variances: of the benchmark and domain terms, and of the kernel terms.
        guard: one result per benchmark.
    """

    locus: Locus
    space: ModelSpace
    domains: Domains
    anchors: Anchors
    variances: tuple[float, float]
    guard: tuple[GuardResult, ...]


def train(
    data: Dataset, q: NDArray[np.float32], text_dim: int, seed: int, out: Path, progress: Progress = lambda *_: None
) -> Trained:
    """Trains on split `train` and selects on `val`. Never reads `test`, nor the scores of models marked `onboarding`.

    The trained classifier is kept in `out`, so that a run that was stopped continues after it. The same data, seed and number
    of threads give the same weights, bit for bit, on one kind of CPU.

    Args:
        data: evaluations of many models.
        q: query encodings, (Q, d_q), float32, in the order of the dataset.
        text_dim: number of text columns in `q`; the surface statistics follow them.
        seed: of the anchors and the classifier.
        out: folder for the state of the run.
        progress: called after each step.

    Raises:
        DataError: there is nothing to train on or to select by.
        ArtifactError: `out` holds the state of another run.
    """
    anchors = choose_anchors(data, q, seed=seed)
    domains = find_domains(data)
    features = fit_feature_map(data, q, text_dim, anchors, domains, seed, out, progress)
    known = TrainingSet.of(data, features, q)
    progress(EPOCHS + 1, "features")
    prior, variances = choose_prior(known)
    progress(EPOCHS + 2, "prior")
    basis, origin = embedding_directions(known, prior, anchors)
    no_trust = np.zeros((2, features.benchmarks), np.float32)  # (2, B); the guard needs predictions to choose it
    locus = Locus(features, prior, basis, origin, profiles(known), no_trust)
    progress(EPOCHS + 3, "space")
    guard = measure_guard(locus, known, domains)
    trust = np.array([result.trust for result in guard], np.float32).T  # (2, B)
    # Weights go through the checkpoint's float32 once, so that the space is the one that the saved checkpoint would give.
    locus = Locus.restore(replace(locus, trust=trust).weights(), {"text_dim": text_dim})
    progress(EPOCHS + 4, "guard")
    space = embed_all(locus, data, q, "train", per_model=None, seed=seed, checkpoint="")
    progress(STEPS, "embeddings")
    return Trained(locus, space, domains, anchors, variances, guard)
