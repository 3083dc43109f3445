"""Runs CPU work on large bodies in a thread pool, so that the event loop stays responsive."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

LARGE = 64 << 10  # bytes; smaller bodies take less time than switching to a thread
THREADS = 2  # more threads would only use more memory, because most of the work holds the GIL

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, "large-body")


async def offloaded(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `work` in a thread if `size`, in bytes, is at least `LARGE`, otherwise directly, and return its result.

    A cancelled caller does not wait; the result of the thread is then discarded.
    """
    if size < LARGE:
        return work(*args, **kwargs)
    call = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)
