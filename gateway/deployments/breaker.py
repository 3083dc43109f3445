"""A circuit breaker: decides if a deployment may be called. A pure state machine; the caller passes the time.

closed --(failures in a row, or half of the last 20)--> open --(cool-down over)--> half-open --(one success)--> closed
                                                         ^------(probe failed: cool-down doubles)------|

A deployment whose provider refuses requests is *taken out*. That is the open state too, but it begins later and lasts longer:
a provider may refuse one request for its content, so a second call must be refused in the same way.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from gateway.config.settings import BreakerSettings

WINDOW = 20  # outcomes from which the failure rate is computed
MAX_FAILURE_RATE = 0.5
TAKEN_OUT_S = 300.0  # longest time that a deployment is taken out; then one request is the probe
NEVER = float("-inf")


class Condition(IntEnum):
    """How far a deployment is out of service, as operators are told; a higher value is worse."""

    IN_SERVICE = 0
    REFUSED = 1  # its key, model or account, once; it is used until the second refusal
    COOLING_DOWN = 2
    TAKEN_OUT = 3
    TAKEN_OUT_LONG = 4  # the provider has refused its key, model or account twice


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider refused a call in a way that may be about the deployment rather than about the request.

    Attributes:
        reason: the gateway's own short name of the refusal.
        request: digest that differs between requests.
        in_words: the provider's message says that the key, the model or the account is at fault.
    """

    reason: str
    request: bytes
    in_words: bool


class Breaker:
    """The breaker of one deployment. All times are seconds of one monotonic clock, which the caller passes as `now`.

    Attributes:
        settings: those in force; a reload may change them.
        open_until: the time when the breaker becomes half-open; None while it is closed.
        out_until: the same for a deployment that was taken out; `NEVER` for any other.
        confirmed: the provider has refused the key, the model or the account twice, so that an earlier call is useless.
        reason: why it is open.
    """

    __slots__ = (
        "_cool_down_s",
        "_in_row",
        "_out_s",
        "_outcomes",
        "_probing",
        "_refusal",
        "confirmed",
        "open_until",
        "out_until",
        "reason",
        "settings",
    )

    def __init__(self, settings: BreakerSettings) -> None:
        self.settings = settings
        self._outcomes: deque[bool] = deque(maxlen=WINDOW)
        self._in_row = 0
        self._cool_down_s = settings.cool_down
        self._out_s = settings.cool_down
        self._probing = False
        self._refusal: Refusal | None = None
        self.open_until: float | None = None
        self.out_until = NEVER
        self.confirmed = False
        self.reason = ""

    @property
    def taken_out(self) -> bool:
        """Return True while the deployment is taken out, until a call succeeds or fails in another way."""
        return self.out_until != NEVER

    @property
    def condition(self) -> Condition:
        """The state for operators. A half-open breaker counts as open, until its probe succeeds."""
        if self.open_until is not None:
            if not self.taken_out:
                return Condition.COOLING_DOWN
            return Condition.TAKEN_OUT_LONG if self.confirmed else Condition.TAKEN_OUT
        refused = self._refusal is not None and self._refusal.in_words
        return Condition.REFUSED if refused else Condition.IN_SERVICE

    def state(self, now: float) -> Literal["closed", "open", "half-open"]:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half-open"

    def available(self, now: float) -> bool:
        """Return True if a call may be made now. In the half-open state only one probe runs at a time."""
        return self.open_until is None or (now >= self.open_until and not self._probing)

    def start(self, now: float) -> None:
        """Records the start of a call; in the half-open state it is the probe."""
        if self.open_until is not None and now >= self.open_until:
            self._probing = True

    def abandon(self) -> None:
        """Records a call without a result for the deployment: the client left, or the fault was on this machine."""
        self._probing = False

    def answered(self) -> None:
        """Records the answer that the request itself is at fault. For a probe that is a success: the deployment works."""
        if self._probing:
            self.success()

    def success(self) -> None:
        """Records a call that succeeded, which closes the breaker."""
        if self.open_until is not None:
            self._outcomes.clear()
            self._cool_down_s = self.settings.cool_down
        self._outcomes.append(True)
        self._in_row = 0
        self._probing = False
        self.open_until = None
        self.reason = ""
        if self._refusal is not None or self.taken_out:
            self._refusal = None
            self._out_s = self.settings.cool_down
            self._reset_taken_out()

    def failure(self, now: float, reason: str, retry_after_s: float | None = None) -> None:
        """Records a call that failed. A Retry-After opens the breaker for at least that time."""
        was_probe, self._probing = self._probing, False
        self._outcomes.append(False)
        self._in_row += 1
        if not self.taken_out or was_probe:  # the provider fails now, and no longer refuses
            self.reason = reason
            self._reset_taken_out()
        if was_probe:
            self._cool_down_s = min(self._cool_down_s * 2, self.settings.max_cool_down)
            self._open(now + self._cool_down_s)
        elif self._in_row >= self.settings.breaker_failures or self._failing_often():
            self._open(now + self._cool_down_s)
        if retry_after_s:
            self._open(now + retry_after_s)

    def refused(self, now: float, refusal: Refusal, *, spare: bool) -> None:
        """Records a call that was refused. The deployment is taken out if the refusal is about more than one request.

        A refusal in words takes the deployment out for one cool-down, and the second one for `TAKEN_OUT_S`. Without such words
        a second, different request must be refused for the same reason, with no success in between; the time begins with one
        cool-down and doubles with each probe that is refused again.

        Args:
            spare: other deployments can do the work, so that this one may be taken out. A second refusal in words takes it
                out in any case.
        """
        was_probe, self._probing = self._probing, False
        before = self._refusal
        if refusal.in_words:
            self._refusal = refusal
            if before is not None and before.in_words:
                self.take_out(now, refusal.reason)
            elif spare:
                self.take_out(now, refusal.reason, self.settings.cool_down, confirmed=False)
            return
        if now < self.out_until:
            return  # called as the last resort, which must not extend the time
        again = before is not None and before.reason == refusal.reason and before.request != refusal.request
        if before is None or before.reason != refusal.reason:
            self._refusal = refusal
        if spare and (again or (was_probe and self.taken_out)):
            self.take_out(now, refusal.reason, self._out_s, confirmed=False)
            self._out_s = min(2 * self._out_s, TAKEN_OUT_S)
        elif was_probe:
            self.success()
            self._refusal = refusal

    def take_out(self, now: float, reason: str, seconds: float = TAKEN_OUT_S, *, confirmed: bool = True) -> None:
        """Opens the breaker for this many seconds; then one request is the probe."""
        self.reason = reason
        self.confirmed = confirmed
        self._open(now + seconds)
        self.out_until = max(self.out_until, now + seconds)

    def take_over(self, now: float, reason: str, seconds: float, *, refused: bool, confirmed: bool) -> None:
        """Opens the breaker for this many seconds, as that of another gateway is.

        Args:
            refused: the provider refuses its key, model or account.
            confirmed: it has done so twice.
        """
        if refused:
            self.take_out(now, reason, seconds, confirmed=confirmed or self.confirmed)
        elif not self.taken_out:
            self.reason = reason
            self._open(now + seconds)

    def try_now(self, now: float) -> None:
        """Makes the next call the probe of an open breaker: another gateway has had an answer."""
        if self.open_until is not None:
            self.open_until = min(self.open_until, now)
            if self.taken_out:
                self.out_until = min(self.out_until, now)

    def _reset_taken_out(self) -> None:
        self.out_until = NEVER
        self.confirmed = False

    def _failing_often(self) -> bool:
        return len(self._outcomes) == WINDOW and self._outcomes.count(False) >= WINDOW * MAX_FAILURE_RATE

    def _open(self, until: float) -> None:
        self.open_until = max(self.open_until or 0.0, until)
