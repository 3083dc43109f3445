"""The read-out w of a model: the exact posterior of a Bayesian linear regression of its scores on query features.

The model is y = ψ(x)·w + noise with the prior w ~ N(m, diag(v) + U Uᵀ). m is the mean over known models; v is the variance of each
term of ψ between models; U is the direction in which known models differ most, their general ability.
The posterior mean is linear in the scores and does not depend on their order. It is defined for any number of evaluations; without
evaluations it is the prior mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE = 0.15  # σ², variance of a score around its probability: p (1 - p) for a typical p of 0.8


@dataclass(frozen=True)
class Prior:
    """The prior of read-outs, N(m, diag(v) + U Uᵀ).

    Attributes:
        mean: m, (D,), float64.
        variance: v, (D,), float64, above 0.
        directions: U, (D, R), float64.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    directions: NDArray[np.float64]

    def root(self) -> NDArray[np.float64]:
        """R with R Rᵀ = diag(v) + U Uᵀ, (D, D), float64, lower triangular (Cholesky)."""
        covariance = np.diag(self.variance) + self.directions @ self.directions.T
        return np.asarray(np.linalg.cholesky(covariance), np.float64)


@dataclass(frozen=True)
class Statistics:
    """The sufficient statistics of a set of evaluations: sums over the set, which do not depend on its order.

    Attributes:
        gram: Σ ψ ψᵀ, (D, D), float64.
        moment: Σ ψ y, (D,) or (D, k) for k models that answered the same queries, float64.
    """

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]

    @classmethod
    def of(cls, psi: NDArray[np.float32], y: NDArray[np.float32]) -> "Statistics":
        """The statistics of n evaluations.

        Args:
            psi: their design, (n, D), float32.
            y: scores, (n,) or (n, k), float32, in [0, 1].
        """
        return cls((psi.T @ psi).astype(np.float64), (psi.T @ y).astype(np.float64))

    @classmethod
    def sum(cls, parts: Sequence["Statistics"]) -> "Statistics":
        """The statistics of the union of disjoint sets, of which there is at least one."""
        total = parts[0]
        for part in parts[1:]:
            total = cls(total.gram + part.gram, total.moment + part.moment)
        return total

    def minus(self, other: "Statistics") -> "Statistics":
        """The statistics of the set without a part of it."""
        return Statistics(self.gram - other.gram, self.moment - other.moment)


@dataclass(frozen=True)
class Posterior:
    """The distribution of w after the evaluations.

    Attributes:
        mean: (D,) or (D, k), float64.
        root: T with Tᵀ T the covariance, (D, D), float64.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    def variance(self, psi: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior variance of ψ·w at each row of ψ, |T ψ|², (n, D) -> (n,), float64."""
        spread = self.root @ psi.T  # (D, n)
        variance: NDArray[np.float64] = np.einsum("dn,dn->n", spread, spread)
        return variance


def posterior(prior_root: NDArray[np.float64], mean: NDArray[np.float64], known: Statistics) -> Posterior:
    """The posterior of w: N(m + R B⁻¹ Rᵀ (Σψy − Σψψᵀ m) / σ², R B⁻¹ Rᵀ) with B = I + Rᵀ Σψψᵀ R / σ².

    This form inverts neither the prior covariance nor the Gram matrix, so it is stable for tiny prior variances and for few
    evaluations: all eigenvalues of B are at least 1.

    Args:
        prior_root: R, (D, D), float64.
        mean: m, (D,), float64.
        known: sums over the evaluations, of one model or of k models.
    """
    from scipy.linalg import solve_triangular

    b = prior_root.T @ known.gram @ prior_root / NOISE  # (D, D)
    b[np.diag_indices(len(b))] += 1.0
    root = solve_triangular(
        np.linalg.cholesky(b), prior_root.T, lower=True
    )  # T = L⁻¹ Rᵀ with B = L Lᵀ, so Tᵀ T = R B⁻¹ Rᵀ
    start = mean if known.moment.ndim == 1 else mean[:, None]
    residual = known.moment - (known.gram @ mean if known.moment.ndim == 1 else (known.gram @ mean)[:, None])
    return Posterior(start + root.T @ (root @ residual) / NOISE, root)
