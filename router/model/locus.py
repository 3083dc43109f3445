"""LOCUS: a model's evaluations -> its embedding, in one deterministic pass without training. numpy and scipy, no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.model.features import ANCHORS_KEY, FeatureMap, Features
from router.model.readout import Posterior, Prior, Statistics, posterior

EMBEDDING_DIM = 128


@dataclass(frozen=True)
class Embedding:
    """The embedding of one model, and what predictions need.

    Attributes:
        z: (128,), float32: the place in the model space. The Euclidean distance between two models approximates the root mean
            square difference of their predictions over the anchors' kinds of question.
        coefficients: (F,), float32: the read-out less that of the mean model, on `Features.joined`.
        variances: (C,), float32: squared standard error of a prediction, per domain.
        evaluations: the number of evaluations it was computed from.
    """

    z: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    variances: NDArray[np.float32]
    evaluations: int


@dataclass(frozen=True)
class Locus:
    """A trained LOCUS.

    Attributes:
        features: ψ.
        prior: the prior of read-outs.
        basis: read-out -> z, (D, 128), float64.
        origin: the read-out with z = 0, (D,), float64.
        profiles: mean of `Features.joined` over the training queries of each benchmark, then of each domain, (B + C, F), float32.
        trust: weight of the domain term and of the kernel term in each benchmark, (2, B), float32, in [0, 1]; see
            `router.train.guard`.
    """

    features: FeatureMap
    prior: Prior
    basis: NDArray[np.float64]
    origin: NDArray[np.float64]
    profiles: NDArray[np.float32]
    trust: NDArray[np.float32]

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]], config: Mapping[str, Any]) -> "Locus":
        """The LOCUS in a checkpoint's arrays and its card's `config`.

        Raises:
            ArtifactError: an array is missing, or the shapes do not fit.
        """
        try:
            features = FeatureMap.restore(weights, int(config["text_dim"]))
            prior = Prior(*(weights[f"prior.{name}"].astype(np.float64) for name in ("mean", "variance", "directions")))
            locus = cls(
                features,
                prior,
                weights["space.basis"].astype(np.float64),
                weights["space.origin"].astype(np.float64),
                weights["guard.profiles"],
                weights["guard.trust"],
            )
        except KeyError as exc:
            raise ArtifactError(f"the checkpoint lacks {exc.args[0]}") from exc
        shapes = (prior.mean.shape, prior.variance.shape, prior.directions.shape[:1], locus.basis.shape[:1])
        if any(shape != (features.width,) for shape in shapes):
            raise ArtifactError(f"the checkpoint's arrays do not fit each other: D is {features.width}, found {shapes}")
        return locus

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays of a checkpoint, name -> array: float32, the anchors float16."""
        arrays = {
            "prior.mean": self.prior.mean,
            "prior.variance": self.prior.variance,
            "prior.directions": self.prior.directions,
            "space.basis": self.basis,
            "space.origin": self.origin,
            "guard.profiles": self.profiles,
            "guard.trust": self.trust,
        }
        return {
            **self.features.weights(),
            **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            ANCHORS_KEY: self.features.anchors.astype(np.float16),
        }

    def embed(self, q: NDArray[np.float32], y: NDArray[np.float32]) -> Embedding:
        """The embedding of one model, bitwise independent of the order of its evaluations.

        Args:
            q: query encodings, (n, d_q), n >= 1.
            y: scores, (n,), in [0, 1].

        Raises:
            ValueError: no evaluations, or shapes that do not fit.
        """
        width = self.features.anchors.shape[1]
        if len(q) == 0 or q.shape != (len(y), width):
            raise ValueError(f"expected (n, {width}) encodings and (n,) scores, got {q.shape}, {np.shape(y)}")
        rows = np.ascontiguousarray(np.column_stack([q, y]), np.float32)
        # A float sum depends on the order of its terms, so the rows are sorted by their bytes first.
        rows = rows[np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}")[:, 0], kind="stable")]
        psi = self.features.design(self.features(rows[:, :-1]))  # (n, D)
        return self.embed_statistics(Statistics.of(psi, rows[:, -1]), len(rows))

    def embed_statistics(self, known: Statistics, evaluations: int) -> Embedding:
        """The embedding of a model from the statistics of its evaluations on `features.design`."""
        after = posterior(self._prior_root, self.prior.mean, known)
        return Embedding(
            ((after.mean - self.origin) @ self.basis).astype(np.float32),
            self.features.joined_coefficients(after.mean - self.prior.mean),
            self.variances(after),
            evaluations,
        )

    def variances(self, after: Posterior) -> NDArray[np.float32]:
        """Squared standard error of predictions after the evaluations: the mean over the anchors of each domain, (C,), float32."""
        return np.asarray(self._anchor_shares @ after.variance(self._anchor_design), np.float32)

    @cached_property
    def mean_coefficients(self) -> NDArray[np.float32]:
        """The mean model's coefficients on `Features.joined`, (F,), float32."""
        return self.features.joined_coefficients(self.prior.mean)

    @cached_property
    def prior_variances(self) -> NDArray[np.float32]:
        """Squared standard error per domain, (C,), float32, for a model of which only the overall ability is known."""
        finer = self.prior.variance.copy()
        finer[0] = 0.0  # the constant term is the overall ability
        return np.asarray(self._anchor_shares @ (self._anchor_design**2 @ finer), np.float32)

    @cached_property
    def _prior_root(self) -> NDArray[np.float64]:
        """R with R Rᵀ the prior covariance, (D, D)."""
        return self.prior.root()

    @cached_property
    def _anchor_features(self) -> Features:
        """The features of the anchors, A rows."""
        return self.features(self.features.anchors)

    @cached_property
    def _anchor_design(self) -> NDArray[np.float64]:
        """ψ of the anchors, (A, D)."""
        return self.features.design(self._anchor_features).astype(np.float64)

    @cached_property
    def _anchor_shares(self) -> NDArray[np.float64]:
        """The weight of each anchor in each domain, (C, A), rows sum to 1: the posterior of the domain."""
        shares = self._anchor_features.domains.T.astype(np.float64) + 1e-6
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))
