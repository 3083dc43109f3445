"""The baseline guard: where a learned choice beats the best single model, and how fine a choice is worth believing.

For each benchmark a ladder of three: the model with the best mean of the benchmark, with the best mean of the query's domain,
with the best prediction at the query. The routed score of each rung is measured on queries that the read-outs have not seen
(`val`, and `train` by cross-fitting); a rung is climbed only where it gains, in sum over the models that can be chosen from.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LADDER = ((0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (1.0, 0.5), (1.0, 1.0))  # trust in the domain term, in the kernel term
DOUBT = 2.0  # a rung must gain more over the best single model than so many standard errors of the gain


@dataclass(frozen=True)
class Verdict:
    """What was found for one benchmark.

    Attributes:
        benchmark: its name.
        queries: how many it was measured on.
        best_single: accuracy of the model with the best mean of the benchmark, in [0, 1].
        learned: accuracy of the best rung.
        standard_error: of the difference, paired over queries.
        trust: the rung that is used.
    """

    benchmark: str
    queries: int
    best_single: float
    learned: float
    standard_error: float
    trust: tuple[float, float]

    @property
    def guarded(self) -> bool:
        """Whether the choice falls back to the best single model."""
        return self.trust == LADDER[0]


def judge(benchmark: str, routed: NDArray[np.float64]) -> Verdict:
    """Chooses the rung for a benchmark.

    Args:
        routed: score of the chosen model per rung and query, (len(LADDER), n).
    """
    count = routed.shape[1]
    if count == 0:
        return Verdict(benchmark, 0, 0.0, 0.0, 0.0, LADDER[0])
    accuracy = routed.mean(axis=1)
    best = int(np.argmax(accuracy))
    difference = routed[best] - routed[0]
    error = float(difference.std() / np.sqrt(count))
    climb = best if difference.mean() > DOUBT * error else 0
    return Verdict(benchmark, count, float(accuracy[0]), float(accuracy[best]), error, LADDER[climb])
