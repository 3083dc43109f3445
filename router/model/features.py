"""Query encoding -> features ψ(x) that models are read out on: which kind of question it is, and where it lies among them.

Three scales, coarse to fine: the posterior over benchmarks, the posterior over domains (the categories inside benchmarks),
and a kernel between the query and the anchors. numpy only: the serving process computes this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

TEXT_LENGTH = 0.7  # length scale of the kernel on unit-norm text encodings
SURFACE_LENGTH = 0.7  # length scale on standardised surface statistics, per square root of their number
SURFACE_CLIP = 4.0  # standard deviations
TEXT_GAIN = 4.0  # brings text encodings to the scale of the surface statistics, for the classifier


@dataclass(frozen=True)
class Features:
    """Features of n queries.

    Attributes:
        benchmarks: posterior over B benchmarks, (n, B), rows sum to 1.
        domains: posterior over C domains, (n, C), rows sum to 1; each domain lies in one benchmark.
        closeness: kernel with each anchor, (n, A), in (0, 1].
    """

    benchmarks: NDArray[np.float32]
    domains: NDArray[np.float32]
    closeness: NDArray[np.float32]


@dataclass(frozen=True)
class FeatureMap:
    """ψ. Its arrays are those of a checkpoint under `features.`.

    Attributes:
        text_dim: width of the text part of an encoding.
        mean, scale: of the surface statistics, (S,).
        anchors: encodings of the anchor queries, (A, d_q).
        projection: closeness -> E decorrelated kernel features (Nyström), (A, E).
        hidden, hidden_bias, output, output_bias: the domain classifier, (d_q, H), (H,), (H, C), (C,).
        parent: benchmark of each domain, (C,).
    """

    text_dim: int
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    anchors: NDArray[np.float32]
    projection: NDArray[np.float32]
    hidden: NDArray[np.float32]
    hidden_bias: NDArray[np.float32]
    output: NDArray[np.float32]
    output_bias: NDArray[np.float32]
    parent: NDArray[np.int64]

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]], text_dim: int) -> "FeatureMap":
        """From a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        names = ("mean", "scale", "projection", "hidden", "hidden_bias", "output", "output_bias")
        arrays = {name: np.asarray(weights[f"features.{name}"], np.float32) for name in names}
        anchors = np.asarray(weights["anchors.q"], np.float32)
        return cls(text_dim, anchors=anchors, parent=weights["features.parent"].astype(np.int64), **arrays)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Its arrays as a checkpoint keeps them, but for the anchors."""
        names = ("mean", "scale", "projection", "hidden", "hidden_bias", "output", "output_bias", "parent")
        return {f"features.{name}": np.ascontiguousarray(getattr(self, name), np.float32) for name in names}

    @property
    def width(self) -> int:
        """D = 1 + B + C + E, the width of a row of `design`."""
        return int(1 + self.benchmarks + len(self.parent) + self.projection.shape[1])

    @property
    def benchmarks(self) -> int:
        """B."""
        return int(self.parent.max()) + 1

    def __call__(self, q: NDArray[np.float32]) -> Features:
        """(n, d_q) encodings -> features."""
        x = standardised(q, self.text_dim, self.mean, self.scale)
        hidden = np.maximum(x @ self.hidden + self.hidden_bias, 0.0)
        logits = hidden @ self.output + self.output_bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        domains = odds / odds.sum(axis=1, keepdims=True)
        return Features(domains @ self._membership, domains, self._closeness(x))

    def design(self, features: Features) -> NDArray[np.float32]:
        """Rows [1, benchmarks, domains, closeness · projection], (n, D): what a read-out is linear in."""
        ones = np.ones((len(features.domains), 1), np.float32)
        return np.concatenate(
            [ones, features.benchmarks, features.domains, features.closeness @ self.projection], axis=1
        )

    def folded(self, w: NDArray[np.float64]) -> NDArray[np.float32]:
        """Coefficients of `design`, (..., D), as coefficients of [1, benchmarks, domains, closeness], (..., F), float32."""
        plain = w.shape[-1] - self.projection.shape[1]
        return np.concatenate([w[..., :plain], w[..., plain:] @ self.projection.T], axis=-1).astype(np.float32)

    @cached_property
    def _membership(self) -> NDArray[np.float32]:
        return np.eye(self.benchmarks, dtype=np.float32)[self.parent]

    @cached_property
    def _standard_anchors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        x = _for_kernel(standardised(self.anchors, self.text_dim, self.mean, self.scale), self.text_dim)
        return np.ascontiguousarray(x.T), (x**2).sum(axis=1) / 2

    def _closeness(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        anchors, anchor_norms = self._standard_anchors
        scaled = _for_kernel(x, self.text_dim)
        exponent = scaled @ anchors
        exponent -= anchor_norms
        exponent -= (scaled**2).sum(axis=1, keepdims=True) / 2
        np.minimum(exponent, 0.0, out=exponent)
        np.exp(exponent, out=exponent)
        return exponent


def standardised(
    q: NDArray[np.float32], text_dim: int, mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Encodings with text and surface on one scale, (n, d_q)."""
    out = np.empty_like(q)
    np.multiply(q[:, :text_dim], np.float32(TEXT_GAIN), out=out[:, :text_dim])
    surface = out[:, text_dim:]
    np.subtract(q[:, text_dim:], mean, out=surface)
    surface /= scale
    np.minimum(np.maximum(surface, -SURFACE_CLIP, out=surface), SURFACE_CLIP, out=surface)
    return out


def kernel(x: NDArray[np.float32], text_dim: int) -> NDArray[np.float32]:
    """Gaussian kernel on text times Gaussian kernel on surface between standardised encodings, (n, n)."""
    scaled = _for_kernel(x, text_dim)
    norms = (scaled**2).sum(axis=1) / 2
    closeness: NDArray[np.float32] = np.exp(np.minimum(scaled @ scaled.T - norms - norms[:, None], 0.0))
    return closeness


def _for_kernel(x: NDArray[np.float32], text_dim: int) -> NDArray[np.float32]:
    """Scaled so that the kernel is exp(-|a - b|² / 2)."""
    return x / _kernel_scale(text_dim, x.shape[1] - text_dim)


@cache
def _kernel_scale(text_dim: int, surface_dim: int) -> NDArray[np.float32]:
    text = np.full(text_dim, TEXT_GAIN * TEXT_LENGTH, np.float32)
    return np.append(text, np.full(surface_dim, SURFACE_LENGTH * np.sqrt(max(1, surface_dim)), np.float32))
