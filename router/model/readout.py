"""Evaluations -> what they say about a model: the exact posterior of a Bayesian linear read-out on query features.

y = ψ(x)·w + noise, w ~ N(m, diag(v) + U Uᵀ). The prior says how models differ: m is the mean over known models, v how freely
each scale of ψ may deviate from it, U the direction in which known models differ most: general ability.
The posterior mean is attention over the evaluations with an exact normaliser: linear in the scores, independent of their
order, defined for any number of them, and equal to the prior mean where there are none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE = 0.15  # variance of a score around its probability: p (1 - p) for the usual p


@dataclass(frozen=True)
class Prior:
    """How models differ.

    Attributes:
        mean: m, (D,), float64.
        variance: v, (D,), float64, above 0.
        directions: U, (D, R), float64.
    """

    mean: NDArray[np.float64]
    variance: NDArray[np.float64]
    directions: NDArray[np.float64]

    def root(self) -> NDArray[np.float64]:
        """R with R Rᵀ = diag(v) + U Uᵀ, (D, D), lower triangular."""
        covariance = np.diag(self.variance) + self.directions @ self.directions.T
        return np.asarray(np.linalg.cholesky(covariance), np.float64)


@dataclass(frozen=True)
class Statistics:
    """All that a read-out needs of a set of evaluations: sums over the set, so their order cannot matter.

    Attributes:
        gram: Σ ψ ψᵀ, (D, D), float64.
        moment: Σ ψ y, (D,) or (D, k) for k models that answered the same queries, float64.
    """

    gram: NDArray[np.float64]
    moment: NDArray[np.float64]

    @classmethod
    def of(cls, psi: NDArray[np.float32], y: NDArray[np.float32]) -> "Statistics":
        """
        Args:
            psi: (n, D).
            y: scores, (n,) or (n, k), in [0, 1].
        """
        return cls((psi.T @ psi).astype(np.float64), (psi.T @ y).astype(np.float64))

    def minus(self, other: "Statistics") -> "Statistics":
        """The statistics of the set without a part of it."""
        return Statistics(self.gram - other.gram, self.moment - other.moment)


@dataclass(frozen=True)
class Posterior:
    """What is known of w after the evaluations.

    Attributes:
        mean: (D,) or (D, k), float64.
        root: T with Tᵀ T the covariance, (D, D), float64.
    """

    mean: NDArray[np.float64]
    root: NDArray[np.float64]

    def variance(self, psi: NDArray[np.float64]) -> NDArray[np.float64]:
        """Posterior variance of ψ·w at each row of ψ, (n, D) -> (n,)."""
        spread = self.root @ psi.T
        variance: NDArray[np.float64] = np.einsum("dn,dn->n", spread, spread)
        return variance


def posterior(prior_root: NDArray[np.float64], mean: NDArray[np.float64], known: Statistics) -> Posterior:
    """The posterior of w: N(m + R B⁻¹ Rᵀ (Σψy − Σψψᵀ m) / σ², R B⁻¹ Rᵀ) with B = I + Rᵀ Σψψᵀ R / σ².

    Args:
        prior_root: R, (D, D).
        mean: m, (D,).
        known: sums over the evaluations.
    """
    from scipy.linalg import solve_triangular

    b = prior_root.T @ known.gram @ prior_root / NOISE
    b[np.diag_indices(len(b))] += 1.0
    root = solve_triangular(np.linalg.cholesky(b), prior_root.T, lower=True)
    start = mean if known.moment.ndim == 1 else mean[:, None]
    residual = known.moment - (known.gram @ mean if known.moment.ndim == 1 else (known.gram @ mean)[:, None])
    return Posterior(start + root.T @ (root @ residual) / NOISE, root)
