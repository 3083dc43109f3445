import asyncio
import contextlib
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from gateway.config.database_location import DatabaseLocation
from gateway.store import database as database_module
from gateway.store.database import Database, DatabaseUnavailable, is_refused_value
from gateway.store.tables import LEDGER, TEAMS
from tests.gateway.postgres import PASSWORD, Postgres
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio


async def add(database: Database, *names: str) -> None:
    async with database.begin() as connection:
        await connection.execute(insert(TEAMS), [{"name": name, "access": {}, "created": 0.0} for name in names])


async def names(database: Database) -> list[str]:
    async with database.read() as connection:
        return list((await connection.execute(select(TEAMS.c.name).order_by(TEAMS.c.name))).scalars())


async def test_a_transaction_is_committed_whole_or_not_at_all(location: DatabaseLocation) -> None:
    database = Database(location)
    await add(database, "a")
    with pytest.raises(IntegrityError):
        await add(database, "b", "a")
    assert await names(database) == ["a"]
    await database.close()
    assert await names(database) == ["a"]  # opened again
    await database.close()


async def test_a_value_that_cannot_be_stored_is_not_taken_for_a_failure(location: DatabaseLocation) -> None:
    database = Database(location)
    await add(database, "a")
    with pytest.raises(IntegrityError) as twice:
        await add(database, "a")
    assert is_refused_value(twice.value)
    with pytest.raises(Exception) as large:  # noqa: PT011 - each engine has its own
        async with database.begin() as connection:
            await connection.execute(insert(LEDGER), {"time": 0.0, "nusd": 10**30})
    assert is_refused_value(large.value)
    assert await names(database) == ["a"]
    await database.close()


async def test_many_writers_wait_for_each_other(location: DatabaseLocation) -> None:
    one, other = Database(location), Database(location)
    await asyncio.gather(*(add(database, f"{i}{j}") for i in range(20) for j, database in enumerate((one, other))))
    assert len(await names(one)) == 40
    await one.close()
    await other.close()


async def test_only_the_user_of_the_gateway_can_read_an_sqlite_file(tmp_path: Path) -> None:
    file = tmp_path / "new" / "s.db"
    database = Database(DatabaseLocation(file))
    await add(database, "a")
    assert {stat.S_IMODE(os.stat(path).st_mode) for path in (file, f"{file}-wal")} == {0o600}
    await database.close()


def test_a_loop_ends_while_another_process_holds_the_lock_of_cancelled_transactions(tmp_path: Path) -> None:
    file = tmp_path / "s.db"

    async def stop_in_a_transaction(holder: sqlite3.Connection) -> None:
        database = Database(DatabaseLocation(file))
        await add(database, "a")
        holder.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(add(database, name)) for name in "bcde"]  # one for each connection of the pool
        await asyncio.sleep(0.2)
        for task in waiting:
            task.cancel()
        await asyncio.sleep(0.1)
        await database.close()
        threading.Timer(0.5, holder.execute, ["COMMIT"]).start()
        # `asyncio.run` cancels the waiting tasks once more.

    with contextlib.closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as holder:
        ended = threading.Event()
        run = threading.Thread(target=lambda: (asyncio.run(stop_in_a_transaction(holder)), ended.set()), daemon=True)
        run.start()
        assert ended.wait(timeout=30)


@pytest.mark.parametrize("moved", [True, False])
async def test_a_moved_or_removed_sqlite_file_is_created_again(tmp_path: Path, moved: bool) -> None:
    file, old = tmp_path / "s.db", tmp_path / "old.db"
    database = Database(DatabaseLocation(file))
    await add(database, "a")
    if moved:
        file.rename(old)
    else:
        file.unlink()
    await add(database, "b")
    assert await names(database) == ["b"]
    await database.close()
    if moved:
        with sqlite3.connect(old) as kept:
            assert kept.execute("SELECT name FROM teams").fetchall() == [("a",)]


async def test_a_damaged_sqlite_file_is_kept_and_replaced(tmp_path: Path) -> None:
    file = tmp_path / "s.db"
    file.write_bytes(b"no database at all" * 500)
    database = Database(DatabaseLocation(file))
    await add(database, "a")
    assert await names(database) == ["a"]
    await database.close()
    assert len(list(tmp_path.glob("s.db.damaged-*"))) == 1  # noqa: ASYNC240


async def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    database = Database(DatabaseLocation(tmp_path / "s.db"))
    await add(database, "a")
    async with database.read() as connection:
        await connection.exec_driver_sql("PRAGMA max_page_count = 1")  # of this connection, which is used again
    with pytest.raises(DatabaseUnavailable) as full:
        await add(database, *(f"{i:0200}" for i in range(500)))
    assert full.value.full
    assert "disk is full" in str(full.value)
    assert await names(database) == ["a"]
    await database.close()


@pytest.mark.parametrize("name", ["locus", "no_user"])
async def test_a_server_that_refuses_is_named_without_its_password(postgres: Postgres, name: str) -> None:
    url = postgres.new_database().replace("//locus:", f"//{name}:").replace("s3cret", "wrong") + "?connect_timeout=3"
    location = DatabaseLocation.from_url(url)
    with pytest.raises(DatabaseUnavailable) as refused:
        await add(Database(location), "a")
    assert "authentication failed" in str(refused.value)
    assert "wrong" not in f"{refused.value} {location} {location!r}"
    assert PASSWORD not in str(refused.value)


async def test_a_server_that_is_away_fails_at_once_and_is_used_when_it_is_back(postgres: Postgres) -> None:
    database = Database(DatabaseLocation.from_url(postgres.new_database()))
    await add(database, "a")
    postgres.stop()
    try:
        with pytest.raises(DatabaseUnavailable, match="refused"):
            await add(database, "b")
    finally:
        postgres.start()
    await add(database, "c")
    assert await names(database) == ["a", "c"]
    await database.close()


async def test_a_server_that_does_not_answer_is_not_waited_for(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, other = (Database(DatabaseLocation.from_url(url)) for url in [postgres.new_database()] * 2)
    await add(database, "a")
    async with other.begin() as connection:
        await connection.exec_driver_sql("LOCK TABLE teams")
        monkeypatch.setattr(database_module, "TIMEOUT_S", 0.2)
        with pytest.raises(DatabaseUnavailable, match="no answer"):
            await add(database, "b")
        monkeypatch.undo()
    await add(database, "c")
    assert await names(database) == ["a", "c"]
    await database.close()
    await other.close()
