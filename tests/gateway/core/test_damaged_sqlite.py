"""Damaged database files are renamed once, and a new file is never renamed."""

import sqlite3
from pathlib import Path

import pytest

from gateway.core.damaged_sqlite import inode, is_damage, move_aside


def damaged(path: Path) -> int:
    path.write_bytes(b"not a database" * 100)
    found = inode(path)
    assert found is not None
    return found


def aside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if ".damaged-" in path.name)


def test_only_damage_counts_as_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    damaged(path)
    with sqlite3.connect(path) as database, pytest.raises(sqlite3.DatabaseError) as failed:
        database.execute("SELECT * FROM sqlite_master")
    database.close()
    assert is_damage(failed.value)
    with sqlite3.connect(":memory:") as database, pytest.raises(sqlite3.OperationalError) as missing:
        database.execute("SELECT * FROM no_such_table")
    database.close()
    assert not is_damage(missing.value)
    assert not is_damage(OSError("disk full"))


def test_the_file_and_the_parts_of_its_database_are_renamed(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened = damaged(path)
    (tmp_path / "a.db-wal").write_bytes(b"wal")
    assert move_aside(path, opened)
    file, wal = aside(tmp_path)
    assert wal.name == f"{file.name}-wal"
    assert (file.read_bytes()[:3], wal.read_bytes()) == (b"not", b"wal")
    assert not path.exists()


def test_a_file_that_another_process_renamed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened = damaged(path)
    assert move_aside(path, opened)
    assert move_aside(path, opened)  # there is no file now
    (tmp_path / "other").write_bytes(b"keeps the old inode in use")
    path.write_bytes(b"new")
    if inode(path) != opened:
        assert move_aside(path, opened)
        assert path.read_bytes() == b"new"
    assert len(aside(tmp_path)) == 1


def test_two_files_damaged_in_the_same_second_get_different_names(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    for _ in range(3):
        assert move_aside(path, damaged(path))
    assert len(aside(tmp_path)) == 3


def test_a_file_that_was_never_opened_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    damaged(path)
    assert not move_aside(path, None)
    assert path.exists()
    assert inode(tmp_path / "missing.db") is None
