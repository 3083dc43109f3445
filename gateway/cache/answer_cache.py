"""The cache of one process: finished answers by the keys of their requests, in memory, and the requests under way."""

import asyncio
from collections import OrderedDict

from gateway.cache.entry import Entry
from gateway.config.settings import CacheSettings
from gateway.core.vocabulary import Clock


class AnswerCache:
    """Keeps answers up to a number of bytes; the least recently used one is removed first.

    Args:
        clock: monotonic seconds.

    Attributes:
        flights: the requests under way whose answers may be stored, by key. The result is the stored answer, or None.
        bytes: the size of all answers, about.
    """

    def __init__(self, clock: Clock, settings: CacheSettings | None) -> None:
        self.clock = clock
        self.flights: dict[bytes, asyncio.Future[Entry | None]] = {}
        self.bytes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()
        self.apply(settings)

    def __len__(self) -> int:
        return len(self._entries)

    def apply(self, settings: CacheSettings | None) -> None:
        """Sets the limits; None: nothing is kept."""
        self._max_bytes = 0 if settings is None else settings.max_bytes
        self.max_entry_bytes = 0 if settings is None else min(settings.max_entry_bytes, self._max_bytes)
        self._shrink()

    def get(self, key: bytes) -> Entry | None:
        """Return the answer under a key; None if there is none or its time is over."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if self.clock() - entry.stored_at >= entry.ttl_s:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Entry) -> bool:
        """Store an answer in place of an earlier one; return False if it is too large."""
        if entry.size > self.max_entry_bytes:
            return False
        if key in self._entries:
            self._remove(key)
        self._entries[key] = entry
        self.bytes += entry.size
        self._shrink()
        return True

    def _remove(self, key: bytes) -> None:
        self.bytes -= self._entries.pop(key).size

    def _shrink(self) -> None:
        while self.bytes > self._max_bytes:
            self.bytes -= self._entries.popitem(last=False)[1].size
