"""Work on large bodies runs in a thread, work on small ones in the event loop's thread."""

import asyncio
import contextvars
import threading

import pytest

from gateway.bodies.offload import LARGE, offloaded

pytestmark = pytest.mark.anyio
VALUE: contextvars.ContextVar[str] = contextvars.ContextVar("VALUE", default="unset")


def work(text: str, *, suffix: str = "") -> tuple[str, str]:
    return text + suffix, threading.current_thread().name


async def test_a_small_body_is_worked_on_directly() -> None:
    assert await offloaded(LARGE - 1, work, "a", suffix="b") == ("ab", threading.current_thread().name)


async def test_a_large_body_goes_to_a_thread() -> None:
    text, thread = await offloaded(LARGE, work, "a", suffix="b")
    assert text == "ab"
    assert thread.startswith("large-body")


async def test_the_thread_sees_the_context_of_the_caller() -> None:
    VALUE.set("of the caller")
    assert await offloaded(LARGE, VALUE.get) == "of the caller"


@pytest.mark.parametrize("size", [0, LARGE])
async def test_exceptions_reach_the_caller(size: int) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await offloaded(size, int, "x")


async def test_a_cancelled_caller_does_not_wait() -> None:
    release = threading.Event()
    task = asyncio.create_task(offloaded(LARGE, release.wait, 10))
    await asyncio.sleep(0)
    task.cancel()
    try:
        with pytest.raises(asyncio.CancelledError):
            await task
    finally:
        release.set()
