"""Finished fits on disk. Their predictions are kept, so that a stopped benchmark continues where it was stopped."""

import hashlib
import json
import time
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.evidence import Evidence, judged
from research.bench.method import Method, Setting
from router.errors import ArtifactError
from router.parallel import LOCAL, run_jobs


@dataclass(frozen=True)
class Run:
    """The predictions of one fit.

    Attributes:
        judged: True for the predictions that are kept, (M, Q), bool: those with a score in `val` or `test`.
        values: these predictions, in the order of `judged`.
        seconds: duration of fitting and predicting.
    """

    judged: NDArray[np.bool_]
    values: NDArray[np.float32]
    seconds: float

    @property
    def p(self) -> NDArray[np.float32]:
        """P(correct), (M, Q), float32; NaN where no prediction was kept or made."""
        p = np.full(self.judged.shape, np.nan, np.float32)
        p[self.judged] = self.values
        return p


class Runs:
    """Fits methods on one evidence, each setting and seed once.

    Args:
        folder: one file per run, named by method and a hash of evidence, method, version, setting and seed.
        engine: what computes several fits side by side; see `router.parallel`.
    """

    def __init__(self, folder: Path, evidence: Evidence, engine: str = LOCAL) -> None:
        self.evidence = evidence
        self._folder = folder
        self._engine = engine
        self._judged = judged(evidence)

    def file(self, method: Method, setting: Setting, seed: int) -> Path:
        """The path of a run."""
        identity = {
            "evidence": self.evidence.key,
            "method": method.name,
            "version": method.version,
            "setting": dict(setting),
            "seed": seed,
        }
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        return self._folder / f"{method.name.replace(' ', '-')}-{digest}.npz"

    def run(self, method: Method, setting: Setting, seed: int) -> Run:
        """Reads a run from disk, or fits the method and keeps the run.

        Raises:
            ArtifactError: the file of the run cannot be read.
        """
        return next(self.run_all(method, [(setting, seed)]))

    def run_all(self, method: Method, settings: Sequence[tuple[Setting, int]]) -> Iterator[Run]:
        """As `run`, for several settings with their seeds; those that are not on disk are fitted side by side.

        Raises:
            ArtifactError: the file of a run cannot be read.
            EngineError, MissingPackage: see `router.parallel.run_jobs`.
        """
        missing = [(setting, seed) for setting, seed in settings if not self.file(method, setting, seed).exists()]
        jobs = ((method, self.evidence, self._judged, setting, seed) for setting, seed in missing)
        fitted = run_jobs(_fit, jobs, len(missing), self._engine)
        for setting, seed in settings:
            file = self.file(method, setting, seed)
            if (setting, seed) in missing:
                self._keep(file, *next(fitted))
            try:
                with np.load(file) as kept:
                    run = Run(self._judged, kept["p"], float(kept["seconds"]))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as exc:
                raise ArtifactError(f"{file}: not a readable run: {exc}; remove it to make it anew") from exc
            yield run

    def _keep(self, file: Path, p: NDArray[np.float32], seconds: float) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".tmp.npz")
        np.savez(unfinished, p=p, seconds=np.float64(seconds))
        unfinished.replace(file)


def _fit(
    method: Method, evidence: Evidence, judged: NDArray[np.bool_], setting: Setting, seed: int
) -> tuple[NDArray[np.float32], float]:
    """Fits a method; returns its predictions where `judged`, (M, Q), is true, and the seconds that it took."""
    start = time.perf_counter()
    queries = np.flatnonzero(judged.any(axis=0))
    fitted = method.fit(evidence.seen, evidence.q, setting, seed)
    p = fitted.predict(queries)
    return p[judged[:, queries]].astype(np.float32), time.perf_counter() - start
