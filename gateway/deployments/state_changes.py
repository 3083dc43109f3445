"""Logs each change of a deployment's state once, however many requests meet it: refused, cooling down, taken out, back.

A change for the worse is logged at once. A change for the better is logged by the first success that is one cool-down later than
the line before it: a provider at its rate limit would otherwise fill the log with its states.
"""

import logging
from collections.abc import Callable

from gateway.core.vocabulary import Clock
from gateway.deployments.breaker import Breaker, Condition

log = logging.getLogger("locus.deployments")


class StateChanges:
    """The changes of one deployment's state.

    Args:
        deployment: its id.
        meanwhile: says which deployment or model answers while this one does not.

    Attributes:
        reported: the state that the log has; the caller may set it if it logs the state itself.
    """

    __slots__ = ("_clock", "_deployment", "_logged_at", "_meanwhile", "reported")

    def __init__(self, deployment: str, clock: Clock, meanwhile: Callable[[], str]) -> None:
        self.reported = Condition.IN_SERVICE
        self._deployment = deployment
        self._clock = clock
        self._meanwhile = meanwhile
        self._logged_at = float("-inf")

    def failed(self, breaker: Breaker, failure: str, reason: str) -> None:
        """Logs the state after a failed call, if it is worse than the one that the log has.

        Args:
            failure: cause and status.
            reason: the provider's own words, redacted; may be empty.
        """
        condition = breaker.condition
        if condition is Condition.IN_SERVICE:
            self.succeeded(breaker)
        if condition is Condition.IN_SERVICE or not self._is_news(breaker, condition):
            return
        now = self._clock()
        out_s = 0.0 if breaker.open_until is None else breaker.open_until - now
        if condition is Condition.REFUSED:
            state = "was refused, and is used until a second refusal"
        else:
            state = f"{'cools down' if condition is Condition.COOLING_DOWN else 'is taken out'} for {out_s:.0f} s"
        said = f": {reason}" if reason else ""
        meanwhile = self._meanwhile()
        fields = {
            "deployment": self._deployment,
            "state": condition.name.lower(),
            "seconds": round(out_s, 3),
            "failure": failure,
            "reason": reason or None,
            "meanwhile": meanwhile,
        }
        log.warning("%s %s: %s%s; %s", self._deployment, state, failure, said, meanwhile, extra={"fields": fields})
        self.reported, self._logged_at = condition, now

    def succeeded(self, breaker: Breaker) -> None:
        """Logs that the deployment is in service again, unless the log has that, or has a line that is too recent."""
        condition = breaker.condition
        if condition is not Condition.IN_SERVICE or not self._is_news(breaker, condition):
            return
        self.reported, self._logged_at = condition, self._clock()
        fields = {"deployment": self._deployment, "state": condition.name.lower()}
        log.info("%s answers again", self._deployment, extra={"fields": fields})

    def _is_news(self, breaker: Breaker, condition: Condition) -> bool:
        late = self._clock() - self._logged_at >= breaker.settings.cool_down
        return condition > self.reported or (condition < self.reported and late)
