"""EmbedLLM (arXiv 2410.02223): matrix factorisation with a vector per model and a linear projection of the query encoding."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from research.bench.method import Setting
from research.bench.rows.descent import Schedule, descend
from router.data.dataset import Dataset


class Factorisation(nn.Module):
    """log-odds = c · (p_m ⊙ (W φ(x) + b)) + c0: the difference of the two classes' outputs in the paper's classifier."""

    def __init__(self, models: int, d_query: int, width: int) -> None:
        super().__init__()
        self.models = nn.Embedding(models, width)
        self.project = nn.Linear(d_query, width)
        self.classifier = nn.Linear(width, 1)

    def forward(self, q: Tensor) -> Tensor:
        """(B, d_q) -> (B, M)."""
        logits: Tensor = (self.project(q) * self.classifier.weight) @ self.models.weight.T + self.classifier.bias
        return logits


@dataclass(frozen=True)
class OfNet:
    """Predictions of a trained net for the models that it was trained on, `known` (M,)."""

    net: nn.Module
    q: NDArray[np.float32]
    known: NDArray[np.bool_]

    @torch.no_grad()
    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        self.net.eval()
        p = torch.sigmoid(self.net(torch.from_numpy(self.q[queries]))).T.numpy()
        return np.where(self.known[:, None], p, np.float32(np.nan))


class EmbedLLM:
    """Noise 0.05, width 232 and decay 1e-5 are from the authors' code. Its rate, 1e-4 for 50 epochs, would be slower."""

    name = "EmbedLLM"
    version = 1
    grid: tuple[Setting, ...] = tuple(
        {"width": width, "rate": rate, "decay": decay}
        for width in (64, 232)
        for rate in (3e-4, 1e-3)
        for decay in (1e-5, 3e-4)
    )
    seeds = 3

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> OfNet:
        torch.manual_seed(seed)
        net = Factorisation(len(data.models), q.shape[1], int(setting["width"]))
        descend(net, data, q, Schedule(lr=float(setting["rate"]), weight_decay=float(setting["decay"])), seed)
        return OfNet(net, q, data.evaluated())
