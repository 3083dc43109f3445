"""Gradient descent shared by the rows that are trained: batches of queries, every model's evaluations of them at once."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from router.data.dataset import Dataset


@dataclass(frozen=True)
class Schedule:
    """The settings of training.

    Attributes:
        epochs: largest number; training ends after `patience` epochs without a better loss on `val`.
        batch: largest number of queries per step; small data are divided into at least 32 steps per epoch.
        noise: standard deviation of Gaussian noise on each component of the encodings.
    """

    epochs: int = 40
    batch: int = 512
    lr: float = 1e-3
    weight_decay: float = 1e-5
    noise: float = 0.05
    patience: int = 4


def descend(net: nn.Module, data: Dataset, q: NDArray[np.float32], schedule: Schedule, seed: int) -> None:
    """Trains a net (B, d_q) -> log-odds (B, M) on split `train` by cross-entropy, and leaves it at its best epoch on `val`.

    Without scores in `val` it keeps the last epoch.
    """
    train, val = (_Part.of(data, q, split) for split in ("train", "val"))
    optimizer = torch.optim.Adam(net.parameters(), lr=schedule.lr, weight_decay=schedule.weight_decay)
    generator = torch.Generator().manual_seed(seed)
    batch = max(1, min(schedule.batch, len(train.q) // 32))
    best, best_loss, waited = _copy(net), float("inf"), 0
    for _ in range(schedule.epochs):
        net.train()
        for rows in torch.split(torch.randperm(len(train.q), generator=generator), batch):
            noisy = train.q[rows]
            noisy = noisy + schedule.noise * torch.randn(noisy.shape, generator=generator)
            loss = train.loss(net(noisy), rows) / len(rows)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        net.eval()
        with torch.no_grad():
            of_val = float(val.loss(net(val.q), torch.arange(len(val.q)))) if len(val.q) else -1.0
        waited = 0 if of_val < best_loss or not len(val.q) else waited + 1
        if waited == 0:
            best, best_loss = _copy(net), of_val
        elif waited >= schedule.patience:
            break
    net.load_state_dict(best)


@dataclass(frozen=True)
class _Part:
    """Encodings of a split, (n, d_q), scores, (n, M), and weights, (n, M). Missing scores have score 0 and weight 0."""

    q: Tensor
    y: Tensor
    weight: Tensor

    @classmethod
    def of(cls, data: Dataset, q: NDArray[np.float32], split: str) -> "_Part":
        rows = data.where(split)
        rows = rows[~np.isnan(data.scores[:, rows]).all(axis=0)]
        scores = data.scores[:, rows].T
        weight = (~np.isnan(scores)).astype(np.float32)
        weight *= len(rows) / max(weight.sum(), 1)
        return cls(torch.from_numpy(q[rows]), torch.from_numpy(np.nan_to_num(scores)), torch.from_numpy(weight))

    def loss(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Weighted cross-entropy, summed."""
        return F.binary_cross_entropy_with_logits(logits, self.y[rows], weight=self.weight[rows], reduction="sum")


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}
