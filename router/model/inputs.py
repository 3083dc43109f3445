"""What callers of the router give: texts or their encodings, scores and weights. Wrong ones are refused with their names."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from router.encode.encoder import QueryEncoder
from router.model.embedding import Embedding, Embeddings

T = TypeVar("T")


def encodings_of(encoder: QueryEncoder, texts: Sequence[str] | NDArray[np.floating]) -> NDArray[np.float32]:
    """Query encodings of texts, or the checked encodings themselves, (n, d_q), float32.

    Raises:
        TypeError: `texts` is a single string.
        ValueError: encodings of another width.
    """
    if not isinstance(texts, np.ndarray):
        return encoder.encode(list(sequence("texts", texts)))
    if texts.dtype.kind != "f":
        return encoder.encode([str(text) for text in texts])  # an array of texts
    if texts.ndim != 2 or texts.shape[1] != encoder.dim:
        raise ValueError(f"expected encodings of shape (n, {encoder.dim}), got {texts.shape}")
    return np.ascontiguousarray(texts, np.float32)


def checked_scores(
    number: int, scores: ArrayLike, weights: ArrayLike | None, *, corrected: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Scores and weights of so many queries, (n,), float32.

    Raises:
        ValueError: as for `Router.embed`; names the first wrong score.
    """
    y = np.asarray(scores, np.float32)
    if y.shape != (number,):
        raise ValueError(f"{number} texts, but scores of shape {y.shape}; expected one score for each text")
    wrong = np.flatnonzero(~np.isfinite(y) if corrected else ~((y >= 0) & (y <= 1)))  # NaN is wrong too
    if len(wrong):
        expected = "a finite number" if corrected else "a number from 0 to 1"
        raise ValueError(f"score {int(wrong[0])} is {y[wrong[0]]}, expected {expected}")
    return y, None if weights is None else np.asarray(weights, np.float32)


def sequence(name: str, values: Sequence[T]) -> Sequence[T]:
    """The values themselves.

    Raises:
        TypeError: they are a single string, whose characters would be taken for values.
    """
    if isinstance(values, str):
        raise TypeError(f"{name} is a single string, expected a sequence of them")
    return values


def as_wide(model: Embedding, space: Embeddings) -> Embeddings:
    """An embedding beside those of a space.

    Raises:
        ValueError: the arrays of the embedding are not as wide as those of the space.
    """
    one = Embeddings.of([model])
    if one.widths() != space.widths():
        raise ValueError(f"the embedding has the shapes {one.widths()}, this checkpoint has {space.widths()}")
    return one
