"""Runs code that a model wrote in a process of its own, with limits; `sandbox_child` says what the process gives up."""

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

MEMORY_BYTES = 512 << 20
FILE_BYTES = 1 << 20
DEFAULT_CPU_S = 5.0
MOST_CPU_S = 60.0
_CHILD = Path(__file__).with_name("sandbox_child.py")


class SandboxError(Exception):
    """The code could not be run within limits: the system does not have what closes the sandbox."""


def passes(code: str, tests: str, cpu_s: float = DEFAULT_CPU_S) -> bool:
    """Return True if the code and then the tests run to their end, within `cpu_s` seconds of CPU and 512 MiB.

    The process has no environment, no network, no other processes, and a temporary folder, which is removed. It is killed after
    twice the CPU time and 5 seconds.

    Raises:
        SandboxError: not on this system.
    """
    if os.name != "posix":
        raise SandboxError("code of models runs on Linux and macOS only")
    token = secrets.token_hex(16)
    read, write = os.pipe()
    try:
        work = {
            "code": code,
            "tests": tests,
            "cpu_s": max(1, round(min(cpu_s, MOST_CPU_S))),
            "memory_bytes": MEMORY_BYTES,
            "file_bytes": FILE_BYTES,
            "token": token,
            "pipe": write,
        }
        with tempfile.TemporaryDirectory(prefix="locus-sandbox-", ignore_cleanup_errors=True) as folder:
            try:
                _run(json.dumps(work).encode(), folder, write, 2 * cpu_s + 5)
            finally:
                os.close(write)
            outcome = os.read(read, 1_024).decode(errors="replace")
    finally:
        os.close(read)
    if outcome.startswith(token + "open: "):
        raise SandboxError(outcome.removeprefix(token + "open: "))
    return outcome == token + "passed"


def _run(work: bytes, folder: str, pipe: int, wall_s: float) -> None:
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-X", "utf8", str(_CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={},
        cwd=folder,
        pass_fds=(pipe,),
        start_new_session=True,
    )
    try:
        process.communicate(work, timeout=wall_s)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
