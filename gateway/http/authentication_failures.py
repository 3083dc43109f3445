"""Requests without a valid key: each one is counted, and the log reports them in a few lines a minute, without the key."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

log = logging.getLogger("locus.keys")

INTERVAL_S = 10.0

Key = Literal["gateway", "admin"]
Reason = Literal["missing", "wrong", "expired", "revoked"]
_WORDS: dict[Reason, str] = {"missing": "no", "wrong": "a wrong", "expired": "an expired", "revoked": "a revoked"}


class AuthenticationFailures:
    """Logs the first failure at once, and later ones in one line per interval.

    Args:
        count: counts one failure, by the kind of key and the reason.
        interval_s: between two lines of the log, seconds.
    """

    def __init__(self, count: Callable[[Key, Reason], None], interval_s: float = INTERVAL_S) -> None:
        self._count = count
        self._interval_s = interval_s
        self._not_logged = 0
        self._latest = ""
        self._timer: asyncio.TimerHandle | None = None

    def add(self, key: Key, reason: Reason, address: str) -> None:
        """One request failed to authenticate.

        Args:
            key: the kind of key that the path needs.
            address: of the client.
        """
        self._count(key, reason)
        self._not_logged += 1
        self._latest = f"{_WORDS[reason]} {key} key, from {address}"
        if self._timer is None:
            self._log()

    def _log(self) -> None:
        self._timer = None
        if not self._not_logged:
            return
        number = "" if self._not_logged == 1 else f"; {self._not_logged} in the last {self._interval_s:g} s"
        log.warning("a request was refused: it has %s%s", self._latest, number)
        self._not_logged = 0
        self._timer = asyncio.get_running_loop().call_later(self._interval_s, self._log)
