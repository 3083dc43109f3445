"""Fits what tells known kinds of question from unknown ones, and exam questions from users' requests, for the general term."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

EXAM_RIDGE = 3.0
EXAM_ODDS = 1.0  # of an exam question before its text is seen; a request taken for one is the worse mistake
WITHIN_RIDGE = 0.01  # of the mean variance, added to the covariance within benchmarks against its smallest eigenvalues
KNOWN_ODDS = 50.0  # of a query of a known benchmark against one of an unknown benchmark, before its text is seen
NEWTON_STEPS = 15


@dataclass(frozen=True)
class Discriminants:
    """The directions in which benchmarks differ most against the spread within them.

    Attributes:
        directions: (P, K); the covariance within benchmarks is the identity along them.
        offset: of the projections, (K,): the centre of all queries is at 0.
        centres: of the benchmarks, (B, K).
        background: precision over all benchmarks, (K,).
    """

    directions: NDArray[np.float64]
    offset: NDArray[np.float64]
    centres: NDArray[np.float64]
    background: NDArray[np.float64]

    def distance(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Squared distance to the nearest benchmark less that to the centre of all, (n, P) -> (n,)."""
        y = x @ self.directions + self.offset
        nearest = ((self.centres**2).sum(axis=1) - 2 * y @ self.centres.T).min(axis=1)
        return np.asarray(nearest + (y**2) @ (1 - self.background))


@dataclass(frozen=True)
class Moments:
    """Means and covariances within B benchmarks, (B, P) and (B, P, P)."""

    means: NDArray[np.float64]
    covariances: NDArray[np.float64]

    @classmethod
    def of(cls, x: NDArray[np.float64], kind: NDArray[np.int64]) -> "Moments":
        """Of n queries, (n, P), of the benchmarks `kind`, (n,)."""
        means, covariances = [], []
        for k in np.unique(kind):
            mine = x[kind == k]
            means.append(mine.mean(axis=0))
            covariances.append((mine - means[-1]).T @ (mine - means[-1]) / len(mine))
        return cls(np.stack(means), np.stack(covariances))

    def without(self, k: int) -> "Moments":
        """Without the benchmark in row k."""
        return Moments(np.delete(self.means, k, axis=0), np.delete(self.covariances, k, axis=0))

    def discriminants(self) -> Discriminants:
        """Fisher's linear discriminants, all benchmarks alike."""
        within = self.covariances.mean(axis=0)
        within += WITHIN_RIDGE * np.trace(within) / len(within) * np.eye(len(within))
        whitening = np.linalg.inv(np.linalg.cholesky(within)).T  # L with Lᵀ within L = I
        centre = self.means.mean(axis=0)
        between = (self.means - centre) @ whitening  # (B, P)
        _, size, axes = np.linalg.svd(between / np.sqrt(len(between)), full_matrices=False)
        keep = size > 1e-6
        directions = whitening @ axes[keep].T
        return Discriminants(directions, -centre @ directions, between @ axes[keep].T, 1 / (1 + size[keep] ** 2))


def fit_familiarity(
    x: NDArray[np.float64], kind: NDArray[np.int64], val: NDArray[np.float64], val_kind: NDArray[np.int64]
) -> tuple[Discriminants, NDArray[np.float64]]:
    """The discriminants of the train queries, and slope and intercept of familiarity in their distance.

    Args:
        x, kind: of n train queries, (n, P), and the index of their benchmark, (n,).
        val, val_kind: of val queries.
    """
    moments = Moments.of(x, kind)
    discriminants = moments.discriminants()
    return discriminants, fit_familiar(moments, discriminants, val, np.searchsorted(np.unique(kind), val_kind))


def fit_familiar(
    moments: Moments, discriminants: Discriminants, x: NDArray[np.float64], row: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Slope and intercept of the log odds of familiarity in `Discriminants.distance`, (2,).

    Every query counts once as known and once as unknown, as it looks to discriminants fitted without its benchmark.

    Args:
        moments: of the train queries.
        discriminants: of all benchmarks.
        x: n val queries, (n, P).
        row: of each query's benchmark in the moments, (n,).
    """
    known, unknown, weights = discriminants.distance(x), np.zeros(len(x)), np.zeros(len(x))
    if len(moments.means) > 1:
        for k in np.unique(row):
            mine = row == k
            unknown[mine] = moments.without(int(k)).discriminants().distance(x[mine])
            weights[mine] = 1 / mine.sum()
    low, high = np.quantile(known, [0.01, 0.99]) if len(known) else (0.0, 0.0)  # distances have long tails
    design = np.column_stack([np.concatenate([known, unknown]).clip(low, high), np.ones(2 * len(x))])
    weight = np.concatenate([KNOWN_ODDS * weights, weights])
    label = np.arange(len(design)) < len(x)
    slope, intercept = logistic(design, label, weight, np.array([1e-3, 1e-3]))
    return np.array([min(slope, 0.0), intercept])


def fit_exam(x: NDArray[np.float64], kind: NDArray[np.int64], requests: NDArray[np.float64]) -> NDArray[np.float64]:
    """Coefficients of the log odds of an exam question against a request, (P,): logistic regression with a ridge.

    All benchmarks count alike, and together as `EXAM_ODDS` times the requests.

    Args:
        x, kind: of n benchmark queries, (n, P), the first column 1, and (n,).
        requests: of k requests, (k, P).
    """
    present, index, sizes = np.unique(kind, return_inverse=True, return_counts=True)
    each = EXAM_ODDS * len(requests) / max(1, len(present)) / sizes[index]
    weight = np.concatenate([each, np.ones(len(requests))])
    penalty = np.full(x.shape[1], EXAM_RIDGE)
    penalty[0] = 1e-3
    label = np.arange(len(weight)) < len(x)
    return logistic(np.concatenate([x, requests]), label, weight, penalty)


def logistic(
    x: NDArray[np.float64], label: NDArray[np.bool_], weight: NDArray[np.float64], penalty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weighted logistic regression with the penalty λ β² / 2 of each coefficient, (P,), by Newton's method."""
    coefficients = np.zeros(x.shape[1])
    for _ in range(NEWTON_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ coefficients, -30, 30)))
        curvature = (x * (weight * p * (1 - p))[:, None]).T @ x + np.diag(penalty)
        coefficients += np.linalg.solve(curvature, x.T @ (weight * (label - p)) - penalty * coefficients)
    return coefficients
