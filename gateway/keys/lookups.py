"""Bounds the look-ups of ids that no key has: each costs the database a question, and ids can be made up.

Keys that were seen before need no permission, so they go on working while an address tries others.
"""

from collections import OrderedDict
from math import ceil

from gateway.core.errors import RateLimited
from gateway.core.vocabulary import Clock

BURST = 20
PER_S = 5.0
MOST = 1_000  # addresses that are remembered


class Lookups:
    """A bucket of look-ups for each address.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # what is left, and when that was

    def take(self, address: str) -> None:
        """Takes one look-up.

        Raises:
            RateLimited: too many ids from this address had no key.
        """
        now = self._clock()
        left, since = self._buckets.pop(address, (float(BURST), now))
        left = min(float(BURST), left + PER_S * (now - since))
        refused = left < 1.0
        self._buckets[address] = (left if refused else left - 1.0), now
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        if refused:
            raise RateLimited(
                "Too many unknown keys were sent from this address; try again in a moment.",
                kind="requests",
                retry_after_s=max(1, ceil((1.0 - left) / PER_S)),
            )

    def give_back(self, address: str) -> None:
        """The id had a key, or the database did not say."""
        if (bucket := self._buckets.get(address)) is not None:  # else it was forgotten meanwhile
            self._buckets[address] = bucket[0] + 1.0, bucket[1]
