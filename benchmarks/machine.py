"""Processes of a measurement, the cores they run on, and what they used, as Linux's /proc tells. Standard library alone.

Elsewhere than on Linux nothing is pinned, and CPU time and memory are not known (NaN).
"""

import ctypes
import os
import platform
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

LOCAL = "127.0.0.1"
LINUX = platform.system() == "Linux"
HZ = os.sysconf("SC_CLK_TCK") if LINUX else 100
UNKNOWN = float("nan")
STOP_S = 10.0
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG
_libc = ctypes.CDLL(None) if LINUX else None  # before any fork: to load a library after one may deadlock


def cores() -> tuple[int | None, int | None]:
    """The core of the server, and the one of everything else; None where a process cannot be tied to one, or there is but one."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    ours = sorted(os.sched_getaffinity(0))
    return (ours[0], ours[1]) if len(ours) > 1 else (None, None)


class Process:
    """A server of the measurement, in a session of its own. Use as a context manager; it ends with the block."""

    def __init__(
        self,
        command: Sequence[str],
        core: int | None,
        env: dict[str, str] | None = None,
        log: IO[bytes] | None = None,
        cwd: Path | None = None,
    ) -> None:
        def prepare() -> None:
            if _libc is not None:
                _libc.prctl(_DIE_WITH_PARENT, signal.SIGTERM)
            if core is not None:
                os.sched_setaffinity(0, {core})

        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command,
            env=os.environ | (env or {}),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.DEVNULL,
            stderr=log or subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=prepare,
        )
        self.pid = self._process.pid

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exc: object) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self._process.wait(STOP_S)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def signal(self, number: int) -> None:
        """To it and to what it started."""
        if not self.ended:
            os.killpg(self.pid, number)

    def cpu_s(self) -> float:
        """CPU seconds so far, of it and of what it started."""
        return sum(_cpu_s(fields) for fields in _family(self.pid)) if LINUX else UNKNOWN

    def cpu_ns(self) -> int:
        """The same of the process itself, in nanoseconds: /proc counts in hundredths of a second."""
        if _libc is None:
            raise OSError("only Linux tells the CPU time of another process")
        clock = ctypes.c_int()
        if error := _libc.clock_getcpuclockid(self.pid, ctypes.byref(clock)):
            raise OSError(error, os.strerror(error))
        return time.clock_gettime_ns(clock.value)

    def rss_mb(self) -> float:
        """Resident memory now, of it and of what it started."""
        page = os.sysconf("SC_PAGE_SIZE")
        return sum(int(fields[21]) * page for fields in _family(self.pid)) / 1e6 if LINUX else UNKNOWN


def busy_s() -> float:
    """CPU seconds that the whole machine has spent, on whatever."""
    if not LINUX:
        return UNKNOWN
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (user + nice + system + irq + softirq) / HZ


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        return int(sock.getsockname()[1])


def cpu_name() -> str:
    if LINUX:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _family(leader: int) -> list[list[str]]:
    """The fields of /proc/PID/stat after the name, of every process in the session that `leader` leads."""
    family = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(fields[3]) == leader:
                family.append(fields)
    return family


def _cpu_s(fields: list[str]) -> float:
    return (int(fields[11]) + int(fields[12])) / HZ
