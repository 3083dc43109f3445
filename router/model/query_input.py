"""What attention sees of a query, x̃: its kind, main directions of its text, its surface statistics and how hard it is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.features import SURFACE_CLIP, Features

DIRECTIONS = 32  # principal components of the text encodings
SURFACE_GAIN = 0.5
MEAN_GAIN = 4.0
PREFIX = "input."


@dataclass(frozen=True)
class QueryInput:
    """Query encodings and their features -> query inputs [benchmarks, domains, text, surface, mean], (n, d_x).

    Attributes:
        text_dim: number of text columns in an encoding.
        center: mean of the text encodings, (text_dim,), float32.
        directions: (text_dim, 32), float32: principal directions, scaled so that the components have unit variance together.
        mean, scale: of the surface statistics, (S,), as in `FeatureMap`.
    """

    text_dim: int
    center: NDArray[np.float32]
    directions: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]

    @classmethod
    def fit(
        cls, q: NDArray[np.float32], text_dim: int, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> "QueryInput":
        """The input of queries like these.

        Args:
            q: encodings of the training queries, (n, d_q).
            mean, scale: of the surface statistics.
        """
        text = q[:, :text_dim].astype(np.float64)
        center = text.mean(axis=0)
        _, vectors = np.linalg.eigh(np.cov(text.T))  # eigenvalues ascending
        directions = vectors[:, ::-1][:, :DIRECTIONS]
        directions = directions * np.where(directions.sum(axis=0) < 0, -1, 1)  # the sign of an eigenvector is arbitrary
        spread = max(float(((text - center) @ directions).std()), 1e-6)
        return cls(
            text_dim, center.astype(np.float32), np.ascontiguousarray(directions / spread, np.float32), mean, scale
        )

    @classmethod
    def restore(
        cls,
        weights: Mapping[str, NDArray[np.float32]],
        text_dim: int,
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> "QueryInput":
        """The query input in a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        return cls(text_dim, weights[f"{PREFIX}center"], weights[f"{PREFIX}directions"], mean, scale)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays for a checkpoint, without the scales of the surface statistics."""
        return {f"{PREFIX}center": self.center, f"{PREFIX}directions": self.directions}

    def noisy(self, features: Features) -> NDArray[np.float32]:
        """1 for each column that training adds noise to: text and surface, (d_x,), float32."""
        kinds = features.benchmarks.shape[1] + features.domains.shape[1]
        return np.concatenate(
            [np.zeros(kinds), np.ones(self.directions.shape[1] + len(self.mean)), np.zeros(1)], dtype=np.float32
        )

    def __call__(self, q: NDArray[np.float32], features: Features, mean: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Args:
            q: query encodings, (n, d_q).
            features: of the same queries.
            mean: the mean model at these queries, (n,).

        Returns:
            (n, d_x), float32.
        """
        text = (q[:, : self.text_dim] - self.center) @ self.directions
        surface = np.clip((q[:, self.text_dim :] - self.mean) / self.scale, -SURFACE_CLIP, SURFACE_CLIP)
        hard = MEAN_GAIN * (mean - np.float32(0.5))
        return np.concatenate(
            [features.benchmarks, features.domains, text, surface * np.float32(SURFACE_GAIN), hard[:, None]],
            axis=1,
            dtype=np.float32,
        )
