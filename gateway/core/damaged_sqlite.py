"""Renames damaged SQLite files, so that a new file can be created and the data of the old one is kept."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger("locus.damage")


def is_damage(exc: BaseException) -> bool:
    """Return True if SQLite reports that the file is not a database or is corrupt, so that a retry cannot succeed."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def check_first_page(path: Path) -> int | None:
    """Read the beginning of a file before anything else opens it, under the lock of `move_aside`.

    Else a process could open a damaged file, have it renamed by another one before it has read anything, and take the journal of
    the new file for that of the old one: SQLite would then truncate the file that was kept.

    Returns:
        Its inode; None if there is no file.

    Raises:
        sqlite3.DatabaseError: the file is damaged. Other errors are left to those who open it next.
    """
    try:
        with _locked(path.parent):
            found = inode(path)
            with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
                connection.execute("PRAGMA schema_version").fetchone()
            return found
    except (sqlite3.Error, OSError) as exc:
        if is_damage(exc):
            raise
    return inode(path)


def move_aside(path: Path, opened: int | None) -> bool:
    """Rename a damaged file to `NAME.damaged-TIME`. Several processes may find the damage at the same time: a lock and the inode
    make sure that the file is renamed once and a newly created file never.

    Args:
        opened: inode of the file that the caller had opened; None if it could not be opened.

    Returns:
        True if the path now names another file or no file.
    """
    name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with contextlib.suppress(OSError), _locked(path.parent):
        if opened is None or inode(path) != opened:
            return opened is not None
        number = 0
        while (aside := path.with_name(name if not number else f"{name}-{number}")).exists():
            number += 1
        path.rename(aside)
        for suffix in ("-wal", "-shm"):  # parts of the same database
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        log.critical("%s is damaged: the gateway keeps it as %s and creates a new file", path, aside.name)
        return True
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on the folder against other processes, where the system has `flock`."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def inode(path: Path) -> int | None:
    """Return the inode of the file at `path`; None if there is none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino
    return None
