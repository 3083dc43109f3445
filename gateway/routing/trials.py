"""Keeps models in the state "limited" to their share of the requests, and counts what they have served. One per process."""

from collections.abc import Mapping

from gateway.model_versions.stored import Trial

_ROUNDING = 1e-9  # of a share, such as 10 times 0.1


class Trials:
    """The requests of models on trial. Each process keeps its own count, so that all processes together keep the share.

    A model may be chosen once enough requests have gone to others. A conversation stays with it: its later turns count, and put off
    the next choice.
    """

    def __init__(self) -> None:
        self._to_others: dict[str, float] = {}  # requests that must go to others before the model may be chosen
        self._served: dict[str, int] = {}

    def may_choose(self, model: str, trial: Trial) -> bool:
        """True if one more request keeps the model within its share."""
        return self._to_others.get(model, _between(trial)) <= _ROUNDING

    def decided(self, trials: Mapping[str, Trial], chosen: str) -> None:
        """A policy has chosen the model of a request.

        Args:
            trials: all models on trial.
        """
        for model, trial in trials.items():
            left = self._to_others.get(model, _between(trial))
            self._to_others[model] = left + _between(trial) if model == chosen else max(0.0, left - 1)

    def served(self, model: str) -> None:
        """A model on trial has answered a request for which a policy chose it."""
        self._served[model] = self._served.get(model, 0) + 1

    def take_served(self) -> dict[str, int]:
        """The requests that each model has served since the last call."""
        served, self._served = self._served, {}
        return served

    def give_back(self, served: Mapping[str, int]) -> None:
        """Counts requests again that could not be written down."""
        for model, requests in served.items():
            self._served[model] = self._served.get(model, 0) + requests


def _between(trial: Trial) -> float:
    """Requests that go to others between two of the model."""
    return 1 / trial.share - 1
