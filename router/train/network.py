"""LOCUS as a torch network, for training: Eqs. 1-4 of arXiv 2601.21082 with the closed-form correction behind them, end
to end.

`router.model.network` is the same forward pass in numpy, for embedding and serving.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from router.model.network import (
    FEATURES,
    HEADS,
    HIDDEN,
    LATENTS,
    LOG_COUNT_SCALE,
    LOWEST_MEAN,
    PRODUCT_SCALE,
    QUERY_WIDTH,
    SEEDS,
    WIDTH,
)
from router.model.soft_clip import SOFTNESS
from router.train.attention import LatentBottleneck, TBlock

DROPOUT = 0.3
# Where training starts: prior variances of a model's deviation at the scale of ability, of kinds, of the kernel and of
# the learned features (for all of them together); noise σ² as a share of μ(1 - μ), and the least μ(1 - μ).
START_VARIANCES = (0.02, 0.005, 0.005, 0.003)
START_NOISE = (0.9, 0.03)


class Kernels(NamedTuple):
    """Inner products of the features ψ of two sets of queries: of the kinds, and of the kernel features, (B, n, k) each."""

    kinds: Tensor
    local: Tensor


class Output(NamedTuple):
    """What the network says of the models of an episode.

    Attributes:
        p: P(correct) of each target query, (B, T).
        prior: the same by the attention encoder alone, μ, (B, T).
        z: embeddings, (B, 128).
    """

    p: Tensor
    prior: Tensor
    z: Tensor


class SetEncoder(nn.Module):
    """F, Eqs. 1-3: a model's evaluations -> z. The order of the evaluations does not matter.

    A token is an MLP of the query input, the score, its residual to the mean model, and the input times both. One
    latent bottleneck, then attention pooling by `SEEDS` learned queries. The number of evaluations is added, so that z
    can shrink where there are few.

    Args:
        width: of a query input x̃, d_x.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token = nn.Sequential(nn.Linear(3 * width + 3, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
        self.bottleneck = LatentBottleneck(WIDTH, HEADS, LATENTS, nn.SiLU)
        self.seeds = nn.Parameter(torch.randn(SEEDS, WIDTH) * WIDTH**-0.5)
        self.pool = TBlock(WIDTH, HEADS, nn.SiLU)
        self.count = nn.Linear(1, SEEDS * WIDTH)
        self.out = nn.Linear(SEEDS * WIDTH, SEEDS * WIDTH)

    def forward(self, x: Tensor, y: Tensor, mean: Tensor) -> Tensor:
        """
        Args:
            x: query inputs, (B, n, d_x).
            y: scores, (B, n), in [0, 1].
            mean: the mean model at the queries, m̃, (B, n), in (0, 1).

        Returns:
            z, (B, 128).
        """
        residual, sign = 2 * (y - mean).unsqueeze(-1), (2 * y - 1).unsqueeze(-1)
        tokens = self.token(torch.cat([x, x * residual, x * sign, residual, sign, mean.unsqueeze(-1)], -1))
        pooled = self.pool(self.seeds.expand(len(x), -1, -1), self.bottleneck(tokens)).flatten(1)
        count = torch.full((1, 1), math.log(x.shape[1]) / LOG_COUNT_SCALE)
        z: Tensor = self.out(pooled + self.count(count))
        return z


class Predictor(nn.Module):
    """G, Eq. 4: how much the log odds of a model differ from the mean model's at a query. It starts at 0.

    G = w · ReLU(Wz z + Wu u) + (A z)·[1, u] / 8 with u an MLP of the query input. Terms in z ⊙ u inside the ReLU gained nothing on
    `val`, and would multiply the cost of a prediction by the width of u.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        dim = SEEDS * WIDTH
        self.query = nn.Sequential(
            nn.Linear(width, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, QUERY_WIDTH)
        )
        self.norm = nn.LayerNorm(dim)
        self.from_z = nn.Linear(dim, HIDDEN)
        self.from_u = nn.Linear(QUERY_WIDTH, HIDDEN, bias=False)
        self.out = nn.Linear(HIDDEN, 1, bias=False)
        self.bilinear = nn.Linear(dim, QUERY_WIDTH + 1, bias=False)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.bilinear.weight)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        """z, (B, 128), and query inputs, (B, T, d_x) -> (B, T)."""
        u = self.query(x)
        hidden = F.relu(self.from_z(z).unsqueeze(1) + self.from_u(u))
        direction = self.bilinear(z) / PRODUCT_SCALE
        out: Tensor = self.out(hidden).squeeze(-1) + (u @ direction[:, 1:, None]).squeeze(-1) + direction[:, :1]
        return out


class LocusNetwork(nn.Module):
    """P(correct) = bend(μ(x; z) + δ(x)).

    μ(x; z) = σ(logit m̃(x) + G(z, x̃)) is the prior mean. δ(x) = k(x, X) (K + S)⁻¹ (y - μ(X)) is the exact posterior
    mean of what the prior mean leaves unexplained, with k = s_a v_a + s_d v_d ψ·ψ (kinds) + s_l v_l ψ·ψ (kernel) + v_g
    g·g, learned variances v, scales s(z) of each model, learned features g, and noise S = σ² max(μ(1 - μ), f).

    Args:
        width: of a query input, d_x.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.encoder = SetEncoder(width)
        self.predictor = Predictor(width)
        self.features = nn.Sequential(
            nn.Linear(width, WIDTH), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(WIDTH, FEATURES), nn.LayerNorm(FEATURES)
        )
        self.scales = nn.Linear(SEEDS * WIDTH, 3)
        nn.init.zeros_(self.scales.weight)
        nn.init.zeros_(self.scales.bias)
        start = torch.tensor([*START_VARIANCES[:3], START_VARIANCES[3] / FEATURES])
        self.log_variances = nn.Parameter(start.log())
        self.log_noise = nn.Parameter(torch.tensor(START_NOISE).log())

    def scalars(self) -> list[nn.Parameter]:
        """The parameters that are logarithms of variances; they need a larger learning rate and no decay."""
        return [self.log_variances, self.log_noise]

    def prior(self, z: Tensor, x: Tensor, mean: Tensor) -> Tensor:
        """μ, (B, T), of query inputs, (B, T, d_x), where the mean model is `mean`, (B, T)."""
        return torch.sigmoid(torch.logit(mean) + self.predictor(z, x))

    def forward(
        self, x: Tensor, y: Tensor, mean: Tensor, within: Kernels, asked: Tensor, asked_mean: Tensor, between: Kernels
    ) -> Output:
        """
        Args:
            x, y, mean: the evaluations of B models: query inputs (B, n, d_x), scores (B, n), mean model (B, n).
            within: kernels of the evaluations with each other, (B, n, n).
            asked, asked_mean: T target queries: inputs (B, T, d_x), mean model (B, T).
            between: kernels of evaluations with targets, (B, n, T).
        """
        z = self.encoder(x, y, mean)
        prior, known = self.prior(z, asked, asked_mean), self.prior(z, x, mean)
        variances = self.log_variances.exp()
        scales = torch.exp(torch.tanh(self.scales(z)))[:, :, None, None] * variances[:3, None, None]  # (B, 3, 1, 1)
        g, g_asked = self.features(x), self.features(asked)

        def covariance(kernels: Kernels, left: Tensor, right: Tensor) -> Tensor:
            learned = variances[3] * left @ right.transpose(1, 2)
            return scales[:, 0] + scales[:, 1] * kernels.kinds + scales[:, 2] * kernels.local + learned

        noise, least = self.log_noise.exp()
        spread = noise * torch.maximum(known * (1 - known), least)
        root = torch.linalg.cholesky(covariance(within, g, g) + torch.diag_embed(spread))
        weights = torch.cholesky_solve((y - known).unsqueeze(-1), root)  # (B, n, 1)
        correction = (covariance(between, g, g_asked) * weights).sum(1)
        return Output(bend(prior + correction), prior, z)


def bend(value: Tensor) -> Tensor:
    """`router.model.soft_clip.soft_clip` for tensors of any shape."""
    return SOFTNESS * (F.softplus(value / SOFTNESS) - F.softplus((value - 1) / SOFTNESS))


def clipped_mean(mean: Tensor) -> Tensor:
    """The mean model as a probability that a logit can be taken of."""
    return bend(mean).clamp(LOWEST_MEAN, 1 - LOWEST_MEAN)
