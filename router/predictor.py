"""G_ψ (Eq. 4) in numpy, bound to a list of models: what the serving process runs, without torch."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


class Predictor:
    """P(correct) of M models for any query. Equal to `router.locus.CorrectnessPredictor` to 1e-5.

    Args:
        weights: the checkpoint's parameters.
        z: embeddings of the models, (M, d), float32.
    """

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], z: NDArray[np.float32]) -> None:
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

    def p_correct(self, q: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Args:
            q: query encodings, (n, d_q), float32.

        Returns:
            (n, M), float32, in [0, 1].
        """
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
        return sigmoid(logits)


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x) without overflow, same shape, float32."""
    half: NDArray[np.float32] = 0.5 * (1.0 + np.tanh(0.5 * logits))
    return half.astype(np.float32, copy=False)
