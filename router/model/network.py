"""The forward pass of LOCUS in numpy: set encoder, prior mean, learned kernel features. Trained by `router.train.network` in torch.

Weights are the torch network's, in float32, under its parameter names. Both agree within 1e-5.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 64  # of a token
HEADS = 4
LATENTS = 24
SEEDS = 2  # pooling queries; z has SEEDS * WIDTH dimensions
QUERY_WIDTH = 64  # of u, what the predictor sees of a query
HIDDEN = 64  # of the predictor
FEATURES = 16  # learned kernel features
LOG_COUNT_SCALE = 6.0  # log of a typical large number of evaluations
PRODUCT_SCALE = 8.0
LOWEST_MEAN = 0.03  # the mean model is kept this far from 0 and 1, where its log odds would say too much
EMBEDDING_DIM = SEEDS * WIDTH
DISTANCE_SCALE = 20.0  # training makes |z₁ - z₂| / 20 the root mean square difference of two models' P(correct)
PREFIX = "network."
BLOCK = 32  # queries at once, to bound the memory of predictions for many models
EPSILON = 1e-5  # torch's, of layer norms
Array = NDArray[np.float32]


@dataclass(frozen=True)
class ModelTerms:
    """What predictions need of M models' embeddings.

    Attributes:
        hidden: (HIDDEN, M), float32.
        direction: (QUERY_WIDTH, M), float32.
        offset: (M,), float32.
    """

    hidden: Array
    direction: Array
    offset: Array


class Network:
    """A trained network.

    Args:
        weights: parameter name -> array, as `state_dict` of `router.train.network.LocusNetwork` names them.

    Raises:
        KeyError: an array is missing.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}
        self._variances = np.exp(self._weights["log_variances"])  # ability, kinds, kernel, learned features
        self.noise, self.least_noise = (float(value) for value in np.exp(self._weights["log_noise"]))
        self._token_t = np.ascontiguousarray(self._weights["encoder.token.0.weight"].T)
        self._from_u_t = np.ascontiguousarray(self._weights["predictor.from_u.weight"].T)
        queries, features = "predictor.query", "features"
        first = [self._weights[f"{name}.0.weight"].T for name in (queries, features)]
        # Of queries, for u and the learned features g side by side: weights, (d_x, W), and bias, (W,).
        self.first_layers = (np.concatenate(first, axis=1), self._side_by_side(queries, features, "0.bias"))
        second = [self._weights[f"{name}.3.weight"].T for name in (queries, features)]
        self._second = np.zeros((sum(map(len, second)), QUERY_WIDTH + second[1].shape[1]), np.float32)
        self._second[: len(second[0]), :QUERY_WIDTH] = second[0]
        self._second[len(second[0]) :, QUERY_WIDTH:] = second[1]
        self._second_bias = self._side_by_side(queries, features, "3.bias")
        # The layer norm of g takes out the mean first, which is linear: it belongs to the layer before.
        learned = self._second[:, QUERY_WIDTH:]
        learned -= learned.mean(axis=1, keepdims=True)
        self._second_bias[QUERY_WIDTH:] -= self._second_bias[QUERY_WIDTH:].mean()
        self._share = np.full((second[1].shape[1], 1), 1 / second[1].shape[1], np.float32)
        self._out = self._weights["predictor.out.weight"][0]

    @classmethod
    def restore(cls, weights: Mapping[str, Array]) -> "Network":
        """The network in a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        return cls({name[len(PREFIX) :]: array for name, array in weights.items() if name.startswith(PREFIX)})

    def weights(self) -> dict[str, Array]:
        """The arrays for a checkpoint."""
        return {PREFIX + name: array for name, array in self._weights.items()}

    @property
    def input_width(self) -> int:
        """d_x, the width of a query input."""
        return int(self._weights["predictor.query.0.weight"].shape[1])

    @property
    def feature_count(self) -> int:
        """G, the number of learned kernel features."""
        return len(self._weights["features.4.bias"])

    def embed(self, x: Array, y: Array, mean: Array, mass: Array | None = None) -> Array:
        """F, Eqs. 1-3: the embedding of one model.

        Args:
            x: query inputs of its evaluations, (n, d_x), n >= 1.
            y: scores, (n,).
            mean: the mean model at the queries, m̃, (n,).
            mass: how many evaluations each one counts as, (n,), above 0: attention to it is multiplied by its mass; None: 1 each.

        Returns:
            z, (128,), float32, in units of P(correct): |z₁ - z₂| is the distance of two models.
        """
        total = float(len(x)) if mass is None else float(mass.sum(dtype=np.float64))
        if total < 1:
            y = mean + np.float32(total) * (
                y - mean
            )  # attention is relative: less than one evaluation says less than one
        residual, sign = (2 * (y - mean))[:, None], (2 * y - 1)[:, None]
        width = x.shape[1]
        # The first layer of [x, x r, x s, r, s, m̃] without making it: three products with the same x.
        first = self._token_t
        hidden = x @ first[:width]
        hidden += residual * (x @ first[width : 2 * width] + first[3 * width])
        hidden += sign * (x @ first[2 * width : 3 * width] + first[3 * width + 1])
        hidden += mean[:, None] * first[3 * width + 2] + self._weights["encoder.token.0.bias"]
        tokens = self._linear(silu(hidden), "encoder.token.2")
        latents = self._block("encoder.bottleneck.gather", self._weights["encoder.bottleneck.latents"], tokens, mass)
        tokens = self._block("encoder.bottleneck.spread", tokens, latents)
        pooled = self._block("encoder.pool", self._weights["encoder.seeds"], tokens, mass).reshape(1, -1)
        count = np.array([[math.log(max(total, 1.0)) / LOG_COUNT_SCALE]], np.float32)
        z = self._linear(pooled + self._linear(count, "encoder.count"), "encoder.out")[0]
        return np.asarray(z / np.float32(DISTANCE_SCALE))

    def query_terms(self, x: Array) -> tuple[Array, Array]:
        """Query inputs, (n, d_x) -> u, (n, QUERY_WIDTH), for `log_odds`, and the learned features g, (n, FEATURES)."""
        first, bias = self.first_layers
        return self.second_layers(x @ first + bias)

    def second_layers(self, hidden: Array) -> tuple[Array, Array]:
        """As `query_terms`, from the product with `first_layers`, (n, W), which this changes."""
        np.maximum(hidden, 0, out=hidden)
        out = hidden @ self._second
        out += self._second_bias
        g = out[:, QUERY_WIDTH:]
        g /= np.sqrt((g * g) @ self._share + _EPSILON)
        g *= self._weights["features.4.weight"]
        g += self._weights["features.4.bias"]
        return out[:, :QUERY_WIDTH], g

    def model_terms(self, z: Array) -> ModelTerms:
        """Embeddings, (M, 128) -> what `log_odds` needs of them."""
        z = z * np.float32(DISTANCE_SCALE)
        direction = (
            z @ self._weights["predictor.bilinear.weight"].T / np.float32(PRODUCT_SCALE)
        ).T  # (QUERY_WIDTH + 1, M)
        hidden = np.ascontiguousarray(self._linear(z, "predictor.from_z").T)
        return ModelTerms(hidden, np.ascontiguousarray(direction[1:]), direction[0].copy())

    def log_odds(self, u: Array, models: ModelTerms) -> Array:
        """G, Eq. 4: by how much each model's log odds differ from the mean model's, (n, M), float32."""
        from_u = u @ self._from_u_t
        out: Array = u @ models.direction + models.offset
        for start in range(0, len(u), BLOCK):
            hidden = from_u[start : start + BLOCK, :, None] + models.hidden  # (BLOCK, HIDDEN, M)
            np.maximum(hidden, 0, out=hidden)
            out[start : start + BLOCK] += self._out @ hidden
        return out

    def variances(self, z: Array) -> NDArray[np.float64]:
        """Prior variances of one model's deviation: ability, kinds, kernel, learned features; z (128,) -> (4,), float64."""
        scales = np.exp(np.tanh(self._linear(z * np.float32(DISTANCE_SCALE), "scales")))
        return np.append(scales, np.float32(1)).astype(np.float64) * self._variances

    def spread(self, prior: Array) -> Array:
        """Variance of a score around its probability, S = σ² max(μ(1 - μ), f), where the prior mean is μ, (n,)."""
        return np.asarray(self.noise * np.maximum(prior * (1 - prior), self.least_noise), np.float32)

    def _side_by_side(self, first: str, second: str, part: str) -> Array:
        return np.concatenate([self._weights[f"{first}.{part}"], self._weights[f"{second}.{part}"]])

    def _linear(self, x: Array, name: str) -> Array:
        out: Array = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return out

    def _block(self, name: str, queries: Array, items: Array, mass: Array | None = None) -> Array:
        """TBlock (see `router.train.attention`): queries (q, d) attend to items (k, d), each as often as its mass -> (q, d)."""
        width = WIDTH // HEADS
        q = self._linear(queries, f"{name}.query").reshape(-1, HEADS, width).transpose(1, 0, 2)  # (heads, q, width)
        key_value = self._linear(items, f"{name}.key_value").reshape(-1, 2, HEADS, width).transpose(1, 2, 0, 3)
        k, v = key_value  # (heads, k, width) each
        scores = q @ k.transpose(0, 2, 1) / np.float32(math.sqrt(width))
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        if mass is not None:
            scores *= mass
        attended = (scores @ v) / scores.sum(axis=-1, keepdims=True)
        attended = attended.transpose(1, 0, 2).reshape(len(queries), WIDTH)
        x: Array = self._norm(queries + self._linear(attended, f"{name}.out"), f"{name}.norm_attention")
        hidden = silu(self._linear(x, f"{name}.feed_forward.0"))
        return self._norm(x + self._linear(hidden, f"{name}.feed_forward.2"), f"{name}.norm_out")

    def _norm(self, x: Array, name: str) -> Array:
        return _layer_norm(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])


def silu(x: Array) -> Array:
    """x σ(x), any shape, float32. The clip keeps the exponential finite; beyond it the result is 0 or x in float32."""
    out: Array = x / (1 + np.exp(np.minimum(-x, 80)))
    return out


def sigmoid(x: Array) -> Array:
    """σ(x), any shape, float32."""
    out: Array = np.exp(np.minimum(-x, _LARGEST))
    out += _ONE
    return np.reciprocal(out, out=out)


def _layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    out: Array = centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON) * weight + bias
    return out


_EPSILON, _ONE, _LARGEST = np.float32(EPSILON), np.float32(1), np.float32(80)
