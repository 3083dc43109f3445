"""How often each model would answer the operator's own recent queries correctly, by the predictions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.console.space_view import SpaceView

FEWEST = 30  # queries; below, the mean over the benchmarks says more
MOST = 300


@dataclass(frozen=True)
class OwnTraffic:
    """Predictions for n recent queries. Models are the rows of a `SpaceView`.

    Attributes:
        p_correct: (n, N), float32.
        accuracy: the mean over the queries, (N,), in [0, 1].
        error: its standard error, (N,): errors on one kind of question go together, so the mean of those of the kinds.
        chosen_from: rows of the portfolio's models that `auto` may choose.
    """

    p_correct: NDArray[np.float32]
    accuracy: NDArray[np.float64]
    error: NDArray[np.float64]
    chosen_from: tuple[int, ...]

    @property
    def queries(self) -> int:
        """The number of queries."""
        return len(self.p_correct)

    def gain(self, row: int) -> float | None:
        """What a model adds to the mean over the queries of the best P(correct) in the portfolio; None without any other model.

        Prices are left out. It is the value of `locus portfolio suggest`, of the portfolio with the model less that without it.
        """
        others = [i for i in self.chosen_from if i != row]
        return float(self._gains(others, [row])[0]) if others else None

    def best_additions(self, rows: Sequence[int], number: int) -> list[tuple[int, float]]:
        """The models that add most, each alone, with their gains above 0, the largest first.

        Args:
            rows: models that are not of the portfolio.
        """
        if not self.chosen_from:
            return []
        gains = self._gains(self.chosen_from, rows)
        order = np.argsort(-gains, kind="stable")[:number].tolist()
        return [(rows[i], float(gains[i])) for i in order if gains[i] > 0]

    def _gains(self, present: Sequence[int], added: Sequence[int]) -> NDArray[np.float64]:
        """The mean over the queries of the best P(correct) with each of the added models, less that without, (len(added),)."""
        best = self.p_correct[:, list(present)].max(axis=1)
        with_each = np.maximum(best[:, None], self.p_correct[:, list(added)])
        return np.asarray(with_each.mean(axis=0, dtype=np.float64) - best.mean(dtype=np.float64))


def own_traffic(view: SpaceView, queries: Sequence[NDArray[np.float32]]) -> OwnTraffic | None:
    """Predicts; None if the queries are too few to tell.

    Args:
        queries: encodings, (d_q,) each, of the checkpoint in force.
    """
    if len(queries) < FEWEST or not view.names:
        return None
    predictor = view.predictor()
    asked = predictor.asked(np.stack(queries))
    p = predictor.predict_asked(asked).p_correct
    errors = np.sqrt(asked.features.domains @ view.embeddings.variances.T)
    standings = view.in_force.standings
    chosen_from = tuple(i for i in range(view.own) if not standings[view.names[i]].never_chosen)
    return OwnTraffic(p, p.mean(axis=0, dtype=np.float64), errors.mean(axis=0, dtype=np.float64), chosen_from)
