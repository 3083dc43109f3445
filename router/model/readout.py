"""Linear read-outs by their exact posterior: y = x·w + noise with the prior w ~ N(0, diag(v)).

Two of them are in LOCUS: the correction behind the attention encoder (`router.model.locus`), and the plain read-out of
a model's scores on ψ, with which it is mixed for models with many evaluations. A posterior is defined for any number of
evaluations and does not depend on their order.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE = 0.15  # σ², variance of a score around its probability, for the plain read-out: p (1 - p) for a typical p of 0.8
TRIANGLE = 64  # size of a triangular matrix that is solved at once; a larger one is halved
DIRECT = 256  # size of a matrix that is factored at once
ROUNDING = 5e-7  # bound on the errors of a Gram matrix in float32, as a share of its trace


@dataclass(frozen=True)
class Posterior:
    """The distribution of w after the evaluations.

    Attributes:
        mean: (D, k), float32, for k models that answered the same queries.
        variance: of x·w at some rows of x, (m,), float32.
    """

    mean: NDArray[np.float32]
    variance: NDArray[np.float32]


def posterior(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    noise: NDArray[np.float32] | float,
    variance: NDArray[np.float64],
    at: NDArray[np.float32] | None = None,
) -> Posterior:
    """The posterior of w after n evaluations, each with its own noise.

    It works in the smaller of the two dimensions, n and D, with one Cholesky factor L, in float32: the matrix is the
    identity plus a Gram matrix, so no eigenvalue is below 1.

    Args:
        x: design, (n, D), float32.
        y: scores less their prior mean, (n, k), float32.
        noise: variance of each score, (n,), or of all.
        variance: v, (D,), float64.
        at: rows of x at which the variance is wanted, (m, D), float32; None: nowhere.
    """
    root = np.sqrt(variance).astype(np.float32)
    scale = np.sqrt(np.broadcast_to(np.asarray(noise, np.float32), len(x)))[:, None].astype(np.float32, copy=False)
    a: NDArray[np.float32] = x * root  # S^(-1/2) X V^(1/2), (n, D)
    a /= scale
    target: NDArray[np.float32] = y / scale
    asked = np.zeros((len(root), 0), np.float32) if at is None else (at * root).T  # V^(1/2) xᵀ, (D, m)
    models = target.shape[1]
    if len(x) < len(root):
        factor = _factor(_plus_one(a @ a.T))
        half = _forward(factor, np.concatenate([target, a @ asked], axis=1))  # L⁻¹ b, (n, k + m)
        mean = a.T @ _backward(factor, half[:, :models])
        return Posterior(root[:, None] * mean, np.maximum(_squares(asked) - _squares(half[:, models:]), 0))
    factor = _factor(_plus_one(a.T @ a))
    half = _forward(factor, np.concatenate([a.T @ target, asked], axis=1))  # (D, k + m)
    return Posterior(root[:, None] * _backward(factor, half[:, :models]), _squares(half[:, models:]))


def _plus_one(gram: NDArray[np.float32]) -> NDArray[np.float32]:
    """gram + I, (k, k), float32; changes `gram`. With millions of evaluations its rounding errors exceed 1, and take its place."""
    gram[np.diag_indices(len(gram))] += max(1.0, ROUNDING * float(np.trace(gram)))
    return gram


def _factor(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """L, lower triangular, with L Lᵀ = matrix, (k, k), float32; by halves, which takes a third of the time of numpy's."""
    if len(matrix) <= DIRECT:
        return np.asarray(np.linalg.cholesky(matrix), np.float32)
    cut = len(matrix) // 2
    out = np.zeros_like(matrix)
    out[:cut, :cut] = _factor(matrix[:cut, :cut])
    beside = _forward(out[:cut, :cut], matrix[:cut, cut:])
    out[cut:, :cut] = beside.T
    out[cut:, cut:] = _factor(matrix[cut:, cut:] - beside.T @ beside)
    return out


def _forward(factor: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """L⁻¹ b, (k, k) and (k, m) -> (k, m), by halves, since numpy has no solver for triangular matrices."""
    if len(factor) <= TRIANGLE:
        return np.asarray(np.linalg.solve(factor, b), np.float32)
    cut = len(factor) // 2
    top = _forward(factor[:cut, :cut], b[:cut])
    return np.concatenate([top, _forward(factor[cut:, cut:], b[cut:] - factor[cut:, :cut] @ top)])


def _backward(factor: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """L⁻ᵀ b, (k, k) and (k, m) -> (k, m)."""
    if len(factor) <= TRIANGLE:
        return np.asarray(np.linalg.solve(factor.T, b), np.float32)
    cut = len(factor) // 2
    bottom = _backward(factor[cut:, cut:], b[cut:])
    return np.concatenate([_backward(factor[:cut, :cut], b[:cut] - factor[cut:, :cut].T @ bottom), bottom])


def _squares(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Squared norms of columns, (k, m) -> (m,)."""
    return np.asarray((columns * columns).sum(axis=0), np.float32)
