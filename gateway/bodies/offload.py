"""Work on large bodies runs in threads of its own, so that the event loop goes on with everything else."""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

LARGE = 64 << 10  # bytes; what is made of smaller ones takes less time than a change of threads is worth
THREADS = 2  # at once: more would only hold more memory, since most of the work is Python's

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(THREADS, "large-body")


async def offloaded(size: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of `work`, which runs in a thread where `size`, in bytes, is large, else at once.

    A caller that is cancelled does not wait; the work then ends unheard.
    """
    if size < LARGE:
        return work(*args, **kwargs)
    call = partial(contextvars.copy_context().run, work, *args, **kwargs)
    return await asyncio.get_running_loop().run_in_executor(_threads, call)
