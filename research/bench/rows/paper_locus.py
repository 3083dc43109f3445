"""LOCUS as published (arXiv 2601.21082): set encoder F_θ (Eqs. 1-3), predictor G_ψ (Eq. 4), and their training.

Every model is read from a fixed set of anchors, which are the targets of training too; the epoch is chosen by the loss on
`val`. Encodings are scaled to components of about unit variance: unit-norm ones carry so little next to the score that the
set encoder takes many times longer to look at them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from research.bench.method import Setting
from router.data.dataset import Dataset
from router.train.attention import LatentBottleneck, TBlock


@dataclass(frozen=True)
class PaperConfig:
    """The paper's sizes.

    Attributes:
        d_query: width of a query encoding, d_q.
        d_model: width of tokens and embeddings, d.
        layers: latent-bottleneck layers, L.
        latents: learned latents per layer, r.
        heads: attention heads.
        hidden: hidden width of the predictor.
    """

    d_query: int
    d_model: int = 128
    layers: int = 2
    latents: int = 64
    heads: int = 4
    hidden: int = 64


class SetEncoder(nn.Module):
    """F_θ, Eqs. 1-3: a set of (query encoding, score) pairs -> one embedding. The order does not matter."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        width = config.d_model
        self.token = nn.Sequential(nn.Linear(2 * config.d_query + 1, width), nn.GELU(), nn.Linear(width, width))
        self.layers = nn.ModuleList(LatentBottleneck(width, config.heads, config.latents) for _ in range(config.layers))
        self.seed = nn.Parameter(torch.randn(1, width) * width**-0.5)
        self.pool = TBlock(width, config.heads)

    def forward(self, q: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """
        Args:
            q: query encodings, (B, n, d_q), float32.
            y: scores, (B, n), in [0, 1].
            mask: (B, n), bool, True where an evaluation is real; None where all are. At least one per row.

        Returns:
            z, (B, d).
        """
        y = y.unsqueeze(-1)
        items = self.token(torch.cat([q, y, q * (2 * y - 1)], dim=-1))  # Eq. 1: the sign carries right and wrong
        for layer in self.layers:
            items = layer(items, mask)
        seed = self.seed.expand(q.shape[0], -1, -1)
        z: Tensor = self.pool(seed, items, mask)[:, 0]
        return z


class CorrectnessPredictor(nn.Module):
    """G_ψ, Eq. 4: p = σ(MLP([z, Uφ(x), z ⊙ Uφ(x)]))."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.project = nn.Linear(config.d_query, config.d_model, bias=False)
        self.mlp = nn.Sequential(nn.Linear(3 * config.d_model, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 1))

    def forward(self, z: Tensor, q: Tensor) -> Tensor:
        """
        Args:
            z: model embeddings, (..., d).
            q: query encodings, (..., d_q), broadcastable against z.

        Returns:
            log-odds of a correct answer, (...).
        """
        x = self.project(q)
        shape = torch.broadcast_shapes(z.shape, x.shape)  # type: ignore[no-untyped-call]
        z, x = z.expand(shape), x.expand(shape)
        logits: Tensor = self.mlp(torch.cat([z, x, z * x], dim=-1)).squeeze(-1)
        return logits


@dataclass(frozen=True)
class Training:
    """The settings of training: rates, decay and clipping are from the paper.

    Attributes:
        epochs: the rate falls to 0 over them along a cosine.
        patience: number of epochs without a better loss on `val` after which training ends.
        models: per step.
        noise: standard deviation of Gaussian noise on the components of the encodings, which have 1 themselves.
    """

    epochs: int = 40
    patience: int = 12
    models: int = 2
    lr_encoder: float = 2e-4
    lr_decoder: float = 8e-4
    weight_decay: float = 5e-2
    clip: float = 1.0
    noise: float = 0.8


@dataclass(frozen=True)
class Sets:
    """Padded sets of evaluations of B models: q (B, n, d_q), y and mask (B, n)."""

    q: Tensor
    y: Tensor
    mask: Tensor

    @classmethod
    def of(
        cls, data: Dataset, q: NDArray[np.float32], rows: list[NDArray[np.int64]], models: NDArray[np.int64]
    ) -> "Sets":
        """One set per model: the queries in the same place of `rows`."""
        index = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
        mask = np.zeros(index.shape, np.bool_)
        for i, queries in enumerate(rows):
            index[i, : len(queries)] = queries
            mask[i, : len(queries)] = True
        y = np.where(mask, data.scores[models[:, None], index], 0).astype(np.float32)
        return cls(torch.from_numpy(q[index]), torch.from_numpy(y), torch.from_numpy(mask))

    def take(self, rows: Tensor) -> "Sets":
        return Sets(self.q[rows], self.y[rows], self.mask[rows])


class Published(nn.Module):
    """F_θ and G_ψ together."""

    def __init__(self, config: PaperConfig) -> None:
        super().__init__()
        self.encoder = SetEncoder(config)
        self.predictor = CorrectnessPredictor(config)

    def loss(self, anchors: Sets, targets: Sets) -> Tensor:
        """Mean cross-entropy of each model's targets from its anchors, averaged over models."""
        z = self.encoder(anchors.q, anchors.y, anchors.mask)
        logits = self.predictor(z[:, None], targets.q)
        weight = targets.mask / targets.mask.sum(dim=1, keepdim=True).clamp(min=1)
        return F.binary_cross_entropy_with_logits(logits, targets.y, weight=weight, reduction="sum") / len(z)


@dataclass(frozen=True)
class _Fitted:
    """Embeddings of the models in `known`, (m, d), of M."""

    net: Published
    z: Tensor
    known: NDArray[np.int64]
    models: int
    q: NDArray[np.float32]

    @torch.no_grad()
    def predict(self, queries: NDArray[np.int64]) -> NDArray[np.float32]:
        p = np.full((self.models, len(queries)), np.nan, np.float32)
        q = torch.from_numpy(self.q[queries])
        for m, z in zip(self.known, self.z, strict=True):
            p[m] = torch.sigmoid(self.net.predictor(z, q)).numpy()
        return p


class PaperLocus:
    """Only the number of epochs is tuned: sizes, rates and anchors are from the paper.

    Args:
        training: other than the paper's, for a quick look.
    """

    def __init__(self, training: Training = Training()) -> None:
        self._training = training

    name = "LOCUS (paper)"
    version = 2
    grid: tuple[Setting, ...] = ({"anchors": 1024},)
    seeds = 3

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> _Fitted:
        torch.manual_seed(seed)
        q = q * np.float32(q.shape[1] ** 0.5)
        net = Published(PaperConfig(d_query=q.shape[1]))
        models = np.flatnonzero(data.evaluated())
        anchors = Sets.of(data, q, anchor_sets(data, models, int(setting["anchors"]), seed), models)
        train(net, anchors, _val_sets(data, q, models), self._training, seed)
        with torch.no_grad():
            parts = [anchors.take(rows) for rows in torch.split(torch.arange(len(models)), 8)]
            z = torch.cat([net.encoder(part.q, part.y, part.mask) for part in parts])
        return _Fitted(net, z, models, len(data.models), q)


def anchor_sets(data: Dataset, models: NDArray[np.int64], anchors: int, seed: int) -> list[NDArray[np.int64]]:
    """Train queries to read each model from: the first that it answered of one shuffled list, so that models share them."""
    shuffled = np.random.default_rng(seed).permutation(data.where("train"))
    return [shuffled[~np.isnan(data.scores[m, shuffled])][:anchors] for m in models]


def train(net: Published, anchors: Sets, val: Sets, training: Training, seed: int) -> None:
    """Trains on the anchors and leaves the net at its best epoch on `val`; without scores there, at the last one."""
    optimizer = torch.optim.AdamW(
        [
            {"params": list(net.encoder.parameters()), "lr": training.lr_encoder},
            {"params": list(net.predictor.parameters()), "lr": training.lr_decoder},
        ],
        weight_decay=training.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, training.epochs)
    generator = torch.Generator().manual_seed(seed)
    judge = bool(val.mask.any())
    best, best_loss, waited = net.state_dict(), float("inf"), 0
    for _ in range(training.epochs):
        net.train()
        for rows in torch.split(torch.randperm(len(anchors.q), generator=generator), training.models):
            batch = anchors.take(rows)
            noise = training.noise * torch.randn(batch.q.shape, generator=generator)
            noisy = Sets(batch.q + noise, batch.y, batch.mask)
            optimizer.zero_grad(set_to_none=True)
            net.loss(noisy, noisy).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), training.clip)
            optimizer.step()
        schedule.step()
        net.eval()
        loss = _loss(net, anchors, val, training.models) if judge else -1.0
        waited = 0 if loss < best_loss or not judge else waited + 1
        if waited == 0:
            best, best_loss = {name: tensor.clone() for name, tensor in net.state_dict().items()}, loss
        elif waited >= training.patience:
            break
    net.load_state_dict(best)


@torch.no_grad()
def _loss(net: Published, anchors: Sets, targets: Sets, models: int) -> float:
    rows = torch.split(torch.arange(len(anchors.q)), models)
    return sum(float(net.loss(anchors.take(part), targets.take(part))) * len(part) for part in rows) / len(anchors.q)


def _val_sets(data: Dataset, q: NDArray[np.float32], models: NDArray[np.int64]) -> Sets:
    val = data.where("val")
    return Sets.of(data, q, [val[~np.isnan(data.scores[m, val])] for m in models], models)
