"""Retry rules: when the same deployment is called again, and the budget that limits the retries of all requests. Pure."""

import random
from collections.abc import Callable

from gateway.config.settings import RetrySettings
from gateway.provider_errors.failures import QUICK_RETRY, Cause, UpstreamFailure

SENT_CHANGED = frozenset({Cause.FIELD_REFUSED, Cause.VALUE_REFUSED})  # the next call is sent with a change
BUSY = frozenset({Cause.RATE_LIMITED, Cause.OVERLOADED})  # ends by itself
WAITING = BUSY | QUICK_RETRY  # the provider may name a time to wait

QUICK_RETRY_S = 0.1  # longest backoff before the one retry after a server error; full jitter
BACKOFF_S = 0.5  # longest first backoff after a rate limit without Retry-After; doubles; full jitter
MAX_TRIES = 4  # calls of one deployment for one request, for any mix of causes
WINDOW_S = 10.0  # of a budget; its counts cover the last one to two windows


def retry_delay(
    failure: UpstreamFailure, tries: int, settings: RetrySettings, rng: random.Random, *, alone: bool = False
) -> float | None:
    """Seconds until the same deployment is called again after its `tries`-th call failed; None for no further call.

    After a rate limit the gateway waits as long as Retry-After says, unless that is longer than the maximum, or with
    full-jitter exponential backoff. A server error, a broken connection or an unreadable answer is retried once, quickly. A
    request with a refused field is sent again at once, changed. Timeouts, refused keys and refused requests are not retried.

    Args:
        alone: no other deployment is left, so that the gateway also waits for an overloaded provider or a named time.
    """
    cause, after_s = failure.cause, failure.retry_after_s
    if tries >= MAX_TRIES:
        return None
    if cause in SENT_CHANGED:
        return 0.0
    waits = cause is Cause.RATE_LIMITED or (alone and (cause in BUSY or (cause in QUICK_RETRY and after_s is not None)))
    if waits:
        if tries > settings.retries:
            return None
        if after_s is None:
            return rng.uniform(0.0, BACKOFF_S * 2 ** (tries - 1))
        return after_s if after_s <= settings.max_retry_after else None
    if cause is Cause.OVERLOADED and after_s is not None:
        return None
    if (cause in QUICK_RETRY or cause in (Cause.OVERLOADED, Cause.LOCAL)) and tries <= min(1, settings.retries):
        return rng.uniform(0.0, QUICK_RETRY_S)
    return None


class Budget:
    """Limits the extra calls of all requests together: a reserve and a share of the requests of the last 10 to 20 s.

    Args:
        clock: monotonic seconds.
        reserve: extra calls that are allowed whatever the share is, so that a gateway with few requests can retry.
    """

    __slots__ = ("_before", "_clock", "_now", "_reserve", "_since")

    def __init__(self, clock: Callable[[], float], reserve: int = 10) -> None:
        self._clock = clock
        self._reserve = reserve
        self._since = clock()
        self._now = [0, 0]  # requests and extra calls of this window
        self._before = [0, 0]

    def count_request(self) -> None:
        """Counts a request, which makes its first call."""
        self._roll()
        self._now[0] += 1

    def count_extra_call(self) -> None:
        """Counts an extra call that is made in any case."""
        self._roll()
        self._now[1] += 1

    def take(self, share: float) -> bool:
        """Counts an extra call and returns True if the budget has room for it; otherwise returns False."""
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
