"""The memory budget: what all requests together may hold, in bodies, answers and what is made of them.

A request charges what it is about to hold before it does, and gives all of it back at its end. Charges are estimates from
above, so that the process stays below its limit although Python cannot be asked what an object takes.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from gateway.core.errors import BodyTooLarge, Overloaded

SHARE = 0.5  # of the memory that this machine or container has; the rest is for models, caches and the system
LEAST = 256 << 20
RETRY_AFTER_S = 2
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryBudget:
    """What the requests of one process hold together.

    Args:
        limit: bytes, as the settings in force have it; None: half of what the machine or container has.
        refused: called when a request is refused for want of memory.

    Attributes:
        charged: bytes, by all requests under way.
    """

    def __init__(self, limit: Callable[[], int | None], refused: Callable[[], object] = lambda: None) -> None:
        self.charged = 0
        self.refused = refused
        self.lock = threading.Lock()
        self._limit = limit
        self._default = default_limit()

    @property
    def limit(self) -> int:
        return self._limit() or self._default

    def account(self) -> "Account":
        """The account of one request. Use as a context manager: in the block `charge` finds it, at its end all is given back."""
        return Account(self)


class Account:
    """What one request holds: a context manager. Can be charged from any thread.

    Attributes:
        charged: bytes.
    """

    __slots__ = ("_budget", "_closed", "_token", "charged")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._closed = False
        self.charged = 0

    def __enter__(self) -> "Account":
        self._token = _current.set(self)
        return self

    def __exit__(self, *exc: object) -> None:
        _current.reset(self._token)
        self.close()

    def charge(self, size: int) -> None:
        """Takes `size` bytes more; a negative size gives some back.

        Raises:
            Overloaded: the budget is spent; another request will give its part back.
            BodyTooLarge: the budget is too small for this request, even if it were the only one.
        """
        budget = self._budget
        with budget.lock:
            if self._closed:
                return  # a thread still works for a client that has left
            charged = budget.charged + size
            if size > 0 and charged > (limit := budget.limit):
                budget.refused()
                alone = self.charged + size
                if alone > limit:
                    raise BodyTooLarge(
                        f"The request needs about {alone >> 20} MB of memory, more than the gateway's `max_memory_mb`."
                    )
                raise Overloaded(
                    f"The gateway is at its limit of memory; try again in {RETRY_AFTER_S} s.",
                    headers={"retry-after": str(RETRY_AFTER_S)},
                )
            budget.charged = charged
            self.charged += size

    def close(self) -> None:
        """Gives everything back. What is charged from now on does not count."""
        with self._budget.lock:
            self._closed = True
            self._budget.charged -= self.charged
            self.charged = 0


_current: ContextVar[Account | None] = ContextVar("memory_account", default=None)


def charge(size: int) -> None:
    """Charges the request that is being served, if any: health checks have no account.

    Raises:
        Overloaded, BodyTooLarge: as `Account.charge`.
    """
    account = _current.get()
    if account is not None:
        account.charge(size)


def default_limit() -> int:
    """Half of the memory of this machine, or of the container where that has less, bytes."""
    return max(LEAST, int(SHARE * _available()))


def _available() -> int:
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):  # no POSIX system
        sizes = [4 << 30]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            sizes.append(int(Path(path).read_text()))
    return min(sizes)
