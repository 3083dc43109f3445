"""Requests without a right key: each is counted, and the log tells of them a few lines a minute, without the key."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

log = logging.getLogger("locus.keys")

INTERVAL_S = 10.0

Key = Literal["gateway", "admin"]
Reason = Literal["missing", "wrong"]


class RefusedKeys:
    """Tells of the first refusal at once, and of those that follow in one line per interval.

    Args:
        count: counts one refusal, by the kind of key and the reason.
        interval_s: between two lines of the log, seconds.
    """

    def __init__(self, count: Callable[[Key, Reason], None], interval_s: float = INTERVAL_S) -> None:
        self._count = count
        self._interval_s = interval_s
        self._refused = 0
        self._last = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: Key, reason: Reason, address: str) -> None:
        """One request was refused.

        Args:
            address: where it came from.
        """
        self._count(key, reason)
        self._refused += 1
        self._last = f"{'no' if reason == 'missing' else 'a wrong'} {key} key, from {address}"
        if self._timer is None:
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        if not self._refused:
            return
        many = "" if self._refused == 1 else f"; {self._refused} in the last {self._interval_s:g} s"
        log.warning("a request was refused: it has %s%s", self._last, many)
        self._refused = 0
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._tell)
