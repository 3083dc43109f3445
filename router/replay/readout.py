"""Read-out: what another policy would have reached, by the predictions of the router alone (the direct method).

It needs no graded request and no exploration. Its error is that of the predictions, which are good where the requests resemble
evaluated queries, and of unknown bias where they do not: an audit finds that bias.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from router.replay.estimate import Estimate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Side:
    """The models that one policy chose for n requests.

    Attributes:
        models: numbers of the models, (n,), int64.
        p_correct: predicted correctness of the chosen models, (n,), float64.
        standard_error: of p_correct, (n,), float64.
    """

    models: NDArray[np.int64]
    p_correct: Floats
    standard_error: Floats

    @classmethod
    def of(
        cls, p_correct: NDArray[np.float32], standard_error: NDArray[np.float32], models: NDArray[np.int64]
    ) -> "Side":
        """The choices among M models, from predictions for all of them, (n, M)."""
        rows = np.arange(len(models))
        return cls(models, p_correct[rows, models].astype(np.float64), standard_error[rows, models].astype(np.float64))


@dataclass(frozen=True)
class Batch:
    """Requests that two policies decided.

    Attributes:
        kinds: the kind of each request, (n,), int64. The errors of one model's predictions are taken to be equal, in standard
            errors, within a kind, and independent among kinds and models.
    """

    kinds: NDArray[np.int64]
    logged: Side
    other: Side


class ReadOut:
    """Sums over batches, from which the estimates are made. Batches may be summed up apart and then merged.

    The intervals cover the share of right answers to these requests. They consist of the standard errors of the predictions and of
    the chance in single answers; both are analytic.

    Args:
        models, kinds: numbers of models and of kinds; those of all batches are smaller.

    Attributes:
        count: the number of requests.
        differing: the number of requests on which the two policies chose different models.
    """

    def __init__(self, models: int, kinds: int) -> None:
        self.count = self.differing = 0
        self._sums = np.zeros(3)  # of p: logged, other, other - logged
        self._chance = np.zeros(3)  # variances of single answers
        self._errors = np.zeros((3, models, kinds))  # sums of standard errors by model and kind, which add up

    def add(self, batch: Batch) -> None:
        """Add the requests of a batch."""
        differ = batch.logged.models != batch.other.models
        self.count += len(differ)
        self.differing += int(differ.sum())
        for side, chosen in enumerate((batch.logged, batch.other)):
            p = chosen.p_correct
            chance = p * (1 - p)
            self._sums[side] += p.sum()
            self._chance[side] += chance.sum()
            self._chance[2] += chance[differ].sum()
            np.add.at(self._errors[side], (chosen.models, batch.kinds), chosen.standard_error)
        self._sums[2] = self._sums[1] - self._sums[0]
        self._errors[2] = self._errors[1] - self._errors[0]

    def merge(self, other: "ReadOut") -> None:
        """Add the requests of another sum over the same models and kinds."""
        self.count += other.count
        self.differing += other.differing
        self._sums += other._sums
        self._chance += other._chance
        self._errors += other._errors

    def logged(self) -> Estimate:
        """Accuracy of the logged choices. At least one request must have been added, here and below."""
        return self._estimate(0)

    def other(self) -> Estimate:
        """Accuracy of the other policy."""
        return self._estimate(1)

    def difference(self) -> Estimate:
        """Accuracy of the other policy minus that of the logged choices. Requests on which both agree cancel out."""
        return self._estimate(2)

    def _estimate(self, part: int) -> Estimate:
        variance = float((self._errors[part] ** 2).sum() + self._chance[part])
        return Estimate(float(self._sums[part]) / self.count, sqrt(variance) / self.count)
