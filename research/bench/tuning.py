"""Tuning: settings are chosen on `val` with seed 0; the chosen ones are then fitted with every seed.

A setting that is good for routing can be bad for predicting correctness: strong shrinkage, for example, ranks models well and
predicts single queries badly. So each of the two measures gets the setting that is best for it on `val`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from research.bench.evidence import Evidence, macro
from research.bench.method import Method, Setting
from research.bench.outcomes import Outcome, outcome
from research.bench.runs import Run, Runs
from router.data.dataset import Dataset
from router.data.pools import Pool
from router.errors import DataError

Progress = Callable[[str], None]  # called after each fit with its label


@dataclass(frozen=True)
class Trial:
    """A setting, the macro accuracies that it reached on `val` with seed 0, in [0, 1], and the seconds it took."""

    setting: Setting
    val_routing: float
    val_prediction: float
    seconds: float


@dataclass(frozen=True)
class Tuned:
    """A method with the settings that `val` chose.

    Attributes:
        trials: in the order of the grid.
        for_routing, for_prediction: indices into `trials`; the first of equals.
        routing_runs, prediction_runs: of these two settings, one per seed.
    """

    name: str
    trials: tuple[Trial, ...]
    for_routing: int
    for_prediction: int
    routing_runs: tuple[Run, ...]
    prediction_runs: tuple[Run, ...]

    def outcome(self, data: Dataset, pool: Pool) -> Outcome:
        """The outcome on a pool of the setting that was chosen for each measure, averaged over seeds."""
        routed = outcome(data, pool, [run.p for run in self.routing_runs])
        predicted = outcome(data, pool, [run.p for run in self.prediction_runs])
        return Outcome(routed.routed, predicted.right, routed.evaluations)

    def spread(self, evidence: Evidence, pools: Sequence[Pool]) -> float:
        """Standard deviation over seeds of the macro routing accuracy; 0 for a single one."""
        return float(np.std([accuracies(evidence, run.p, pools)[0] for run in self.routing_runs]))


def tune(runs: Runs, method: Method, seeds: int, progress: Progress = lambda _: None) -> Tuned:
    """Tries the whole grid with seed 0, then the best settings with the other seeds.

    Args:
        seeds: number of seeds, for methods that depend on the seed; the others run once.

    Raises:
        DataError: there is no train score, or no val query that two models answered.
    """
    seen = runs.evidence.seen
    if np.isnan(seen.scores[:, seen.where("train")]).all():
        raise DataError("no model has a score in split train: there is nothing to learn from")
    pools = runs.evidence.pools("val")
    if not pools:
        raise DataError("no query of split val was answered by two models: there is nothing to choose settings by")
    trials = []
    for setting, run in zip(method.grid, runs.run_all(method, [(setting, 0) for setting in method.grid]), strict=True):
        trials.append(Trial(setting, *accuracies(runs.evidence, run.p, pools), run.seconds))
        progress(label(method, setting, 0))
    for_routing = int(np.argmax([trial.val_routing for trial in trials]))
    for_prediction = int(np.argmax([trial.val_prediction for trial in trials]))
    of_seeds = {}
    for chosen in (for_routing, for_prediction):
        setting = trials[chosen].setting
        repeated = []
        for seed, run in enumerate(
            runs.run_all(method, [(setting, seed) for seed in range(repetitions(method, seeds))])
        ):
            repeated.append(run)
            if seed > 0:
                progress(label(method, setting, seed))
        of_seeds[chosen] = tuple(repeated)
    return Tuned(
        method.name, tuple(trials), for_routing, for_prediction, of_seeds[for_routing], of_seeds[for_prediction]
    )


def fits(method: Method, seeds: int) -> int:
    """The number of times that `tune` calls `progress`."""
    return len(method.grid) + 2 * (repetitions(method, seeds) - 1)


def repetitions(method: Method, seeds: int) -> int:
    return 1 if method.seeds == 1 else seeds


def accuracies(evidence: Evidence, p: NDArray[np.float32], pools: Sequence[Pool]) -> tuple[float, float]:
    """Macro routing accuracy and macro correctness-prediction accuracy, in [0, 1].

    Args:
        p: (M, Q).
    """
    found = {pool.name: outcome(evidence.truth, pool, [p]) for pool in pools}
    routing = macro({name: result.routing for name, result in found.items()})
    return routing, macro({name: result.prediction or 0.0 for name, result in found.items()})


def label(method: Method, setting: Setting, seed: int) -> str:
    """`IRT-Net (width 64, seed 1)`"""
    parts = [*(f"{name} {value}" for name, value in setting.items()), *([f"seed {seed}"] if seed else [])]
    return f"{method.name} ({', '.join(parts)})" if parts else method.name
