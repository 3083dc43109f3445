"""Fits the attention encoder, the prior mean and the kernel of the correction, end to end, on episodes."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from router.model.network import DISTANCE_SCALE
from router.train.episodes import TOKENS, Episode, Episodes
from router.train.network import Kernels, LocusNetwork, Output, clipped_mean

STEPS = 2000  # at most
FEWEST_STEPS = 100
# How often an evaluation is read in a context, on average. Few evaluations, read more often, would be learned by heart.
READINGS = 100
PARTS = 20  # how often progress is told
WARM_UP = 60  # steps
RATE, SCALAR_RATE = 1e-3, 0.02
LAST_RATE = 0.05  # of the largest, at the end of the schedule
DECAY = 0.02
CLIP = 1.0  # norm of the gradient
INPUT_NOISE = 0.4  # standard deviation, on the text and surface columns of query inputs
CENTRED_WEIGHT = 2.0  # of the squared error of differences between models, beside the cross-entropy
PRIOR_WEIGHT = 0.5  # of the same losses on the prior mean alone: z must be able to predict by itself
DISTANCE_WEIGHT = 12.0  # of the error of distances between embeddings
NAMED = 0.7  # share of models that are seen with the level that their name suggests


@dataclass(frozen=True)
class NetworkData:
    """What episodes index into: N queries.

    Attributes:
        inputs: query inputs x̃, (N, d_x), float32.
        noisy: which columns of the inputs get noise, (d_x,), float32, 0 or 1.
        mean: mean model, before it is clipped, (N,), float32.
        kinds: ψ of the kinds, (N, B + C), float32.
        local: ψ of the kernel, (N, E), float32.
        levels: log odds by which each model's name suggests that it differs from the mean model, (M,), float32.
    """

    inputs: NDArray[np.float32]
    noisy: NDArray[np.float32]
    mean: NDArray[np.float32]
    kinds: NDArray[np.float32]
    local: NDArray[np.float32]
    levels: NDArray[np.float32]


@dataclass(frozen=True)
class _Tensors:
    """`NetworkData` as tensors."""

    inputs: Tensor
    noisy: Tensor
    mean: Tensor
    kinds: Tensor
    local: Tensor
    levels: Tensor


def steps_for(evaluations: int) -> int:
    """The number of steps for so many train evaluations: as many as read each of them `READINGS` times, within limits."""
    return int(np.clip(READINGS * evaluations // TOKENS, FEWEST_STEPS, STEPS))


def fit_network(
    data: NetworkData, episodes: Episodes, seed: int, steps: int, progress: Callable[[int, str], None]
) -> dict[str, NDArray[np.float32]]:
    """Trains a network. The same data, seed and number of threads give the same weights on one kind of CPU.

    Args:
        data: the queries.
        episodes: over the same queries.
        seed: of the initial weights, dropout and noise.
        steps: of the optimiser; see `steps_for`.
        progress: called with the number of finished parts, of `PARTS`, and a note after each part.

    Returns:
        parameter name -> array, for `router.model.network.Network`.
    """
    torch.manual_seed(seed)
    tensors = _Tensors(*(torch.from_numpy(np.ascontiguousarray(array)) for array in vars(data).values()))
    network = LocusNetwork(data.inputs.shape[1]).train()
    scalars = network.scalars()
    others = [p for p in network.parameters() if all(p is not scalar for scalar in scalars)]
    optimizer = torch.optim.AdamW(
        [
            {"params": others, "lr": RATE, "weight_decay": DECAY},
            {"params": scalars, "lr": SCALAR_RATE, "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, steps))
    smooth = 0.0
    for step in range(steps):
        episode = episodes.draw()
        if episode is not None:
            value = _loss(network, tensors, episode)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            smooth = 0.98 * smooth + 0.02 * float(value.detach()) if step else float(value.detach())
        schedule.step()
        if (step + 1) * PARTS // steps > step * PARTS // steps:
            progress((step + 1) * PARTS // steps, f"loss {smooth:.3f}")
    return {name: array.detach().numpy().copy() for name, array in network.state_dict().items()}


def learning_rate(step: int, steps: int) -> float:
    """The share of the largest learning rate at a step: linear warm-up, then a cosine down to `LAST_RATE`."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
    return min(1.0, (step + 1) / WARM_UP) * (LAST_RATE + (1 - LAST_RATE) * cosine)


def _loss(network: LocusNetwork, data: _Tensors, episode: Episode) -> Tensor:
    context, targets = torch.from_numpy(episode.context), torch.from_numpy(episode.targets)
    models = torch.from_numpy(episode.models)
    named = (torch.rand(len(models)) < NAMED) & (models >= 0)
    level = torch.where(named, data.levels[models.clamp(min=0)], torch.zeros(()))[:, None]

    def mean(rows: Tensor) -> Tensor:
        return torch.sigmoid(torch.logit(clipped_mean(data.mean[rows])) + level)

    def noisy(x: Tensor) -> Tensor:
        return x + INPUT_NOISE * data.noisy * torch.randn_like(x)

    asked = noisy(data.inputs[targets]).expand(len(context), -1, -1)
    kinds, local = data.kinds[context], data.local[context]  # (B, n, k) each
    out: Output = network(
        noisy(data.inputs[context]),
        torch.from_numpy(episode.y),
        mean(context),
        Kernels(kinds @ kinds.transpose(1, 2), local @ local.transpose(1, 2)),
        asked,
        mean(targets.expand(len(context), -1)),
        Kernels(kinds @ data.kinds[targets].T, local @ data.local[targets].T),
    )
    y = torch.from_numpy(episode.target_y)
    judged = ~torch.isnan(y)
    return (
        _error(out.p, y, judged)
        + PRIOR_WEIGHT * _error(out.prior, y, judged)
        + DISTANCE_WEIGHT * _distance_error(out.z, out.p.detach())
    )


def _error(p: Tensor, y: Tensor, judged: Tensor) -> Tensor:
    """Cross-entropy, plus the squared error after each query's mean error over the models is taken out, (B, T) -> ().

    Args:
        judged: which scores exist, (B, T), bool.
    """
    weight = judged.float()
    y = torch.where(judged, y, torch.zeros(()))
    total = weight.sum()
    entropy = (F.binary_cross_entropy(p.clamp(0.005, 0.995), y, reduction="none") * weight).sum() / total
    error = (p - y) * weight
    centred = (error - error.sum(0) / weight.sum(0).clamp(min=1)) * weight
    return entropy + CENTRED_WEIGHT * centred.square().sum() / total


def _distance_error(z: Tensor, p: Tensor) -> Tensor:
    """Mean squared error of |z₁ - z₂| / 20 as the root mean square difference of two models' P over the targets."""
    if len(z) < 2:
        return torch.zeros(())
    first, second = torch.triu_indices(len(z), len(z), 1)
    apart = ((z[first] - z[second]).square().sum(1) + 1e-6).sqrt() / DISTANCE_SCALE
    differ = (p[first] - p[second]).square().mean(1).clamp(min=1e-6).sqrt()
    return (apart - differ).square().mean()
