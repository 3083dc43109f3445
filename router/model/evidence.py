"""Evidence for a choice: the evaluated queries nearest to a request that one model passed and another failed.

The files beside the model spaces are read at the first use.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.errors import ArtifactError
from router.model.evidence_file import EvaluatedQuery, Evaluations

SUFFIX = ".evidence.safetensors"

log = logging.getLogger("locus.evidence")


@dataclass(frozen=True, slots=True)
class NearestQueries:
    """The evidence for one choice.

    Attributes:
        queries: the nearest first.
        why_none: the reason if there are none.
    """

    queries: tuple[EvaluatedQuery, ...]
    why_none: str | None = None


class Evidence:
    """The evidence beside some model spaces. Reads the files at the first call of `nearest`.

    Args:
        files: paths from `evidence_file`; a file may be missing.
        encoder: hash of the text encoder that encodes the requests.
    """

    def __init__(self, files: Sequence[Path], encoder: str) -> None:
        self._files = tuple(files)
        self._encoder = encoder
        self._read: list[Evaluations] | None = None

    def nearest(self, text: NDArray[np.float32], winner: str, runner_up: str, k: int = 5) -> NearestQueries:
        """The evaluated queries nearest to a request that the winner passed and the runner-up failed.

        If two files have the same query of a benchmark, the later one counts.

        Args:
            text: text encoding of the request, (d,), float32.
            winner, runner_up: names in the model space.
            k: number of queries at most.
        """
        if self._read is None:
            self._read = self._readable()
        by_id = {
            (query.benchmark, query.query_id): query
            for evaluations in self._read
            for query in evaluations.nearest(text, winner, runner_up, k)
        }
        queries = sorted(by_id.values(), key=lambda query: -query.similarity)[:k]
        return NearestQueries(tuple(queries), None if queries else self._why_none(self._read, winner, runner_up))

    def _readable(self) -> list[Evaluations]:
        """The files that can be read and belong to the encoder; logs a warning for each other file that exists."""
        read = []
        for path in self._files:
            try:
                evaluations = Evaluations.load(path)
            except ArtifactError as exc:
                if path.exists():  # a space from an earlier version has no evidence file
                    log.warning("no evidence from a file: %s", exc)
                continue
            if evaluations.encoder != self._encoder:
                log.warning("no evidence from a file: %s: made by another encoder; make it again", path)
                continue
            read.append(evaluations)
        return read

    @staticmethod
    def _why_none(read: Sequence[Evaluations], winner: str, runner_up: str) -> str:
        """The reason why no query was found."""
        if not read:
            return "no evaluations are kept beside the model spaces; `locus evidence` and `locus embed` write them"
        unknown = [name for name in (winner, runner_up) if not any(name in evaluations for evaluations in read)]
        if unknown:
            return f"no evaluations of {' and '.join(unknown)} are kept"
        if not any(winner in evaluations and runner_up in evaluations for evaluations in read):
            return f"{winner} and {runner_up} were evaluated in different data"
        return f"no query is kept that {winner} passed and {runner_up} failed"


def evidence_file(space: Path) -> Path:
    """The path of the evidence of a model space: space.safetensors -> space.evidence.safetensors"""
    return space.with_name(space.name.removesuffix(".safetensors") + SUFFIX)
