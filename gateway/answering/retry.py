"""When the same deployment is asked again, and how often all requests together may do so. Pure; time and chance come in."""

import random
from collections.abc import Callable

from gateway.config.portfolio import RetrySettings
from gateway.provider_errors.failures import QUICK_RETRY, Cause, UpstreamFailure

ASKED_OTHERWISE = frozenset({Cause.FIELD_REFUSED, Cause.VALUE_REFUSED})  # the next call leaves something out
BUSY = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED})  # passes by itself
WAITING = BUSY | QUICK_RETRY  # may say how long to wait

QUICK_RETRY_S = 0.1  # the one retry after a server error comes within this, with full jitter
BACKOFF_S = 0.5  # first backoff after a rate limit without Retry-After; doubles, full jitter
MAX_TRIES = 4  # on one deployment, for whatever mix of reasons
WINDOW_S = 10.0  # of a budget; counts reach back one to two of them


def retry_delay(
    failure: UpstreamFailure, tries: int, settings: RetrySettings, rng: random.Random, *, alone: bool = False
) -> float | None:
    """Seconds until the same deployment is asked again after its `tries`-th try failed; None: go on to the next one.

    A rate limit is waited for as long as its Retry-After says, unless that is longer than the cap, or with full-jitter
    backoff. A failed, unreadable or impossible call is repeated once, quickly. A part of the request that was refused is
    left out at once. Silence, refused keys and errors of the request are not retried.

    Args:
        alone: no other deployment is left to ask, so that an overloaded provider, or one that names a time, is waited for too.
    """
    cause, after_s = failure.cause, failure.retry_after_s
    if tries >= MAX_TRIES:
        return None
    if cause in ASKED_OTHERWISE:
        return 0.0
    waits = cause is Cause.RATE_LIMITED or (alone and (cause in BUSY or (cause in QUICK_RETRY and after_s is not None)))
    if waits:
        if tries > settings.retries:
            return None
        if after_s is None:
            return rng.uniform(0.0, BACKOFF_S * 2 ** (tries - 1))
        return after_s if after_s <= settings.max_retry_after_s else None
    if cause is Cause.OVERLOADED and after_s is not None:
        return None
    if (cause in QUICK_RETRY or cause in (Cause.OVERLOADED, Cause.LOCAL)) and tries <= min(1, settings.retries):
        return rng.uniform(0.0, QUICK_RETRY_S)
    return None


class Budget:
    """How many extra calls all requests together may make: a share of the requests of the last 10 to 20 s, and a few.

    Args:
        clock: seconds, monotonic.
        reserve: extra calls in that time whatever the share, so that a quiet gateway can retry at all.
    """

    __slots__ = ("_before", "_clock", "_now", "_reserve", "_since")

    def __init__(self, clock: Callable[[], float], reserve: int = 10) -> None:
        self._clock = clock
        self._reserve = reserve
        self._since = clock()
        self._now = [0, 0]  # requests, extra calls of this window
        self._before = [0, 0]

    def request(self) -> None:
        """A request makes its first call."""
        self._roll()
        self._now[0] += 1

    def spend(self) -> None:
        """An extra call that is made in any case."""
        self._roll()
        self._now[1] += 1

    def take(self, share: float) -> bool:
        """An extra call, if there is room for it: False, and none is counted, where there is not."""
        self._roll()
        requests, extra = (now + before for now, before in zip(self._now, self._before, strict=True))
        if extra >= self._reserve + share * requests:
            return False
        self._now[1] += 1
        return True

    def _roll(self) -> None:
        windows = int((self._clock() - self._since) / WINDOW_S)
        if windows:
            self._before = self._now if windows == 1 else [0, 0]
            self._now = [0, 0]
            self._since += windows * WINDOW_S
