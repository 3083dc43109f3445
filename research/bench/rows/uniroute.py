"""UniRoute (arXiv 2502.08773): a model is its vector of errors per cluster of queries, and a query a mixture of clusters.

P(correct) = Φ(x) · (1 − Ψ_m). In the plain variant Φ is the nearest k-means cluster; in the learned one Φ is a softmax of a
linear map of the encoding, trained on the models' train scores with Ψ held fixed.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from research.bench.method import Setting
from research.bench.rows.clusters import Partition
from research.bench.rows.descent import Schedule, descend
from research.bench.rows.embedllm import OfNet
from router.data.dataset import Dataset

PLAIN, LEARNED = "k-means", "learned"


class Mixture(nn.Module):
    """Φ and Ψ. Starts at a soft k-means assignment, softmax(x · c_k / temperature).

    Args:
        accuracies: 1 − Ψ, (M, K), in (0, 1).
        centres: (K, d_q).
    """

    accuracies: Tensor

    def __init__(self, accuracies: Tensor, centres: Tensor, temperature: float = 0.05) -> None:
        super().__init__()
        self.register_buffer("accuracies", accuracies)
        self.map = nn.Linear(centres.shape[1], centres.shape[0])
        with torch.no_grad():
            self.map.weight.copy_(centres / temperature)
            self.map.bias.copy_(-0.5 * (centres**2).sum(dim=1) / temperature)

    def forward(self, q: Tensor) -> Tensor:
        """(B, d_q) -> log-odds, (B, M)."""
        return torch.logit(torch.softmax(self.map(q), dim=1) @ self.accuracies.T, eps=1e-4)


@dataclass(frozen=True)
class Hard:
    """The plain variant: each model's accuracy in the query's cluster, `accuracies` (M, K)."""

    q: NDArray[np.float32]
    partition: Partition
    accuracies: NDArray[np.float32]

    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        return self.accuracies[:, self.partition(self.q[queries])]


class UniRoute:
    """Tuned by the number of clusters and the variant."""

    name = "UniRoute"
    version = 1
    grid: tuple[Setting, ...] = tuple(
        {"clusters": clusters, "map": variant} for clusters in (16, 32, 64, 128) for variant in (PLAIN, LEARNED)
    )
    seeds = 3

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> Hard | OfNet:
        partition = Partition.of(q[data.where("train")], int(setting["clusters"]), seed)
        right, count = partition.sums(data, q)
        total = np.maximum(count.sum(axis=1, keepdims=True), 1)
        # A cluster without evaluations of a model gets the model's mean, whose weight elsewhere is negligible.
        accuracies = ((right + 1e-3 * right.sum(axis=1, keepdims=True) / total) / (count + 1e-3)).astype(np.float32)
        if setting["map"] == PLAIN:
            return Hard(q, partition, np.where(data.evaluated()[:, None], accuracies, np.float32(np.nan)))
        torch.manual_seed(seed)
        net = Mixture(torch.from_numpy(accuracies), torch.from_numpy(partition.centres))
        descend(net, data, q, Schedule(), seed)
        return OfNet(net, q, data.evaluated())
