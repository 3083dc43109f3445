"""Processes that have ended, or that are stopped, for tests of who is there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def ended_process() -> int:
    """The number of a process that was there."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@contextmanager
def stopped_process() -> Iterator[int]:
    """The number of a process that SIGSTOP has stopped, until the block ends."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield process.pid
        finally:
            process.kill()
