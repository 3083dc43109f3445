"""The memory budget: a limit on the memory of all requests in progress, for bodies, answers and objects made of them.

A request charges memory before it uses it and releases all of it at its end. Charges are upper estimates, so that the process
stays below its limit although Python cannot report the size of an object graph.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from gateway.core.errors import BodyTooLarge, Overloaded

SHARE = 0.5  # of the memory of this machine or container; the rest is for models, caches and the system
LEAST = 256 << 20
RETRY_AFTER_S = 2
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class MemoryBudget:
    """The memory that all requests of one process use.

    Args:
        limit: returns the limit of the current settings, bytes; None means half of the memory of the machine or container.
        refused: called when a request is refused because the budget is spent.

    Attributes:
        charged: bytes charged by all requests in progress.
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
        """Return an account for one request, a context manager: `charge` uses it inside the block; its end releases everything."""
        return Account(self)


class Account:
    """The memory of one request: a context manager, safe to charge from any thread.

    Attributes:
        charged: bytes charged by this request.
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
        """Charge `size` bytes; a negative size releases memory.

        Raises:
            Overloaded: the budget is spent by other requests; a retry may succeed.
            BodyTooLarge: this request alone exceeds the budget.
        """
        budget = self._budget
        with budget.lock:
            if self._closed:
                return  # a worker thread continues for a client that has disconnected
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
        """Release everything. Later charges are ignored."""
        with self._budget.lock:
            self._closed = True
            self._budget.charged -= self.charged
            self.charged = 0


_current: ContextVar[Account | None] = ContextVar("memory_account", default=None)


def charge(size: int) -> None:
    """Charge the account of the current request, if there is one: health checks have none.

    Raises:
        Overloaded, BodyTooLarge: as `Account.charge`.
    """
    account = _current.get()
    if account is not None:
        account.charge(size)


def default_limit() -> int:
    """Return half of the memory of this machine, or of the container if that has less, bytes."""
    return max(LEAST, int(SHARE * _available()))


def _available() -> int:
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):  # not a POSIX system
        sizes = [4 << 30]
    for path in _CGROUP_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # "max": no limit
            sizes.append(int(Path(path).read_text()))
    return min(sizes)
