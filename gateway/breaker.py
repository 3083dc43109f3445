"""Is a deployment worth calling? A circuit breaker as a pure state machine; the caller brings the clock.

closed --(failures in a row, or half of the last 20)--> open --(cool-down over)--> half-open --(one success)--> closed
                                                         ^------(probe failed: cool-down doubles)------|
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

WINDOW = 20  # outcomes that the failure rate is taken over
RATE = 0.5
TAKEN_OUT_S = 300.0  # a refused key or unknown model is asked again this often


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a deployment cools down.

    Attributes:
        failures: failures in a row that open the breaker.
        cool_down_s: first cool-down, seconds; doubles with every failed probe.
        max_cool_down_s: longest cool-down, seconds.
    """

    failures: int = 5
    cool_down_s: float = 5.0
    max_cool_down_s: float = 20.0


class Breaker:
    """State of one deployment. All times are seconds of one monotonic clock that the caller passes in as `now`."""

    __slots__ = ("_cool_down_s", "_in_row", "_outcomes", "_probing", "_settings", "open_until", "reason", "taken_out")

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._in_row = 0
        self._cool_down_s = settings.cool_down_s
        self._probing = False
        self.open_until: float | None = None
        self.reason = ""
        self.taken_out = False

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def available(self, now: float) -> bool:
        """May a call be made now? In the half-open state one probe at a time."""
        return self.open_until is None or (now >= self.open_until and not self._probing)

    def start(self, now: float) -> None:
        """A call begins; in the half-open state it is the probe."""
        if self.open_until is not None and now >= self.open_until:
            self._probing = True

    def abandon(self) -> None:
        """The call ended without a verdict: the client left, or the request itself was at fault."""
        self._probing = False

    def success(self) -> None:
        if self.open_until is not None:
            self._outcomes.clear()
            self._cool_down_s = self._settings.cool_down_s
        self._outcomes.append(True)
        self._in_row = 0
        self._probing = False
        self.open_until = None
        self.reason = ""
        self.taken_out = False

    def failure(self, now: float, reason: str, retry_after_s: float | None = None) -> None:
        """A call failed. A provider's Retry-After opens the breaker for that long, and extends an earlier one."""
        was_probe, self._probing = self._probing, False
        self._outcomes.append(False)
        self._in_row += 1
        self.reason = reason
        if was_probe:
            self._cool_down_s = min(self._cool_down_s * 2, self._settings.max_cool_down_s)
            self._open(now + self._cool_down_s)
        elif self._in_row >= self._settings.failures or self._failing_often():
            self._open(now + self._cool_down_s)
        if retry_after_s:
            self._open(now + retry_after_s)

    def take_out(self, now: float, reason: str) -> None:
        """The deployment needs an operator (key refused, model unknown, quota used up); asked again every 5 minutes."""
        self._probing = False
        self.reason = reason
        self.taken_out = True
        self._open(now + TAKEN_OUT_S)

    def _failing_often(self) -> bool:
        return len(self._outcomes) == WINDOW and self._outcomes.count(False) >= WINDOW * RATE

    def _open(self, until: float) -> None:
        self.open_until = max(self.open_until or 0.0, until)
