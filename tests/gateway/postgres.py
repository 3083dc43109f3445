"""A PostgreSQL server of Debian's packages on loopback, for tests. Where it is not installed, the tests that need it are skipped."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest

from tests.ports import free_port

PASSWORD = "pg-s3cret/word"
_QUOTED = "pg-s3cret%2Fword"
# The server refuses to run as root; Debian's package makes this user.
_AS: dict[str, str] = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}


def binaries() -> Path | None:
    """The folder of the newest installed server; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    server = shutil.which("postgres")
    return Path(server).parent if server else None


class Postgres:
    """A running server. Its user `locus` has a password, so that tests can look for it where it must not be."""

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self._folder, self._bin = folder, bin_folder
        self.port = free_port()
        password = folder / "password"
        password.write_text(PASSWORD)
        if _AS:
            for path in (folder, password):
                shutil.chown(path, *_AS.values())
        self._run("initdb", "-D", folder / "data", "-U", "locus", "-A", "scram-sha-256", "--pwfile", password, "-N")
        self._numbers = count(1)
        self._server: subprocess.Popen[bytes] | None = None
        self.start()

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [self._bin / program, *map(str, arguments)], check=True, capture_output=True, cwd=self._folder, **_AS
        )

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {"fsync": "off", "listen_addresses": "127.0.0.1", "port": self.port, "max_connections": 60}
        options |= {"unix_socket_directories": self._folder, "log_min_messages": "fatal"}
        flags = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._server = subprocess.Popen(
            [self._bin / "postgres", "-D", self._folder / "data", *flags],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_AS,
        )
        for _ in range(1200):
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("PostgreSQL does not answer")

    def stop(self) -> None:
        """Stop the server; it closes all connections at once. `start` starts it again with its data."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # a fast shutdown
            self._server.wait(timeout=20)
            self._server = None

    def url(self, database: str, host: str = "127.0.0.1") -> str:
        """The URL of a database, with the password."""
        return f"postgresql://locus:{_QUOTED}@{host}:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.url(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this process; each test makes its own database."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL is not installed; on Debian: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="locus-postgres-"))
    server: Postgres | None = None
    try:
        server = Postgres(folder, found)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
