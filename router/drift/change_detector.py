"""Notices that a deployment serves another model than before, from probes that are asked again and again. numpy only.

The evidence is an e-process: a bet against "nothing has changed" whose capital grows when answers differ from the baseline more
often than the model's own answers do. While nothing changes, the expected capital never exceeds 1, so by Ville's inequality it
reaches 1/α in at most a share α of all lives, however long they last.

- Capital is spread over the round in which the change may have come (weights that sum to 1), so that years without a change do
  not use it up, and over three bets on how often a changed model answers differently.
- How often the model itself answers differently is not known exactly. Each probe has a Beta prior whose mean is the deployment's
  own rate; the bet is against its mean after all asks so far, times a margin, and never against less than the deployment's own
  rate. A probe that was only lucky in the baseline therefore loses its weight after it differs once or twice.
"""

import numpy as np
from numpy.typing import NDArray

BETS = (0.15, 0.35, 0.7)  # how often a changed model answers differently
OWN_RATE = 0.04  # how often a model itself answers differently, if its baseline shows nothing worse
OWN_ASKS, POOLED_ASKS = (
    8.0,
    100.0,
)  # asks that the own rate is worth, for each probe and for all of a deployment together
MARGIN = 1.5  # by which the own rate may exceed its estimate
HIGHEST = 0.9  # own rate that is counted with
LARGEST = 1e250  # of the capital


class ChangeDetector:
    """The evidence that deployments have changed, for D deployments with P probes each.

    Args:
        baseline_asks: how often each probe was asked for the baseline, (D, P); all these answers were alike.
        own_rates: how often the answers of each deployment differed from its usual one while the baseline was made, over all
            probes that were tried, (D,). None: not known.
    """

    def __init__(self, baseline_asks: NDArray[np.integer], own_rates: NDArray[np.floating] | None = None) -> None:
        self._asks = baseline_asks.astype(np.float64)
        self._flips = np.zeros_like(self._asks)
        known = np.full(len(self._asks), OWN_RATE) if own_rates is None else np.maximum(own_rates, OWN_RATE)
        self._own = known[:, None]  # (D, 1)
        self._asked = np.zeros_like(self._own)
        self._differed = np.zeros_like(self._own)
        self._capital = np.zeros((len(self._asks), len(BETS)))
        self._rounds = 0

    def start_round(self) -> None:
        """Begins a round of asks: the change may have come before it. The first round begins the evidence."""
        self._capital += (_left(self._rounds) - _left(self._rounds + 1)) / len(BETS)
        self._rounds += 1

    def add(
        self, probes: NDArray[np.integer], differs: NDArray[np.bool_], answered: NDArray[np.bool_] | None = None
    ) -> None:
        """Adds one answer of each deployment.

        Args:
            probes: the probe that was asked, (D,).
            differs: the answer differs from the baseline, (D,).
            answered: whether there was an answer, (D,); without one, nothing is learned. None: all answered.
        """
        rows = np.arange(len(self._asks)) if answered is None else np.flatnonzero(answered)
        of = rows, probes[rows]
        differ = differs[rows]
        expected = self.own_rates()[of][:, None]
        bets = np.maximum(np.array(BETS), expected)  # no bet below the own rate
        gain = np.where(differ[:, None], bets / expected, (1 - bets) / (1 - expected))
        self._capital[rows] = np.minimum(self._capital[rows] * gain, LARGEST)
        self._asks[of] += 1
        self._flips[of] += differ
        self._asked[rows, 0] += 1
        self._differed[rows, 0] += differ

    def own_rates(self) -> NDArray[np.float64]:
        """How often each probe is expected to differ without a change, at most, (D, P)."""
        pooled = (self._differed + self._own * POOLED_ASKS) / (self._asked + POOLED_ASKS)
        rates = MARGIN * (self._flips + pooled * OWN_ASKS) / (self._asks + OWN_ASKS)
        return np.clip(rates, pooled, HIGHEST)

    @property
    def evidence(self) -> NDArray[np.float64]:
        """The capital of each deployment's bet, (D,); at 1/α, a change is reported with false alarms in a share α of lives."""
        total: NDArray[np.float64] = self._capital.sum(axis=1) + _left(self._rounds)
        return total


def _left(rounds: int) -> float:
    """The capital that is kept for changes after so many rounds. The series from 1 to 0 falls as slowly as a sum to 1 allows."""
    return float(1 / np.log2(rounds + 2))
