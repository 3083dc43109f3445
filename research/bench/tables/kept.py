"""Our row with its trained routers on disk: tables need the routers themselves, and no router is trained twice."""

import hashlib
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.method import Setting
from research.bench.ours import Ours, Routed
from router.data.dataset import Dataset
from router.encode.surface import DIM as SURFACE_DIM
from router.errors import ArtifactError
from router.model.locus import Locus
from router.model.space import ModelSpace


class Kept:
    """Implements `research.bench.method.Method`; its predictions are those of our row.

    Args:
        row: ours.
        folder: two files per router, named by a hash of the evidence, the row's version, setting and seed.
    """

    def __init__(self, row: Ours, folder: Path) -> None:
        self._row = row
        self._folder = folder
        self.name = self._row.name
        self.version = self._row.version
        self.grid = self._row.grid
        self.seeds = self._row.seeds

    def fit(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> Routed:
        """Reads a router from disk, or trains one and keeps it.

        Raises:
            ArtifactError: its files cannot be read.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load, save

        weights, space = (
            self._folder / f"{self._digest(data, q, setting, seed)}.{part}" for part in ("locus", "space")
        )
        if not (weights.exists() and space.exists()):
            fitted = self._row.fit(data, q, setting, seed)
            self._folder.mkdir(parents=True, exist_ok=True)
            weights.write_bytes(save(fitted.locus.weights()))
            fitted.space.save(space)  # last, so that a stopped run leaves no router without a space
        try:
            locus = Locus.restore(load(weights.read_bytes()), {"text_dim": q.shape[1] - SURFACE_DIM})
        except (OSError, SafetensorError) as exc:
            raise ArtifactError(f"{weights}: not a readable router: {exc}; remove it to train it anew") from exc
        return Routed(locus, ModelSpace.load(space), data, q)

    def _digest(self, data: Dataset, q: NDArray[np.float32], setting: Setting, seed: int) -> str:
        digest = hashlib.sha256(json.dumps([self.version, dict(setting), seed], sort_keys=True).encode())
        for array in (data.scores, q, data.benchmarks, data.categories, data.splits, data.onboarding):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]
