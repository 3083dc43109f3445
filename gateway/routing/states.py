"""What the states of a portfolio's models mean for choices. Arrays are (M,), in portfolio order."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from gateway.routing.standing import Standing
from gateway.routing.trials import Trials


class States:
    """The states of M models.

    Args:
        standings: by name, in portfolio order.
        trials: counts the requests of models on trial.

    Attributes:
        standings: of the models.
        on_trial: they may have a share of the requests only, (M,), bool.
        never_chosen: `auto` does not choose these models, and they are no stand-ins, (M,), bool.
        caution: standard errors that are taken off P(correct), besides those of the policy, (M,), float32; None: none.
    """

    def __init__(self, standings: Mapping[str, Standing], trials: Trials) -> None:
        self._names = tuple(standings)
        self.standings = tuple(standings.values())
        self.on_trial: NDArray[np.bool_] = np.array([one.trial is not None for one in self.standings], np.bool_)
        self.never_chosen: NDArray[np.bool_] = np.array([one.never_chosen for one in self.standings], np.bool_)
        caution = np.array([one.caution for one in self.standings], np.float32)
        self.caution: NDArray[np.float32] | None = caution if caution.any() else None
        self._trials = trials
        self._on_trial = {i: one.trial for i, one in enumerate(self.standings) if one.trial is not None}

    def in_turn(self, eligible: NDArray[np.bool_], kept: int | None) -> NDArray[np.bool_]:
        """The eligible models without those on trial that have had their share of the requests; all of them if none is left.

        Args:
            kept: the model of the conversation, which may keep it; None if it has none.
        """
        waiting = [i for i in self._on_trial if eligible[i] and i != kept and self.held_back(i)]
        if not waiting:
            return eligible
        left = eligible.copy()
        left[waiting] = False
        return left if left.any() else eligible

    def held_back(self, model: int) -> bool:
        """True for a model on trial that has had its share of the requests."""
        trial = self._on_trial.get(model)
        return trial is not None and not self._trials.may_choose(self._names[model], trial)

    def propensity(self, chosen: int, preferred: int, kept: int | None) -> float:
        """The probability of a choice, over the requests for which a policy would make it.

        Args:
            preferred: the choice if no model on trial were held back.
            kept: the model of the conversation; None if it has none.
        """
        trial = self._on_trial.get(preferred)
        if trial is None or preferred == kept:
            return 1.0
        return trial.share if chosen == preferred else 1 - trial.share

    def chosen(self, model: int) -> None:
        """A policy has chosen the model of a request that is answered now."""
        if self._on_trial:
            self._trials.decided({self._names[i]: trial for i, trial in self._on_trial.items()}, self._names[model])
