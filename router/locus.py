"""LOCUS (arXiv 2601.21082): a model's evaluations -> its embedding z (F_θ), and z with a query -> P(correct) (G_ψ)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from router.attention import LatentBottleneck, TBlock
from router.errors import ArtifactError


@dataclass(frozen=True)
class LocusConfig:
    """Sizes. The defaults are the paper's.

    Attributes:
        d_query: width of a query encoding, d_q.
        d_model: width of tokens and embeddings, d.
        layers: latent-bottleneck layers, L.
        latents: learned latents per layer, r.
        heads: attention heads.
        hidden: hidden width of the predictor.
        regions: regions of query space that the local term keeps a mean for, K.
        temperature: of the soft assignment of a query to regions.
        shrinkage: evaluations' worth of the model's overall mean that each region's mean starts from.
    """

    d_query: int
    d_model: int = 128
    layers: int = 2
    latents: int = 64
    heads: int = 4
    hidden: int = 64
    regions: int = 128
    temperature: float = 0.03
    shrinkage: float = 10.0


class SetEncoder(nn.Module):
    """F_θ, Eqs. 1-3: a set of (query encoding, score) pairs -> one embedding, whatever the order and size of the set."""

    def __init__(self, config: LocusConfig) -> None:
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

    def __init__(self, config: LocusConfig) -> None:
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


class LocalTerm(nn.Module):
    """What the model's own evaluations say near a query: a mean per region of query space, next to the embedding.

    Regions are unit vectors c_k (k-means centroids of the training queries). A query belongs to them by
    a(x) = softmax(C φ(x) / τ), and a model's profile is its mean score in each, shrunk toward its overall mean μ:
    profile_k = (Σ_i a_k(x_i) y_i + w μ) / (Σ_i a_k(x_i) + w). Like z it is a function of the set alone, needs no
    training for a new model, and sharpens as evaluations arrive; with many regions it tends to nearest neighbours.
    """

    regions: Tensor

    def __init__(self, config: LocusConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("regions", torch.zeros(config.regions, config.d_query))
        self.scale = nn.Parameter(torch.ones(()))

    def assign(self, q: Tensor) -> Tensor:
        """a(x): (..., d_q) -> (..., K), rows sum to 1."""
        return torch.softmax(q @ self.regions.T / self.config.temperature, dim=-1)

    def profile(self, q: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
        """
        Args:
            q: query encodings, (B, n, d_q).
            y: scores, (B, n).
            mask: (B, n), bool, True where an evaluation is real.

        Returns:
            (B, K), in (0, 1).
        """
        real = torch.ones_like(y) if mask is None else mask.to(y.dtype)
        weight = self.assign(q) * real.unsqueeze(-1)
        # One evaluation right and one wrong come for free, so that no mean is ever 0 or 1.
        mean = ((y * real).sum(dim=1, keepdim=True) + 1) / (real.sum(dim=1, keepdim=True) + 2)
        right = torch.einsum("bnk,bn->bk", weight, y)
        w = self.config.shrinkage
        return (right + w * mean) / (weight.sum(dim=1) + w)

    def forward(self, profile: Tensor, q: Tensor) -> Tensor:
        """
        Args:
            profile: (B, K).
            q: query encodings, (B, m, d_q).

        Returns:
            log-odds, (B, m).
        """
        p = torch.einsum("bmk,bk->bm", self.assign(q), profile)
        return self.scale * torch.logit(p)


@dataclass(frozen=True)
class Embedding:
    """What one forward pass over a model's evaluations gives.

    Attributes:
        z: (d,), float32: the place in the model space.
        profile: (K,), float32: the local term's mean per region.
        evaluations: how many it was read from.
    """

    z: NDArray[np.float32]
    profile: NDArray[np.float32]
    evaluations: int


class Locus(nn.Module):
    """Set encoder, predictor and local term: log-odds = G_ψ(z, φ(x)) + s · logit p_local(x).

    Encoder and predictor are trained as in the paper, by G_ψ alone: trained on what the local term misses, z would no longer
    need to tell models apart, and distances in the space would lose their meaning. The parts are weighted on `val`.
    """

    def __init__(self, config: LocusConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SetEncoder(config)
        self.predictor = CorrectnessPredictor(config)
        self.local = LocalTerm(config)

    def forward(self, q_set: Tensor, y_set: Tensor, q: Tensor, mask: Tensor | None = None) -> Tensor:
        """From evaluations to predictions.

        Args:
            q_set, y_set, mask: evaluations of B models, (B, n, d_q), (B, n), (B, n).
            q: query encodings to predict, (B, m, d_q).

        Returns:
            log-odds of a correct answer, (B, m).
        """
        z = self.encoder(q_set, y_set, mask)
        logits: Tensor = self.predictor(z[:, None], q) + self.local(self.local.profile(q_set, y_set, mask), q)
        return logits

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, int]) -> "Locus":
        """The modules of a checkpoint's weights.

        Raises:
            ArtifactError: the weights do not have the shapes of the configuration.
        """
        locus = cls(LocusConfig(**config))
        try:
            locus.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
        except RuntimeError as exc:
            raise ArtifactError(f"the weights are not those of the configuration {dict(config)}: {exc}") from exc
        locus.eval()
        return locus

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Parameter name -> array, as in a checkpoint."""
        return {name: tensor.numpy() for name, tensor in self.state_dict().items()}

    @torch.no_grad()
    def embed(self, q: NDArray[np.float32], y: NDArray[np.float32]) -> Embedding:
        """The embedding of one model: a deterministic forward pass, bitwise independent of the order of the evaluations.

        Args:
            q: query encodings, (n, d_q), n >= 1.
            y: scores, (n,), in [0, 1].

        Raises:
            ValueError: no evaluations, or shapes that do not fit.
        """
        if len(q) == 0 or q.shape != (len(y), self.config.d_query):
            raise ValueError(f"expected (n, {self.config.d_query}) encodings and (n,) scores, got {q.shape}, {y.shape}")
        rows = np.ascontiguousarray(np.column_stack([q, y]), np.float32)
        # Attention is invariant in exact arithmetic; sums of floats are not. A canonical order makes it bitwise.
        order = np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}")[:, 0], kind="stable")
        self.eval()
        q_sorted, y_sorted = (torch.from_numpy(np.ascontiguousarray(a[order], np.float32)) for a in (q, y))
        q_sorted, y_sorted = q_sorted[None], y_sorted[None]
        return Embedding(
            self.encoder(q_sorted, y_sorted)[0].numpy(), self.local.profile(q_sorted, y_sorted)[0].numpy(), len(y)
        )
