"""Runs one long piece of Python work in a daemon thread, beside an event loop that goes on serving requests."""

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import TypeVar

SWITCH_INTERVAL_S = 0.0005  # how long the thread may hold the interpreter while requests wait

T = TypeVar("T")

_lock = threading.Lock()
_usual_interval_s: list[float] = []  # for each piece of work that is running, the interval before it


def in_daemon_thread(work: Callable[[], T], name: str) -> Future[T]:
    """Starts the work; gives its outcome. The thread does not keep the process from ending.

    If the outcome is cancelled, the work goes on, and its result is dropped.
    """
    done: Future[T] = Future()

    def run() -> None:
        set_outcome: Callable[[], None]
        with _short_switch_interval():
            try:
                set_outcome = partial(done.set_result, work())
            except BaseException as exc:
                set_outcome = partial(done.set_exception, exc)
        with contextlib.suppress(InvalidStateError):
            set_outcome()

    threading.Thread(target=run, name=name, daemon=True).start()
    return done


@contextlib.contextmanager
def _short_switch_interval() -> Iterator[None]:
    """Makes threads switch more often than Python's 5 ms, since the event loop waits for a switch each time it wakes up."""
    with _lock:
        _usual_interval_s.append(sys.getswitchinterval())
        sys.setswitchinterval(min(_usual_interval_s[0], SWITCH_INTERVAL_S))
    try:
        yield
    finally:
        with _lock:
            usual_s = _usual_interval_s[0]
            _usual_interval_s.pop()
            if not _usual_interval_s:
                sys.setswitchinterval(usual_s)
