"""Bounds the look-ups of ids that no key has: each costs the database a question, and ids can be made up.

Keys that were seen before need no permission, so they go on working while an address tries others.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
        self._running: dict[str, set[asyncio.Future[None]]] = {}  # look-ups in progress, by address

    @asynccontextmanager
    async def one(self, address: str) -> AsyncIterator["Lookup"]:
        """One look-up, which the block does; it costs the address nothing if the block says that it was no guess.

        While others of the address are in progress it waits for them: many clients behind one proxy may bring new keys at once.

        Raises:
            RateLimited: too many ids from this address had no key.
        """
        while not self._take(address):
            running = self._running.get(address)
            if not running:
                raise self._refusal(address)
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        ended = asyncio.get_running_loop().create_future()
        self._running.setdefault(address, set()).add(ended)
        lookup = Lookup()
        try:
            yield lookup
        finally:
            running = self._running[address]
            running.discard(ended)
            if not running:
                del self._running[address]
            bucket = self._buckets.get(address)
            if lookup.no_guess and bucket is not None:  # else it was forgotten meanwhile
                self._buckets[address] = bucket[0] + 1.0, bucket[1]
            ended.set_result(None)

    def _take(self, address: str) -> bool:
        now = self._clock()
        left, since = self._buckets.pop(address, (float(BURST), now))
        left = min(float(BURST), left + PER_S * (now - since))
        refused = left < 1.0
        self._buckets[address] = (left if refused else left - 1.0), now
        if len(self._buckets) > MOST:
            self._buckets.popitem(last=False)
        return not refused

    def _refusal(self, address: str) -> RateLimited:
        left, _ = self._buckets[address]
        return RateLimited(
            "Too many unknown keys were sent from this address; try again in a moment.",
            kind="requests",
            retry_after_s=max(1, ceil((1.0 - left) / PER_S)),
        )


@dataclass(slots=True)
class Lookup:
    """What came of a look-up.

    Attributes:
        no_guess: the id has a key, or the database did not say.
    """

    no_guess: bool = False
