"""How hard known questions are: what known models scored above their own predicted P(correct), and scores corrected by it.

A question that all models find hard says little about one of them. The difficulty must be net of ability: the plain mean score of a
question depends on which models answered it. The shipped table has difficulties of questions of public benchmarks, by a key of
their text; it keeps no text and no scores.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from router.errors import ArtifactError

BETA = 1.0  # on `val`, the difficulty that other models show explains 1.03 times itself of a model's residuals
PSEUDO_MODELS = 2  # a difficulty from n models is multiplied by n / (n + 2)
TABLE = "known_difficulty.safetensors"
STEPS = 127  # of a difficulty from 0 to 1 in the table
MOST_MODELS = 255  # that the table can count
_NOT_WORDS = re.compile(r"[\W_]+")
Floats = NDArray[np.float64]


def corrected(scores: ArrayLike, difficulty: ArrayLike, known_models: ArrayLike) -> Floats:
    """Scores net of what is known of the difficulty of their questions, for `Router.embed` with `corrected=True`.

    Args:
        scores: (n,), in [0, 1].
        difficulty: what known models scored above their own predicted P(correct), mean, (n,); it counts for nothing where no model
            is known, and may be NaN there.
        known_models: how many models each difficulty comes from, (n,).

    Returns:
        (n,), float64: y - β e n / (n + 2); some lie outside [0, 1].

    Raises:
        ValueError: the lengths differ.
    """
    y, e, n = (np.asarray(values, np.float64) for values in (scores, difficulty, known_models))
    if not y.shape == e.shape == n.shape:
        raise ValueError(f"scores, difficulties and known models have the shapes {y.shape}, {e.shape} and {n.shape}")
    return y - BETA * np.where(n > 0, e, 0.0) * n / (n + PSEUDO_MODELS)


def query_key(text: str) -> int:
    """A number below 2⁶⁴ for a question: equal however its lines are broken, its marks are set and its options are marked.

    The text is the question and its options if it has any, each after its letter, without instructions on the form of the answer.
    `"Is it red?\\nA. yes\\nB. no"` has the key of `"is it red? (A) Yes (B) No"`.
    """
    words = _NOT_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest(), "little")


def known_difficulty(query_keys: Sequence[int]) -> tuple[Floats, NDArray[np.int64]]:
    """The difficulties of questions in the shipped table, and how many models each comes from.

    Args:
        query_keys: n keys by `query_key`.

    Returns:
        (n,), float64, NaN for a question that the table lacks, and (n,), int64, 0 there.

    Raises:
        ArtifactError: the table is missing or unreadable.
    """
    keys, difficulty, models = _table()
    asked = np.array(query_keys, np.uint64)
    place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    found = keys[place] == asked
    return np.where(found, difficulty[place] / STEPS, np.nan), np.where(found, models[place], 0).astype(np.int64)


def save_table(path: Path, keys: NDArray[np.uint64], difficulty: Floats, models: NDArray[np.int64]) -> None:
    """Writes a table. Equal tables give equal bytes.

    Args:
        keys: (n,), without repetitions.
        difficulty: (n,), in [-1, 1]; kept to 1/127.
        models: (n,), at least 1.
    """
    from safetensors.numpy import save

    order = np.argsort(keys)
    arrays: dict[str, NDArray[np.generic]] = {
        "keys": keys[order],
        "difficulty": np.rint(difficulty[order] * STEPS).astype(np.int8),
        "models": np.minimum(models[order], MOST_MODELS).astype(np.uint8),
    }
    path.write_bytes(save(arrays))


@cache
def _table() -> tuple[NDArray[np.uint64], NDArray[np.int8], NDArray[np.uint8]]:
    """Keys, ascending, difficulties and numbers of models of the shipped table."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = files("router.probes") / "shipped" / TABLE
    try:
        arrays = load(path.read_bytes())
        return arrays["keys"], arrays["difficulty"], arrays["models"]
    except (OSError, SafetensorError, KeyError) as exc:
        raise ArtifactError(f"{path}: not a readable table of difficulties: {exc}") from exc
