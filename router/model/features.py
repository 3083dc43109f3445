"""Query encoding -> features ψ(x): the kind of question, and its place among the anchor queries. Read-outs are linear in ψ.

ψ goes from coarse to fine: the posterior over sources (benchmarks that share their models and prompting), over
benchmarks, over domains (the categories inside benchmarks), and a kernel between the query and the anchors. numpy only:
the serving process computes this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

ANCHORS_KEY = "anchors.q"  # of a checkpoint's arrays: the encodings of the anchors
TEXT_LENGTH = 0.7  # length scale of the kernel on unit-norm text encodings
SURFACE_LENGTH = 0.7  # length scale on standardised surface statistics, times the square root of their number
SURFACE_CLIP = 4.0  # standard deviations; a text of unusual length or form does not leave the training range further
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

    def joined(self) -> NDArray[np.float32]:
        """Rows [1, benchmarks, domains, closeness], (n, F), float32, F = 1 + B + C + A: what a model's coefficients
        apply to.
        """
        ones = np.ones((len(self.domains), 1), np.float32)
        return np.concatenate([ones, self.benchmarks, self.domains, self.closeness], axis=1)


@dataclass(frozen=True)
class FeatureMap:
    """ψ. A checkpoint has these arrays under `features.`, and the anchors under `anchors.q`. All are float32 except
    `parent`.

    Attributes:
        text_dim: number of text columns in an encoding.
        mean, scale: mean and standard deviation of the surface statistics, (S,).
        anchors: encodings of the anchor queries, (A, d_q).
        projection: closeness -> E decorrelated kernel features (Nyström), (A, E).
        hidden, hidden_bias, output, output_bias: the domain classifier, (d_q, H), (H,), (H, C), (C,).
        parent: index of each domain's benchmark, (C,), int64.
        source: index of each benchmark's source, (B,), int64.
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
    source: NDArray[np.int64]

    @classmethod
    def restore(cls, weights: Mapping[str, NDArray[np.float32]], text_dim: int) -> "FeatureMap":
        """The feature map in a checkpoint's arrays.

        Raises:
            KeyError: an array is missing.
        """
        names = ("mean", "scale", "projection", "hidden", "hidden_bias", "output", "output_bias")
        arrays = {name: np.asarray(weights[f"features.{name}"], np.float32) for name in names}
        anchors = np.asarray(weights[ANCHORS_KEY], np.float32)
        parent, source = (weights[f"features.{name}"].astype(np.int64) for name in ("parent", "source"))
        return cls(text_dim, anchors=anchors, parent=parent, source=source, **arrays)

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The arrays for a checkpoint, name -> float32 array, without the anchors."""
        names = ("mean", "scale", "projection", "hidden", "hidden_bias", "output", "output_bias", "parent", "source")
        return {f"features.{name}": np.ascontiguousarray(getattr(self, name), np.float32) for name in names}

    @property
    def width(self) -> int:
        """D = 1 + K + E, the width of a row of `design`."""
        return int(1 + self.kinds + self.projection.shape[1])

    @property
    def sources(self) -> int:
        """S, the number of sources."""
        return int(self.source.max()) + 1

    @property
    def kinds(self) -> int:
        """K = S + B + C, the number of kinds of question in `design`."""
        return self.sources + self.benchmarks + len(self.parent)

    @property
    def benchmarks(self) -> int:
        """B, the number of benchmarks."""
        return int(self.parent.max()) + 1

    def __call__(self, q: NDArray[np.float32]) -> Features:
        """Query encodings, (n, d_q), float32 -> their features."""
        x = standardised(q, self.text_dim, self.mean, self.scale)  # (n, d_q)
        hidden = np.maximum(x @ self.hidden + self.hidden_bias, 0.0)  # ReLU, (n, H)
        logits = hidden @ self.output + self.output_bias  # (n, C)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))  # softmax; the maximum is taken out against overflow
        domains = odds / odds.sum(axis=1, keepdims=True)
        return Features(domains @ self.membership, domains, self._closeness(x))

    def design(self, features: Features) -> NDArray[np.float32]:
        """ψ(x): rows [1, sources, benchmarks, domains, closeness · projection], (n, D), float32: what a read-out w is
        linear in.
        """
        ones = np.ones((len(features.domains), 1), np.float32)
        sources = features.benchmarks @ self._sources
        local = features.closeness @ self.projection
        return np.concatenate([ones, sources, features.benchmarks, features.domains, local], axis=1)

    def joined_coefficients(self, w: NDArray[np.floating]) -> NDArray[np.float32]:
        """Coefficients of `design`, (..., D), as coefficients of `Features.joined`, (..., F), float32.

        ψ·w = joined·c with c = [constant, w of a benchmark + w of its source, w of the domains, projection · w of the
        kernel terms]. This saves serving the sources and the projection of every query.
        """
        ends = np.cumsum([1, self.sources, self.benchmarks, len(self.parent)])
        constant, sources, benchmarks, domains, local = np.split(w, ends, axis=-1)
        parts = [constant, benchmarks + sources[..., self.source], domains, local @ self.projection.T]
        return np.concatenate(parts, axis=-1).astype(np.float32)

    @cached_property
    def membership(self) -> NDArray[np.float32]:
        """1 where a domain is in a benchmark, (C, B): sums posteriors over domains to posteriors over benchmarks."""
        return np.eye(self.benchmarks, dtype=np.float32)[self.parent]

    @cached_property
    def _sources(self) -> NDArray[np.float32]:
        """1 where a benchmark is of a source, (B, S)."""
        return np.eye(self.sources, dtype=np.float32)[self.source]

    @cached_property
    def _standard_anchors(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The anchors scaled for the kernel, transposed, (d_q, A), and half their squared norms, (A,)."""
        x = _for_kernel(standardised(self.anchors, self.text_dim, self.mean, self.scale), self.text_dim)
        return np.ascontiguousarray(x.T), (x**2).sum(axis=1) / 2

    def kernel_terms(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """What the exponents of the kernel of standardised encodings x with the anchors are: x·A - a - x²·p.

        Returns:
            A, (d_q, A); a, (A,); p, (d_q,), float32.
        """
        anchors, anchor_norms = self._standard_anchors
        scale = _kernel_scale(self.text_dim, len(anchors) - self.text_dim)
        return anchors / scale[:, None], anchor_norms, np.asarray(1 / (2 * scale**2), np.float32)

    def _closeness(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The kernel exp(-|x - a|² / 2) of each query with each anchor, (n, d_q) -> (n, A), float32.

        -|x - a|² / 2 = x·a - |x|² / 2 - |a|² / 2: one matrix product for all pairs, then in place.
        """
        anchors, anchor_norms = self._standard_anchors
        scaled = _for_kernel(x, self.text_dim)
        exponent = scaled @ anchors
        exponent -= anchor_norms
        exponent -= (scaled**2).sum(axis=1, keepdims=True) / 2
        np.minimum(exponent, 0.0, out=exponent)  # rounding may make the squared distance to an equal query negative
        np.exp(exponent, out=exponent)
        return exponent


def standardised(
    q: NDArray[np.float32], text_dim: int, mean: NDArray[np.float32], scale: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Encodings with text and surface on one scale: text times a gain, surface less its mean in standard deviations,
    clipped.

    Args:
        q: query encodings, (n, d_q), float32.
        text_dim: number of text columns.
        mean, scale: of the surface statistics, (S,), float32.

    Returns:
        (n, d_q), float32.
    """
    out = np.empty_like(q)
    np.multiply(q[:, :text_dim], np.float32(TEXT_GAIN), out=out[:, :text_dim])
    surface = out[:, text_dim:]
    np.subtract(q[:, text_dim:], mean, out=surface)
    surface /= scale
    np.minimum(np.maximum(surface, -SURFACE_CLIP, out=surface), SURFACE_CLIP, out=surface)
    return out


def kernel(x: NDArray[np.float32], text_dim: int) -> NDArray[np.float32]:
    """The kernel between all pairs of standardised encodings: a Gaussian on text times a Gaussian on surface.

    Args:
        x: (n, d_q), float32.

    Returns:
        (n, n), float32, in (0, 1].
    """
    scaled = _for_kernel(x, text_dim)
    norms = (scaled**2).sum(axis=1) / 2
    closeness: NDArray[np.float32] = np.exp(np.minimum(scaled @ scaled.T - norms - norms[:, None], 0.0))
    return closeness


def _for_kernel(x: NDArray[np.float32], text_dim: int) -> NDArray[np.float32]:
    """Standardised encodings divided by the length scales, so that the kernel is exp(-|a - b|² / 2), (n, d_q)."""
    return x / _kernel_scale(text_dim, x.shape[1] - text_dim)


@cache
def _kernel_scale(text_dim: int, surface_dim: int) -> NDArray[np.float32]:
    """Length scale of each column, (d_q,), float32."""
    text = np.full(text_dim, TEXT_GAIN * TEXT_LENGTH, np.float32)
    return np.append(text, np.full(surface_dim, SURFACE_LENGTH * np.sqrt(max(1, surface_dim)), np.float32))
