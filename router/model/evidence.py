"""Evidence for a choice: the evaluated queries nearest to a request that one model passed and another failed.

It is read when it is first asked for, from the files beside the model spaces.
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
class Found:
    """The nearest such queries, nearest first; where there are none, why."""

    queries: tuple[EvaluatedQuery, ...]
    why_none: str | None = None


class Evidence:
    """The evidence beside some model spaces. Nothing is read before it is asked for.

    Args:
        files: as `evidence_file` names them; they may be missing.
        encoder: hash of the text encoder that requests are encoded by.
    """

    def __init__(self, files: Sequence[Path], encoder: str) -> None:
        self._files = tuple(files)
        self._encoder = encoder
        self._read: list[Evaluations] | None = None

    def nearest(self, text: NDArray[np.float32], winner: str, runner_up: str, k: int = 5) -> Found:
        """The evaluated queries nearest to a request that the winner passed and the runner-up failed.

        Several files are one: where two have the same query of a benchmark, the later one counts.

        Args:
            text: text encoding of the request, (d,).
            winner, runner_up: names in the model space.
        """
        if self._read is None:
            self._read = self._readable()
        found = {
            (query.benchmark, query.query_id): query
            for evaluations in self._read
            for query in evaluations.nearest(text, winner, runner_up, k)
        }
        queries = sorted(found.values(), key=lambda query: -query.similarity)[:k]
        return Found(tuple(queries), None if queries else self._why_none(self._read, winner, runner_up))

    def _readable(self) -> list[Evaluations]:
        read = []
        for path in self._files:
            try:
                evaluations = Evaluations.load(path)
            except ArtifactError as exc:
                if path.exists():  # else it was made before there was evidence
                    log.warning("no evidence from a file: %s", exc)
                continue
            if evaluations.encoder != self._encoder:
                log.warning("no evidence from a file: %s: made by another encoder; make it again", path)
                continue
            read.append(evaluations)
        return read

    @staticmethod
    def _why_none(read: Sequence[Evaluations], winner: str, runner_up: str) -> str:
        if not read:
            return "no evaluations are kept beside the model spaces; `locus evidence` and `locus embed` write them"
        strangers = [name for name in (winner, runner_up) if not any(name in evaluations for evaluations in read)]
        if strangers:
            return f"no evaluations of {' and '.join(strangers)} are kept"
        if not any(winner in evaluations and runner_up in evaluations for evaluations in read):
            return f"{winner} and {runner_up} were evaluated in different data"
        return f"no query is kept that {winner} passed and {runner_up} failed"


def evidence_file(space: Path) -> Path:
    """Where the evidence of a model space lies: space.safetensors -> space.evidence.safetensors"""
    return space.with_name(space.name.removesuffix(".safetensors") + SUFFIX)
