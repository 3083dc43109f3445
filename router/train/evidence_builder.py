"""Evaluation data -> the evidence file beside a model space: a sample of queries that tell models apart.

See `router.model.evidence_file` for the format.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from router.data.dataset import Dataset
from router.model.anchors import shares
from router.model.evidence_file import NOT_EVALUATED, PASSED, Evaluations

NUMBER = 32_768  # queries at most
DIMENSIONS = 160  # of the text encoding that are kept
CLIP = 4.0  # standard deviations of a coordinate that the levels of an int8 code reach, on either side of 0
PASS_SCORE = PASSED / 10  # a score of at least this is a pass


def build_evidence(
    data: Dataset,
    text: NDArray[np.float32],
    encoder: str,
    split: str = "train",
    number: int = NUMBER,
    excluded: Collection[str] = (),
) -> Evaluations:
    """The evidence of a split: queries that at least one model passed and another one failed.

    If there are more than `number`, each benchmark gives a share by the square root of its size, drawn at random. The same data
    gives the same bytes on one kind of CPU.

    Args:
        data: the evaluations.
        text: text encodings of all queries, (Q, d), float32, unit-norm.
        encoder: hash of the encoder.
        split: "train", "val" or "test".
        number: of queries at most.
        excluded: benchmarks that are left out.
    """
    in_split = np.flatnonzero((data.splits == split) & ~np.isin(data.benchmarks, list(excluded)))
    models = np.flatnonzero((~np.isnan(data.scores[:, in_split])).any(axis=1))
    rows, benchmarks = _choose(data, in_split, number)
    scores = data.scores[np.ix_(models, rows)]
    with threadpool_limits(1):  # the last bits of a product depend on how it is divided among threads
        basis = _basis(text[rows])
        codes = _codes(text[rows], basis)
    return Evaluations(
        tuple(data.models[m] for m in models),
        benchmarks,
        encoder,
        np.ascontiguousarray(data.query_ids[rows], np.int64),
        basis,
        codes,
        _tenths(scores),
    )


def _choose(data: Dataset, in_split: NDArray[np.int64], number: int) -> tuple[NDArray[np.int64], dict[str, int]]:
    """Indices of the queries that are kept, adjacent by benchmark, and the number from each benchmark."""
    scores = data.scores[:, in_split]
    informative = in_split[(scores >= PASS_SCORE).any(axis=0) & (scores < PASS_SCORE).any(axis=0)]
    names, sizes = np.unique(data.benchmarks[informative], return_counts=True)
    if not len(names):
        return informative, {}
    counts = shares(sizes, number)
    rng = np.random.default_rng(number)
    chosen = [
        np.sort(rng.permutation(informative[data.benchmarks[informative] == name])[:count])
        for name, count in zip(names, counts, strict=True)
    ]
    return np.concatenate(chosen), {name: int(n) for name, n in zip(names.tolist(), counts, strict=True) if n}


def _basis(text: NDArray[np.float32]) -> NDArray[np.float16]:
    """The principal directions of the encodings, rotated at random: (d, k), float16, orthonormal to its precision.

    The rotation spreads the variance evenly over the coordinates, so that one scale suits the int8 codes of all of them.
    """
    x = text.astype(np.float64)
    _, vectors = np.linalg.eigh(x.T @ x)  # (d, d), eigenvalues ascending
    principal = vectors[:, ::-1][:, :DIMENSIONS]
    rotation, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((principal.shape[1], principal.shape[1])))
    return np.ascontiguousarray(principal @ rotation, np.float16)


def _codes(text: NDArray[np.float32], basis: NDArray[np.float16]) -> NDArray[np.int8]:
    """Coordinates in the basis as int8 codes, (Q, d) -> (Q, k): 255 levels around 0, in standard deviations of the row.

    Codes are used for cosines only, so the length of a row is not kept.
    """
    coordinates = text @ basis.astype(np.float32)  # (Q, k)
    deviation = np.linalg.norm(coordinates, axis=1, keepdims=True) / np.sqrt(np.float32(basis.shape[1]))  # (Q, 1)
    levels = np.rint(coordinates / np.maximum(deviation, np.float32(1e-12)) * np.float32(127 / CLIP))
    return np.asarray(np.clip(levels, -127, 127), np.int8)


def _tenths(scores: NDArray[np.float32]) -> NDArray[np.int8]:
    """Scores rounded to tenths, same shape, int8. A failed score stays failed: 0.48 -> 4, not 5. NaN -> `NOT_EVALUATED`."""
    tenths = np.rint(scores * 10)
    tenths = np.where(scores < PASS_SCORE, np.minimum(tenths, PASSED - 1), tenths)
    return np.where(np.isnan(scores), NOT_EVALUATED, np.nan_to_num(tenths)).astype(np.int8)
