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
    """

    d_query: int
    d_model: int = 128
    layers: int = 2
    latents: int = 64
    heads: int = 4
    hidden: int = 64


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


class Locus(nn.Module):
    """Set encoder and predictor, trained together."""

    def __init__(self, config: LocusConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SetEncoder(config)
        self.predictor = CorrectnessPredictor(config)

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
    def embed(self, q: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
        """The embedding of one model: a deterministic forward pass, bitwise independent of the order of the evaluations.

        Args:
            q: query encodings, (n, d_q), n >= 1.
            y: scores, (n,), in [0, 1].

        Returns:
            z, (d,), float32.

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
        z: NDArray[np.float32] = self.encoder(q_sorted[None], y_sorted[None])[0].numpy()
        return z
