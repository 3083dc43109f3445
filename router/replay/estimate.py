"""An estimate with its interval, as all estimators of a replay give it, and means of values that arrive in batches."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.9  # the probability that an interval contains the truth, if the assumptions of its estimator hold
_WIDTH = NormalDist().inv_cdf((1 + LEVEL) / 2)  # standard errors on each side


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number and how well it is known.

    Attributes:
        value: the estimate.
        error: its standard error.
    """

    value: float
    error: float

    @property
    def low(self) -> float:
        """The lower end of the interval: analytic, from the normal distribution."""
        return self.value - _WIDTH * self.error

    @property
    def high(self) -> float:
        """The upper end of the interval."""
        return self.value + _WIDTH * self.error

    def minus(self, other: "Estimate") -> "Estimate":
        """The difference of two estimates whose errors are independent."""
        return Estimate(self.value - other.value, sqrt(self.error**2 + other.error**2))


class Mean:
    """The mean of values that arrive in batches. NaN values are left out, and counted.

    Attributes:
        count: the number of known values.
        unknown: the number of values that are NaN.
    """

    def __init__(self) -> None:
        self.count = self.unknown = 0
        self._sum = self._squares = 0.0

    def add(self, values: NDArray[np.floating]) -> None:
        """Add values, (n,)."""
        known = values[values == values].astype(np.float64)
        self.count += len(known)
        self.unknown += len(values) - len(known)
        self._sum += float(known.sum())
        self._squares += float(known @ known)

    def merge(self, other: "Mean") -> None:
        """Add the values of another mean."""
        self.count += other.count
        self.unknown += other.unknown
        self._sum += other._sum
        self._squares += other._squares

    def estimate(self) -> Estimate | None:
        """The mean, with its standard error as a sample of more such values; None if no value is known."""
        if not self.count:
            return None
        mean = self._sum / self.count
        variance = max(0.0, self._squares / self.count - mean**2)
        return Estimate(mean, sqrt(variance / max(1, self.count - 1)))
