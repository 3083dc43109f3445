"""Query encodings -> all that predictions need of queries. Everything that is linear in an encoding is one matrix product.

The result is that of `FeatureMap`, `QueryInput`, `Network.query_terms` and `General`, up to rounding, in half of their time:
serving one query costs as much for each call of numpy as for its arithmetic. numpy only.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router.model.features import SURFACE_CLIP, TEXT_GAIN, FeatureMap, Features
from router.model.general import KNOTS, General, GeneralTerms
from router.model.network import LOWEST_MEAN, Network
from router.model.query_input import MEAN_GAIN, SURFACE_GAIN, QueryInput
from router.model.soft_clip import soft_clip

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """What predictions need of n queries.

    Attributes:
        features: their features.
        design: `Features.joined` and the learned features, (n, F + G), float32.
        mean: the mean model's expected score, before it is clipped, (n,), float32.
        odds: log odds of the mean model, (n,), float32.
        u: what the predictor network sees of them, (n, 64), float32.
        general: how familiar and how difficult they are.
    """

    features: Features
    design: NDArray[np.float32]
    mean: NDArray[np.float32]
    odds: NDArray[np.float32]
    u: NDArray[np.float32]
    general: GeneralTerms


class QueryReader:
    """Reads queries.

    The columns of the matrix, applied to standardised encodings x: the classifier's hidden layer, the products with the anchors,
    the text and surface part of the network's first layers, and the heads of the general term as far as they are linear.

    Args:
        features, inputs, network, general: of one checkpoint; all standardise the surface statistics alike.
        mean: the mean model's coefficients on `Features.joined`, (F,).
    """

    def __init__(
        self, features: FeatureMap, mean: Array, inputs: QueryInput, network: Network, general: General
    ) -> None:
        self._general, self._network = general, network
        self._shift = np.concatenate([np.zeros(features.text_dim, np.float32), features.mean])
        gain = np.full(features.text_dim, TEXT_GAIN, np.float32)
        self._gain = np.concatenate([gain, 1 / features.scale]).astype(np.float32)
        self._text_dim = features.text_dim
        anchors, norms, self._half_precision = features.kernel_terms()
        first, first_bias = network.first_layers  # (d_x, W), (W,)
        kinds = features.benchmarks + len(features.parent)
        benchmarks, domains, text, surface, hard = np.split(
            first,
            np.cumsum([features.benchmarks, len(features.parent), inputs.directions.shape[1], len(features.mean)]),
        )
        assert len(first) == kinds + inputs.directions.shape[1] + len(features.mean) + 1
        text = inputs.directions @ text
        self._kinds = np.ascontiguousarray(domains + benchmarks[features.parent])  # (C, W)
        self._hard = np.ascontiguousarray(MEAN_GAIN * hard[0])
        below, above = np.split(general.surface, [len(features.mean)])  # the lowest knot is the lower clip of x
        self._above = np.ascontiguousarray(above)
        self._matrix = np.concatenate(
            [
                features.hidden,
                anchors,
                np.concatenate([text / TEXT_GAIN, SURFACE_GAIN * surface]),
                np.concatenate([general.text / TEXT_GAIN, below]),
            ],
            axis=1,
            dtype=np.float32,
        )
        bias = first_bias - inputs.center @ text - self._hard / 2
        self._bias = np.concatenate([features.hidden_bias, -norms, bias, general.intercept]).astype(np.float32)
        parts = (features.hidden.shape[1], anchors.shape[1], first.shape[1])
        self._ends = np.cumsum(parts).tolist()
        self._output, self._output_bias, self._membership = features.output, features.output_bias, features.membership
        self._ones = np.ones((len(features.parent), 1), np.float32)  # such a product is a quicker sum
        self._mean = mean

    def __call__(self, q: Array, *, graded: bool = False) -> Asked:
        """Query encodings, (n, d_q), float32 -> what predictions need of them.

        Args:
            graded: see `General.__call__`.
        """
        x = q - self._shift
        x *= self._gain
        surface = x[:, self._text_dim :]
        np.minimum(np.maximum(surface, -_CLIP, out=surface), _CLIP, out=surface)
        linear = x @ self._matrix
        linear += self._bias
        classes, anchors, network = self._ends
        design, features = self._features(linear[:, :classes], linear[:, classes:anchors], x)
        learned = len(self._mean)
        mean: Array = design[:, :learned] @ self._mean
        hidden = linear[:, anchors:network]
        hidden += features.domains @ self._kinds
        hidden += mean[:, None] * self._hard
        u, design[:, learned:] = self._network.second_layers(hidden)
        heads = linear[:, network:]
        heads += np.maximum(surface[:, None], _KNOTS).reshape(len(x), len(self._above)) @ self._above
        return Asked(
            features, design, mean, log_odds(mean), u, self._general.terms(heads, q[:, self._text_dim :], graded=graded)
        )

    def _features(self, hidden: Array, exponent: Array, x: Array) -> tuple[Array, Features]:
        """Rows [1, benchmarks, domains, closeness, not yet set], (n, F + G), and their parts."""
        np.maximum(hidden, 0, out=hidden)  # ReLU
        domains = hidden @ self._output
        domains += self._output_bias
        domains -= domains.max(axis=1, keepdims=True)  # softmax; the maximum is taken out against overflow
        np.exp(domains, out=domains)
        first = 1 + self._membership.shape[1]
        second = first + domains.shape[1]
        design = np.empty((len(x), len(self._mean) + self._network.feature_count), np.float32)
        design[:, 0] = 1
        np.divide(domains, domains @ self._ones, out=design[:, first:second])
        np.matmul(design[:, first:second], self._membership, out=design[:, 1:first])
        exponent -= ((x * x) @ self._half_precision)[:, None]
        np.minimum(exponent, 0, out=exponent)  # rounding may make the squared distance to an equal query negative
        closeness = np.exp(exponent, out=design[:, second : len(self._mean)])
        return design, Features(design[:, 1:first], design[:, first:second], closeness)


def log_odds(mean: Array) -> Array:
    """Log odds of the mean model's expected scores, any shape; they are bent into [0, 1] and kept from its ends."""
    p = np.minimum(np.maximum(soft_clip(mean), _LOWEST), 1 - _LOWEST)
    odds: Array = np.log(p / (1 - p))
    return odds


_CLIP, _LOWEST = np.float32(SURFACE_CLIP), np.float32(LOWEST_MEAN)
_KNOTS = np.array(KNOTS[1:], np.float32)[:, None]
