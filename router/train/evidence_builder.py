"""Evaluation data -> the few evaluations that are kept beside a model space: see `router.model.evidence_file`."""

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from router.data.dataset import Dataset
from router.model.anchors import shares
from router.model.evidence_file import NOT_EVALUATED, PASSED, Evaluations

NUMBER = 32_768  # queries at most
DIMENSIONS = 160  # that are kept of a text encoding
CLIP = 4.0  # standard deviations of a coordinate, to either side of 0, that the levels of an int8 code span
PASS_SCORE = PASSED / 10


def gather(
    data: Dataset, text: NDArray[np.float32], encoder: str, split: str = "train", number: int = NUMBER
) -> Evaluations:
    """What is kept of a split: queries that some model passed and some other failed; the others are no evidence.

    Where there are more than `number`, each benchmark gives a share by the square root of its size, drawn at random. Same data,
    same bytes, on one kind of CPU.

    Args:
        text: text encodings of all queries, (Q, d), unit-norm.
        encoder: hash of the encoder.
    """
    in_split = data.where(split)
    models = np.flatnonzero((~np.isnan(data.scores[:, in_split])).any(axis=1))
    rows, benchmarks = _choose(data, in_split, number)
    scores = data.scores[np.ix_(models, rows)]
    with threadpool_limits(1):  # how a product is divided among threads changes its last bits
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
    """Indices of the queries that are kept, benchmark by benchmark, and how many each gives."""
    scores = data.scores[:, in_split]
    telling = in_split[(scores >= PASS_SCORE).any(axis=0) & (scores < PASS_SCORE).any(axis=0)]
    names, sizes = np.unique(data.benchmarks[telling], return_counts=True)
    if not len(names):
        return telling, {}
    counts = shares(sizes, number)
    rng = np.random.default_rng(number)
    chosen = [
        np.sort(rng.permutation(telling[data.benchmarks[telling] == name])[:count])
        for name, count in zip(names, counts, strict=True)
    ]
    return np.concatenate(chosen), {name: int(n) for name, n in zip(names.tolist(), counts, strict=True) if n}


def _basis(text: NDArray[np.float32]) -> NDArray[np.float16]:
    """The directions that hold most of the encodings, turned at random so that each coordinate holds as much: (d, k)."""
    x = text.astype(np.float64)
    _, vectors = np.linalg.eigh(x.T @ x)
    kept = vectors[:, ::-1][:, :DIMENSIONS]
    turn, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((kept.shape[1], kept.shape[1])))
    return np.ascontiguousarray(kept @ turn, np.float16)


def _codes(text: NDArray[np.float32], basis: NDArray[np.float16]) -> NDArray[np.int8]:
    """Coordinates in the basis, (Q, k), in 255 levels around 0, relative to the row's length: only its direction counts."""
    kept = text @ basis.astype(np.float32)
    deviation = np.linalg.norm(kept, axis=1, keepdims=True) / np.sqrt(np.float32(basis.shape[1]))
    levels = np.rint(kept / np.maximum(deviation, np.float32(1e-12)) * np.float32(127 / CLIP))
    return np.asarray(np.clip(levels, -127, 127), np.int8)


def _tenths(scores: NDArray[np.float32]) -> NDArray[np.int8]:
    """Scores rounded to tenths, but never across the line between failed and passed: 0.48 -> 4. NaN: not evaluated."""
    tenths = np.rint(scores * 10)
    tenths = np.where(scores < PASS_SCORE, np.minimum(tenths, PASSED - 1), tenths)
    return np.where(np.isnan(scores), NOT_EVALUATED, np.nan_to_num(tenths)).astype(np.int8)
