"""The data of the benchmark: the scores that routers may learn from, and those that they are measured by."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from research.bench.method import thinned
from router.data.dataset import Dataset
from router.data.pools import Pool, macros, pools


@dataclass(frozen=True)
class Evidence:
    """A dataset as the methods see it, and with all scores.

    Attributes:
        truth: all scores, except those of models marked onboarding.
        seen: the same without the scores of `test`, and with fewer of `train` if `per_model` limits them.
        q: query encodings, (Q, d_q).
    """

    truth: Dataset
    seen: Dataset
    q: NDArray[np.float32]

    @classmethod
    def of(cls, data: Dataset, q: NDArray[np.float32], per_model: int | None = None, seed: int = 0) -> "Evidence":
        """The evidence of a dataset, without the models marked onboarding.

        Args:
            q: query encodings, (Q, d_q), unit-norm float32.
            per_model: largest number of train evaluations of each model, drawn by `seed`; None: all.
        """
        truth = _without(data, data.onboarding[:, None])
        seen = _without(truth, (data.splits == "test")[None, :])
        return cls(truth, seen if per_model is None else thinned(seen, per_model, seed), q)

    @cached_property
    def key(self) -> str:
        """SHA-256 of all arrays that a result depends on."""
        digest = hashlib.sha256()
        for array in (self.truth.scores, self.seen.scores, self.q, self.truth.benchmarks, self.truth.splits):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def pools(self, split: str) -> list[Pool]:
        """The routing problems of a split."""
        return list(pools(self.truth, split))


def macro(of_pools: Mapping[str, float]) -> float:
    """The average that settings are chosen by: the first of `router.data.pools.macros`, or over all pools if there is none."""
    return next(iter(macros(of_pools).values()), float(np.mean(list(of_pools.values()))))


def judged(evidence: Evidence) -> NDArray[np.bool_]:
    """True for (model, query) pairs of `val` and `test` with a score, (M, Q), bool."""
    return ~np.isnan(evidence.truth.scores) & np.isin(evidence.truth.splits, ("val", "test"))


def _without(data: Dataset, hidden: NDArray[np.bool_]) -> Dataset:
    return replace(data, scores=np.where(hidden, np.float32(np.nan), data.scores))
