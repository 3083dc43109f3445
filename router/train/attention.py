"""Set-attention blocks (Set Transformer, arXiv 1810.00825, as LOCUS uses them). Without positions, so the order does not matter."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class TBlock(nn.Module):
    """TBlock(Q, K, V): multi-head attention, residual, layer norm, feed-forward of width 2d, residual, layer norm.

    Keys and values are the same set everywhere in LOCUS, so they are one argument.
    """

    def __init__(self, width: int, heads: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), activation(), nn.Linear(2 * width, width))
        self.norm_out = nn.LayerNorm(width)

    def forward(self, queries: Tensor, items: Tensor, mask: Tensor | None = None) -> Tensor:
        """
        Args:
            queries: (B, q, d).
            items: keys and values, (B, k, d).
            mask: (B, k), bool, True where an item is real; None where all are.

        Returns:
            (B, q, d).
        """
        batch, n_queries, width = queries.shape
        split = (batch, -1, self.heads, width // self.heads)
        q = self.query(queries).view(split).transpose(1, 2)
        k, v = (part.reshape(split).transpose(1, 2) for part in self.key_value(items).chunk(2, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=None if mask is None else mask[:, None, None, :])
        attended = self.out(attended.transpose(1, 2).reshape(batch, n_queries, width))
        x: Tensor = self.norm_attention(queries + attended)
        out: Tensor = self.norm_out(x + self.feed_forward(x))
        return out


class LatentBottleneck(nn.Module):
    """H = TBlock(U, X, X), X' = TBlock(X, H, H) with r learned latents U: all items exchange information at a cost linear in n."""

    def __init__(self, width: int, heads: int, latents: int, activation: type[nn.Module] = nn.GELU) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(latents, width) * width**-0.5)
        self.gather = TBlock(width, heads, activation)
        self.spread = TBlock(width, heads, activation)

    def forward(self, items: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, n, d) and mask (B, n) -> (B, n, d)."""
        latents = self.latents.expand(items.shape[0], -1, -1)
        out: Tensor = self.spread(items, self.gather(latents, items, mask))
        return out
