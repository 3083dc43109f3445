"""G_ψ (Eq. 4) and the local term in numpy, bound to a list of models: what the serving process runs, without torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class Predictor:
    """P(correct) of M models for any query. Equal to `router.locus.Locus` to 1e-5.

    Args:
        weights: the checkpoint's parameters.
        temperature: of the local term's regions, as configured in training.
        z: embeddings of the models, (M, d), float32.
        profiles: their local means, (M, K), float32.
    """

    def __init__(
        self,
        weights: Mapping[str, NDArray[np.float32]],
        temperature: float,
        z: NDArray[np.float32],
        profiles: NDArray[np.float32],
    ) -> None:
        width = z.shape[1]
        first, bias = weights["predictor.mlp.0.weight"], weights["predictor.mlp.0.bias"]
        of_z, of_x, of_product = first[:, :width], first[:, width : 2 * width], first[:, 2 * width :]
        self._z = z
        self._project_t = np.ascontiguousarray(weights["predictor.project.weight"].T)
        self._from_z = z @ of_z.T + bias  # (M, h): does not depend on the query
        self._from_x_t = np.ascontiguousarray(of_x.T)
        self._from_product_t = np.ascontiguousarray(of_product.T)
        self._last = weights["predictor.mlp.2.weight"][0]
        self._last_bias = weights["predictor.mlp.2.bias"][0]
        self._regions_t = np.ascontiguousarray(weights["local.regions"].T / np.float32(temperature))
        self._profiles_t = np.ascontiguousarray(profiles.T)
        self._scale = weights["local.scale"]

    def p_correct(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Args:
            q: query encodings, (n, d_q), float32.

        Returns:
            (n, M), float32, in [0, 1].
        """
        return sigmoid(self.from_embedding(q) + self.from_profile(q))

    def from_embedding(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds of G_ψ, (n, M)."""
        x = q @ self._project_t
        from_x = x @ self._from_x_t
        logits = np.empty((len(q), len(self._z)), np.float32)
        for i in range(len(q)):
            hidden = (self._z * x[i]) @ self._from_product_t
            hidden += self._from_z
            hidden += from_x[i]
            np.maximum(hidden, 0.0, out=hidden)
            logits[i] = hidden @ self._last
        logits += self._last_bias
        return logits

    def from_profile(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """Log-odds of the local term, (n, M)."""
        closeness = q @ self._regions_t
        weight = np.exp(closeness - closeness.max(axis=1, keepdims=True))
        weight /= weight.sum(axis=1, keepdims=True)
        p = weight @ self._profiles_t
        local: NDArray[np.float32] = self._scale * np.log(p / (1 - p))
        return local


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x) without overflow, same shape, float32."""
    half: NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return half.astype(np.float32, copy=False)
