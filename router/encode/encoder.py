"""The query encoding φ(x) of a text: a text encoding of unit norm, followed by surface statistics of the text, float32."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from router.encode.surface import DIM as SURFACE_DIM
from router.encode.surface import surface

MAX_TOKENS = 512
MAX_CHARS = 4_000  # texts are cut before tokenising, so that the cost of a long text is bounded


class TextEncoder(Protocol):
    """Encodes texts as vectors.

    Attributes:
        spec: the argument of `load_encoder` that names it.
        hash: SHA-256 of the weights and vocabulary. Artefacts made with another encoder are refused by it.
        dim: width of an encoding.
        quick: True if one text takes a fraction of a millisecond, so that it may run on the event loop.
    """

    spec: str
    hash: str
    dim: int
    quick: bool

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodings of `texts`, (n, dim), float32, of unit norm. Tokens after the first 512 of a text are ignored."""
        ...


class QueryEncoder:
    """φ of the paper: a text encoding followed by the surface statistics of the text.

    Attributes:
        spec, hash, quick: those of the text encoder.
        text_dim: width of the text encoding, the first columns.
        dim: width of a query encoding, d_q = text_dim + 34.
    """

    def __init__(self, text: TextEncoder) -> None:
        self._text = text
        self.spec = text.spec
        self.hash = text.hash
        self.quick = text.quick
        self.text_dim = text.dim
        self.dim = text.dim + SURFACE_DIM

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encodings of `texts`, (n, d_q), float32; the first `text_dim` columns have unit norm."""
        return np.concatenate([self._text.encode(texts), surface(texts)], axis=1)


def normalise(encodings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit norm, (n, d_q); a row of zeros becomes the first unit vector."""
    norms = np.sqrt(np.add.reduce(encodings * encodings, axis=1, keepdims=True))
    empty = norms[:, 0] < 1e-12
    if not empty.any():
        return np.ascontiguousarray(encodings / norms, np.float32)
    out = encodings / np.where(norms < 1e-12, 1.0, norms)
    out[empty] = 0.0
    out[empty, 0] = 1.0
    return np.ascontiguousarray(out, np.float32)
