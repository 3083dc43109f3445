"""Single evaluations, small enough to lie beside a model space: of queries that tell models apart, who passed and who failed.

Of each query the id, a 4-bit encoding of its text and every model's score to a tenth are kept; its text is not. numpy only.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.regular_file import check_regular

FORMAT = 1
LARGEST = 1 << 30  # bytes of a file
PASSED, _BEST, _NONE = 5, 10, 15  # in tenths; 15: not evaluated
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)  # set in a byte


@dataclass(frozen=True, slots=True)
class EvaluatedQuery:
    """A query that the winner passed and the runner-up failed.

    Attributes:
        similarity: about the cosine between its text encoding and the request's.
        winner_score, runner_up_score: to a tenth, in [0, 1].
    """

    query_id: int
    benchmark: str
    similarity: float
    winner_score: float
    runner_up_score: float


@dataclass(frozen=True)
class Evaluations:
    """M models' evaluations on Q queries, those of one benchmark next to each other.

    Attributes:
        models: M names.
        evaluated: how many of the queries each was evaluated on.
        benchmarks: name -> number of queries, in their order.
        encoder: hash of the text encoder.
        query_ids: (Q,), integers.
        basis: (d, k), float16, orthonormal: what is kept of a text encoding.
        codes: (Q, ⌈k / 2⌉), uint8: two coordinates each.
        answered: (M, ⌈Q / 8⌉), uint8: a bit for each query that the model was evaluated on.
        tenths: uint8, two scores each: those of the first model in order of its queries, then those of the second, …
    """

    models: tuple[str, ...]
    evaluated: tuple[int, ...]
    benchmarks: dict[str, int]
    encoder: str
    query_ids: NDArray[np.int64]
    basis: NDArray[np.float16]
    codes: NDArray[np.uint8]
    answered: NDArray[np.uint8]
    tenths: NDArray[np.uint8]
    _row: dict[str, int] = field(init=False, repr=False, compare=False)
    _start: NDArray[np.int64] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        number = len(self.query_ids)
        shapes = (self.codes.shape, self.answered.shape, len(self.tenths), sum(self.benchmarks.values()))
        wanted = (
            (number, -(-self.basis.shape[1] // 2)),
            (len(self.models), -(-number // 8)),
            -(-sum(self.evaluated) // 2),
            number,
        )
        if shapes != wanted:
            raise ValueError(f"shapes {shapes}, expected {wanted}")
        if not np.array_equal(_BITS[self.answered].sum(axis=1), self.evaluated):
            raise ValueError("the numbers of evaluations are others than those of the queries marked")
        object.__setattr__(self, "_row", {name: i for i, name in enumerate(self.models)})
        object.__setattr__(self, "_start", np.concatenate([[0], np.cumsum(self.evaluated, dtype=np.int64)]))

    def __contains__(self, model: object) -> bool:
        return model in self._row

    def nearest(self, text: NDArray[np.float32], winner: str, runner_up: str, k: int) -> list[EvaluatedQuery]:
        """The k nearest of the queries that the winner passed and the runner-up failed, nearest first.

        Args:
            text: text encoding of the request, (d,).
        """
        if winner not in self or runner_up not in self:
            return []
        won, lost = self._scores(winner), self._scores(runner_up)
        rows = np.flatnonzero((won >= PASSED) & (won <= _BEST) & (lost < PASSED))
        kept = unpack(self.codes[rows], self.basis.shape[1]).astype(np.float32) - np.float32(7.5)
        asked = text @ self.basis.astype(np.float32)
        norms = np.sqrt(np.einsum("ij,ij->i", kept, kept) * (asked @ asked))
        similarity = kept @ asked / np.maximum(norms, np.float32(1e-12))
        ends = np.cumsum(list(self.benchmarks.values()))
        names = list(self.benchmarks)
        return [
            EvaluatedQuery(
                int(self.query_ids[row]),
                names[int(np.searchsorted(ends, row, side="right"))],
                float(similarity[i]),
                int(won[row]) / 10,
                int(lost[row]) / 10,
            )
            for i in np.argsort(-similarity, kind="stable")[:k].tolist()
            for row in (rows[i],)
        ]

    def _scores(self, model: str) -> NDArray[np.uint8]:
        """In tenths, (Q,)."""
        m = self._row[model]
        answered = np.unpackbits(self.answered[m], count=len(self.query_ids)).astype(np.bool_)
        positions = np.arange(self._start[m], self._start[m + 1])
        scores = np.full(len(self.query_ids), _NONE, np.uint8)
        scores[answered] = self.tenths[positions >> 1] >> (4 * (positions & 1)).astype(np.uint8) & 15
        return scores

    def save(self, path: Path) -> bytes:
        """Writes the file; returns what it wrote. The same evaluations give the same bytes."""
        from safetensors.numpy import save

        about = {
            "format": FORMAT,
            "encoder": self.encoder,
            "models": self.models,
            "evaluated": self.evaluated,
            "benchmarks": self.benchmarks,
        }
        arrays = {name: getattr(self, name) for name in ("query_ids", "basis", "codes", "answered", "tenths")}
        data = save(arrays, {"evidence": json.dumps(about, ensure_ascii=False)})  # one key: their order is not kept
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return data

    @classmethod
    def load(cls, path: Path) -> "Evaluations":
        """
        Raises:
            ArtifactError: missing, unreadable, not of this kind, or of another format.
        """
        from safetensors import SafetensorError, safe_open

        try:
            check_regular(path, LARGEST)
            with safe_open(path, framework="numpy") as file:
                about = json.loads((file.metadata() or {}).get("evidence", "{}"))
                if not isinstance(about, dict) or about.get("format") != FORMAT:
                    raise ArtifactError(f"{path}: not evidence of format {FORMAT}")
                names = ("query_ids", "basis", "codes", "answered", "tenths")
                arrays = [file.get_tensor(name) for name in names]
            models, evaluated = tuple(about["models"]), tuple(about["evaluated"])
            return cls(models, evaluated, dict(about["benchmarks"]), about["encoder"], *arrays)
        except FileNotFoundError as exc:
            raise ArtifactError(f"{path}: no such file") from exc
        except (OSError, SafetensorError, AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
            raise ArtifactError(f"{path}: not readable evidence: {exc}") from exc


def pack(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Numbers below 16, (…, n) -> (…, ⌈n / 2⌉), the first of two in the low bits."""
    if values.shape[-1] % 2:
        values = np.concatenate([values, np.zeros_like(values[..., :1])], axis=-1)
    return np.asarray(values[..., ::2] | values[..., 1::2] << 4, np.uint8)


def unpack(packed: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """(…, ⌈n / 2⌉) -> (…, n)"""
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], 2 * packed.shape[-1])[..., :n]
