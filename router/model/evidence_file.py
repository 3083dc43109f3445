"""The evidence file beside a model space: evaluated queries, and which model passed or failed each of them.

For each query it keeps the id, an int8 encoding of its text, and every model's score rounded to a tenth. It keeps no text.
Reading it needs numpy only.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.regular_file import check_regular

FORMAT = 2
MAX_FILE_BYTES = 1 << 30
PASSED = 5  # tenths: a score of 0.5 or more counts as passed
NOT_EVALUATED = -1
ARRAYS = {"query_ids": np.int64, "basis": np.float16, "codes": np.int8, "tenths": np.int8}


@dataclass(frozen=True, slots=True)
class EvaluatedQuery:
    """A query that the winner passed and the runner-up failed.

    Attributes:
        similarity: approximate cosine between its text encoding and the request's.
        winner_score, runner_up_score: rounded to a tenth, in [0, 1].
    """

    query_id: int
    benchmark: str
    similarity: float
    winner_score: float
    runner_up_score: float


@dataclass(frozen=True)
class Evaluations:
    """Scores of M models on Q queries. The queries of one benchmark are adjacent.

    Attributes:
        models: M names.
        benchmarks: name -> number of queries, in their order.
        encoder: hash of the text encoder.
        query_ids: (Q,), int64.
        basis: (d, k), float16, orthonormal: the directions of a text encoding that are kept.
        codes: (Q, k), int8: coordinates in that basis. A row's length means nothing; only its direction counts.
        tenths: (M, Q), int8: scores from 0 to 10, or `NOT_EVALUATED`.
    """

    models: tuple[str, ...]
    benchmarks: dict[str, int]
    encoder: str
    query_ids: NDArray[np.int64]
    basis: NDArray[np.float16]
    codes: NDArray[np.int8]
    tenths: NDArray[np.int8]
    _row: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, dtype in ARRAYS.items():
            if getattr(self, name).dtype != dtype:
                raise ValueError(f"{name} is {getattr(self, name).dtype}, expected {np.dtype(dtype)}")
        queries = len(self.query_ids)
        shapes = (self.codes.shape, self.tenths.shape, sum(self.benchmarks.values()))
        expected = ((queries, self.basis.shape[1]), (len(self.models), queries), queries)
        if shapes != expected:
            raise ValueError(f"shapes {shapes}, expected {expected}")
        if self.tenths.size and not NOT_EVALUATED <= self.tenths.min() <= self.tenths.max() <= 10:
            raise ValueError(f"a score is outside 0 to 10 and not {NOT_EVALUATED}")
        object.__setattr__(self, "_row", {name: i for i, name in enumerate(self.models)})

    def __contains__(self, model: object) -> bool:
        return model in self._row

    @property
    def evaluation_count(self) -> int:
        """The number of (model, query) pairs with a score."""
        return int((self.tenths != NOT_EVALUATED).sum())

    def nearest(self, text: NDArray[np.float32], winner: str, runner_up: str, k: int) -> list[EvaluatedQuery]:
        """The k queries nearest to a request that the winner passed and the runner-up failed, nearest first.

        Args:
            text: text encoding of the request, (d,), float32.
            winner, runner_up: names of models; one without evaluations gives no queries.
            k: number of queries at most.
        """
        if winner not in self or runner_up not in self:
            return []
        won, lost = self.tenths[self._row[winner]], self.tenths[self._row[runner_up]]  # (Q,) each
        rows = np.flatnonzero((won >= PASSED) & (lost < PASSED) & (lost != NOT_EVALUATED))
        # Both in the basis, k columns: (n, k) codes and the projected request (k,). Cosines need no scale of the codes.
        similarity = _cosines(self.codes[rows].astype(np.float32), text @ self.basis.astype(np.float32))
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

    def save(self, path: Path) -> bytes:
        """Writes the file and returns its bytes. Equal evaluations give equal bytes."""
        from safetensors.numpy import save

        header = {
            "format": FORMAT,
            "encoder": self.encoder,
            "models": self.models,
            "benchmarks": self.benchmarks,
        }
        # One metadata key: safetensors does not keep the order of several, and the bytes would differ from run to run.
        data = save(
            {name: getattr(self, name) for name in ARRAYS}, {"evidence": json.dumps(header, ensure_ascii=False)}
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return data

    @classmethod
    def load(cls, path: Path) -> "Evaluations":
        """Reads an evidence file.

        Raises:
            ArtifactError: missing, unreadable, not an evidence file, or of another format.
        """
        from safetensors import SafetensorError, safe_open

        try:
            check_regular(path, MAX_FILE_BYTES)
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get("evidence", "{}"))
                _check_format(path, header)
                arrays = [file.get_tensor(name) for name in ARRAYS]
            return cls(tuple(header["models"]), dict(header["benchmarks"]), header["encoder"], *arrays)
        except FileNotFoundError as exc:
            raise ArtifactError(f"{path}: no such file") from exc
        except (OSError, SafetensorError, AttributeError, KeyError, IndexError, TypeError, ValueError) as exc:
            raise ArtifactError(f"{path}: not readable evidence: {exc}") from exc


def _check_format(path: Path, header: object) -> None:
    found = header.get("format") if isinstance(header, dict) else None
    if found == 1:
        raise ArtifactError(
            f"{path}: evidence of format 1, but this version reads format {FORMAT}; "
            "write it again by `locus evidence` or `locus embed`"
        )
    if found != FORMAT:
        raise ArtifactError(f"{path}: not evidence of format {FORMAT}")


def _cosines(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each row with the vector, (n, k) and (k,) -> (n,), float32; 0 if either is zero."""
    norms = np.sqrt(np.einsum("ij,ij->i", rows, rows) * (vector @ vector))
    return np.asarray(rows @ vector / np.maximum(norms, np.float32(1e-12)))
