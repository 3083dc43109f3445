"""The evaluations of one model, in an order that depends on their values only. numpy only."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Evaluations:
    """n evaluations of one model, n >= 1.

    Attributes:
        q: query encodings, (n, d_q), float32.
        y: scores, (n,), float32; usually in [0, 1], outside of it where a correction put them there.
        weights: how many evaluations each one counts as, (n,), float32, above 0.
    """

    q: NDArray[np.float32]
    y: NDArray[np.float32]
    weights: NDArray[np.float32]

    @classmethod
    def ordered(
        cls, q: NDArray[np.float32], y: NDArray[np.float32], weights: NDArray[np.float32] | None, width: int
    ) -> "Evaluations":
        """Evaluations sorted by their bytes, since a float sum depends on the order of its terms; without those of weight 0.

        Args:
            q: query encodings, (n, d_q).
            y: scores, (n,).
            weights: (n,), at least 0; None: each counts once.
            width: d_q.

        Raises:
            ValueError: shapes that do not fit, a weight that is negative or not finite, or no evaluation of a weight above 0.
        """
        if len(q) == 0 or q.shape != (len(y), width):
            raise ValueError(f"expected (n, {width}) encodings and (n,) scores, got {q.shape}, {np.shape(y)}")
        w = np.ones(len(y), np.float32) if weights is None else np.asarray(weights, np.float32)
        if w.shape != (len(y),):
            raise ValueError(f"{len(y)} scores, but weights of shape {w.shape}")
        wrong = np.flatnonzero(~(np.isfinite(w) & (w >= 0)))
        if len(wrong):
            raise ValueError(f"weight {int(wrong[0])} is {w[wrong[0]]}, expected a finite number of at least 0")
        rows = np.ascontiguousarray(np.column_stack([q, y, w])[w > 0], np.float32)
        if not len(rows):
            raise ValueError("every evaluation has the weight 0")
        rows = rows[np.argsort(rows.view(f"V{rows.itemsize * rows.shape[1]}")[:, 0], kind="stable")]
        return cls(rows[:, :-2], np.ascontiguousarray(rows[:, -2]), np.ascontiguousarray(rows[:, -1]))

    @property
    def total(self) -> float:
        """The sum of the weights: how many evaluations they count as together."""
        return float(self.weights.sum(dtype=np.float64))
