"""Writes log lines to standard error. While a process serves, a thread does so, in batches.

So a terminal or a pipe that is read slowly does not stop the event loop, and a line costs no system call of its own.
"""

import contextlib
import logging
import shutil
import sys
import textwrap
import threading
from collections import deque
from collections.abc import Iterator
from typing import TextIO

BATCH_S = 0.05  # longest time that a line waits for others
MAX_LINES = 20_000  # that wait; beyond it the oldest are lost, and counted
STOP_S = 2.0  # longest time in which the last lines are written at a stop
NARROWEST = 40  # columns; on a narrower terminal, lines would be mostly indentation
INDENT = "    "


class LogWriter(logging.Handler):
    """A handler that writes lines to a stream: at once, or within `in_thread` by a thread.

    Args:
        stream: by default, standard error.

    On a terminal, lines are wrapped between words at its width.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._lines: deque[str] = deque()
        self._lost = 0
        self._wake: threading.Event | None = None  # while the thread runs
        self._stopping = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.append(self.format(record))
        except Exception:  # a defect in a log call, which logging reports on standard error
            self.handleError(record)
            return
        if len(self._lines) > MAX_LINES:
            self._lines.popleft()
            self._lost += 1
        if self._wake is None:
            self._write()
        elif not self._wake.is_set():
            self._wake.set()

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[None]:
        """Within this block a thread writes the lines; at its end those that wait are written."""
        self._wake = wake = threading.Event()
        self._stopping.clear()
        thread = threading.Thread(target=self._run, args=(wake,), name="log", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            wake.set()
            thread.join(STOP_S)
            if not thread.is_alive():  # otherwise the stream takes nothing, and would stop this thread, too
                self._wake = None
                self._write()

    def _run(self, wake: threading.Event) -> None:
        while not self._stopping.is_set():
            wake.wait()
            self._stopping.wait(BATCH_S)
            wake.clear()
            self._write()

    def _write(self) -> None:
        lines = []
        while self._lines:
            lines.append(self._lines.popleft())
        if self._lost:
            lost, self._lost = self._lost, 0
            lines.append(f"{lost} older log lines were lost: standard error is read too slowly")
        if self._terminal:
            lines = [_wrapped(line) for line in lines]
        if lines:
            with contextlib.suppress(OSError, ValueError):  # the reader of the stream is gone
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()


@contextlib.contextmanager
def written_in_thread() -> Iterator[None]:
    """Within this block, the handlers of the root logger that are `LogWriter`s write in threads."""
    with contextlib.ExitStack() as stack:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogWriter):
                stack.enter_context(handler.in_thread())
        yield


def _wrapped(text: str) -> str:
    width = max(shutil.get_terminal_size().columns, NARROWEST)
    return "\n".join(
        line
        if len(line) <= width or line.startswith(" ")  # of a traceback
        else textwrap.fill(line, width, subsequent_indent=INDENT, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
