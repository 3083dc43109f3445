"""How often a measurement from few evaluations is repeated with other ones, and how its mean and spread are shown.

Which evaluations a model happens to have decides much. The macro routing accuracy of the best single model by a number of its
evaluations has a standard deviation of 3.3 points between draws at 16, of 1.7 at 64, 0.9 at 256 and 0.2 at 512 (20 draws, `test`).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from research.bench.tables.cells import number, percent

DRAWS = 5
ENOUGH = 512  # evaluations per model, from which on one draw is measured
EXPLAINED = f"below {ENOUGH} evaluations the mean of {DRAWS} draws, ± their standard deviation; from there on one draw"

BETWEEN = f"± standard deviation of {DRAWS} draws"


def draws_for(evaluations: int | None) -> int:
    """The number of draws of so many evaluations per model; None: all, which leaves nothing to draw."""
    return 1 if evaluations is None or evaluations >= ENOUGH else DRAWS


def mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean over draws of each measure; those that a draw lacks are left out."""
    return {name: float(np.mean([v[name] for v in values])) for name in values[0] if all(name in v for v in values)}


def spread(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The standard deviation between draws of each measure, n − 1 in the denominator; empty for one draw."""
    if len(values) < 2:
        return {}
    return {name: float(np.std([v[name] for v in values], ddof=1)) for name in mean(values)}


def percent_between(value: float | None, deviation: float | None, digits: int = 1) -> str:
    """0.7213 and 0.0041 -> `72.1 ± 0.4`; without a deviation `72.1`."""
    text = percent(value, digits)
    return f"{text} ± {percent(deviation, digits)}" if text and deviation is not None else text


def number_between(value: float | None, deviation: float | None, digits: int = 2) -> str:
    """0.2512 and 0.013 -> `0.25 ± 0.01`; without a deviation `0.25`."""
    text = number(value, digits)
    return f"{text} ± {number(deviation, digits)}" if text and deviation is not None else text
