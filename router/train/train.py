"""Training: evaluations of many models -> query features, the mean model, and the attention encoder.

Gradient descent fits the domain classifier and the network (attention encoder, prior mean, kernel); everything else has
closed forms. Afterwards any model, known or new, is embedded without training.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from router.data.dataset import Dataset
from router.data.pools import pools
from router.model.anchors import Anchors, choose_anchors
from router.model.locus import Locus
from router.model.network import Network
from router.model.query_input import QueryInput
from router.model.space import ModelSpace
from router.train.domains import EPOCHS, Domains, find_domains
from router.train.episodes import Episodes, episode_pools
from router.train.evaluate import embed_all, routing_accuracy
from router.train.feature_map import fit_feature_map
from router.train.fit_network import PARTS, NetworkData, fit_network, steps_for
from router.train.general import fit_general
from router.train.name_prior import fit_name_prior
from router.train.prior import choose_variances, prior_variance
from router.train.requests import Judged
from router.train.training_set import TrainingSet

Progress = Callable[[int, str], None]  # called with the number of steps done, of `STEPS`, and a note about the last one
STEPS = EPOCHS + PARTS + 3
SHARES = (0.0, 0.5, 1.0)  # of the plain read-out in predictions for a model with very many evaluations, tried on `val`
MEAN_SHARE = 0.5
SHARE_TIE = 0.005  # difference of accuracy that is within the chance of the val queries
DRAWN_VARIANCE = (0.006, 0.006)  # of the deviations of invented models


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes:
        locus: the weights.
        space: embeddings of every model from all its train evaluations, models marked `onboarding` included. Its
            checkpoint id is still empty.
        domains: the classes of the domain classifier.
        anchors: the anchor queries, for the card.
        variances: the chosen prior variances: of the benchmark and domain terms, and of the kernel terms.
        shares: share of the plain read-out -> macro routing accuracy on `val`.
    """

    locus: Locus
    space: ModelSpace
    domains: Domains
    anchors: Anchors
    variances: tuple[float, float]
    shares: dict[float, float]


def train(
    data: Dataset,
    q: NDArray[np.float32],
    text_dim: int,
    judged: Judged,
    seed: int,
    out: Path,
    progress: Progress = lambda *_: None,
) -> Trained:
    """Trains on split `train` and selects on `val`. Never reads `test`, nor the scores of models marked `onboarding`.

    The trained classifier is kept in `out`, so that a run that was stopped continues after it. The same data, seed and
    number of threads give the same weights, bit for bit, on one kind of CPU.

    Args:
        data: evaluations of many models.
        q: query encodings, (Q, d_q), float32, in the order of the dataset.
        text_dim: number of text columns in `q`; the surface statistics follow them.
        judged: everyday requests with their authors' judgement of difficulty.
        seed: of the anchors, the classifier, the network and its episodes.
        out: folder for the state of the run.
        progress: called after each step.

    Raises:
        DataError: there is nothing to train on or to select by.
        ArtifactError: `out` holds the state of another run.
    """
    anchors = choose_anchors(data, q, seed=seed)
    domains = find_domains(data)
    features = fit_feature_map(data, q, text_dim, anchors, domains, seed, out, progress)
    names = fit_name_prior(data)
    known = TrainingSet.of(data, features, q, names)
    progress(EPOCHS + 1, "names")
    variances = choose_variances(known)
    readout_variance = prior_variance(features, *variances)
    inputs = QueryInput.fit(q[data.where("train")], text_dim, features.mean, features.scale)
    progress(EPOCHS + 2, "variances")
    network = Network(_fit_network(known, q, inputs, domains, seed, progress))
    general = fit_general(data, q, features, domains.benchmarks, judged)
    # Weights go through the checkpoint's float32 once, so that the space is the one that the saved checkpoint would give.
    locus = Locus.restore(
        Locus(features, known.mean, inputs, network, names.prior, general, readout_variance, SHARES[0]).weights(),
        {"text_dim": text_dim},
    )
    space = embed_all(locus, data, q, "train", per_model=None, seed=seed, checkpoint="")
    tried = {share: replace(locus, readout_share=share) for share in SHARES}
    accuracy = {share: routing_accuracy(one, data, q, space, "val") for share, one in tried.items()}
    progress(STEPS, "embeddings")
    return Trained(tried[choose_share(accuracy)], space, domains, anchors, variances, accuracy)


def choose_share(accuracy: Mapping[float, float]) -> float:
    """The share of the plain read-out that routes best on `val`; of nearly equal ones the mean of both, which errs least.

    Args:
        accuracy: macro routing accuracy of each of `SHARES`, in [0, 1].
    """
    best = max(accuracy, key=lambda share: accuracy[share])
    return best if accuracy[best] - accuracy[MEAN_SHARE] > SHARE_TIE else MEAN_SHARE


def _fit_network(
    known: TrainingSet,
    q: NDArray[np.float32],
    inputs: QueryInput,
    domains: Domains,
    seed: int,
    progress: Progress,
) -> dict[str, NDArray[np.float32]]:
    """The weights of the network, trained on episodes over split train."""
    scores = known.train_scores()
    row_of = np.full(len(known.data.prompts), -1)
    row_of[known.queries] = np.arange(len(known.queries))
    not_trained_on = np.ones(len(known.data.models), np.bool_)
    not_trained_on[known.models] = False
    found = [replace(pool, queries=row_of[pool.queries]) for pool in pools(known.data, "train", not_trained_on)]
    labels = np.maximum(domains.of_query[known.queries], 0)
    variance = prior_variance(known.feature_map, *DRAWN_VARIANCE)
    rng = np.random.default_rng((seed, 1))
    episodes = Episodes(episode_pools(found, scores, labels), scores, known.psi, known.expected, variance, rng)
    kinds = 1 + known.feature_map.kinds
    data = NetworkData(
        inputs(q[known.queries], known.features, known.expected),
        inputs.noisy(known.features),
        known.expected,
        known.psi[:, 1:kinds],
        known.psi[:, kinds:],
        known.levels,
    )
    steps = steps_for(int((~np.isnan(scores)).sum()))
    torch.set_flush_denormal(True)  # denormal numbers make steps slow
    try:
        return fit_network(data, episodes, seed, steps, lambda part, note: progress(EPOCHS + 2 + part, note))
    finally:
        torch.set_flush_denormal(False)  # it would change last bits of what numpy computes afterwards
