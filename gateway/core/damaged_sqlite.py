"""Damaged SQLite files: kept under another name, so that a new one can begin and nothing of the old one is lost for good."""

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger("locus.damage")


def is_damage(exc: BaseException) -> bool:
    """Whether the file itself is at fault, so that waiting cannot help."""
    return getattr(exc, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def move_aside(path: Path, opened: int | None) -> bool:
    """Gives a damaged file another name, so that a new one begins. Several processes may write to the same file and find out
    at once: only the file that was opened is moved, by one of them.

    Returns:
        whether there is another file, or none, in its place now.
    """
    name = f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with contextlib.suppress(OSError), _locked(path.parent):
        if opened is None or inode(path) != opened:
            return opened is not None
        number = 0
        while (aside := path.with_name(name if not number else f"{name}-{number}")).exists():
            number += 1
        path.rename(aside)
        for suffix in ("-wal", "-shm"):  # they belong to it
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
        log.critical("%s is damaged: it is kept as %s, and a new one is begun", path, aside.name)
        return True
    return False


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """While the block runs, no other process is in one for this folder, where the system has such locks."""
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
    """Which file has this name now; None: none."""
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_ino
    return None
