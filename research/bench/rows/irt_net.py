"""IRT-Net (arXiv 2510.00844): item response theory with parameters of the query from its encoding.

p = σ(a(x) · θ_m − b(x)), with an ability vector θ_m per model, and discrimination a(x) and difficulty b(x) from a network.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from research.bench.method import Setting
from research.bench.rows.descent import Schedule, descend
from research.bench.rows.embedllm import OfNet
from router.data.dataset import Dataset


class ItemResponse(nn.Module):
    """The network in front of a(x) and b(x) is a perceptron with dropout in place of the paper's dense mixture of 39."""

    def __init__(self, models: int, d_query: int, width: int, hidden: int) -> None:
        super().__init__()
        self.ability = nn.Embedding(models, width)
        nn.init.normal_(self.ability.weight, std=0.1)
        self.trunk = nn.Sequential(nn.Linear(d_query, hidden), nn.ReLU(), nn.Dropout(0.5))
        self.discrimination = nn.Linear(hidden, width)
        self.difficulty = nn.Linear(hidden, 1)

    def forward(self, q: Tensor) -> Tensor:
        """(B, d_q) -> (B, M)."""
        h = self.trunk(q)
        logits: Tensor = self.discrimination(h) @ self.ability.weight.T - self.difficulty(h)
        return logits


class IrtNet:
    """Noise 0.05, dropout 0.5 and width 232 are from the authors' code. Tuned by the width of θ, rate and decay."""

    name = "IRT-Net"
    version = 1
    grid: tuple[Setting, ...] = tuple(
        {"width": width, "rate": rate, "decay": decay}
        for width in (32, 232)
        for rate in (3e-4, 1e-3)
        for decay in (1e-5, 1e-4)
    )
    seeds = 3

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> OfNet:
        torch.manual_seed(seed)
        net = ItemResponse(len(data.models), q.shape[1], int(setting["width"]), hidden=512)
        descend(net, data, q, Schedule(lr=float(setting["rate"]), weight_decay=float(setting["decay"])), seed)
        return OfNet(net, q, data.evaluated())
