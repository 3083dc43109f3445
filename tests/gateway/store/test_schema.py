import asyncio
import logging
import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

from gateway.config.database_location import DatabaseLocation
from gateway.store import migrations, schema
from gateway.store.database import Database
from gateway.store.engines import sync_engine
from gateway.store.tables import METADATA, REQUESTS
from gateway.store.usage_tables import SUMS
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio

# As the versions before wrote them.
OLD_RECORD = """
CREATE TABLE requests (request_id, time, requested, policy, chosen, served, deployment, p_correct, stand_in_distance,
    predicted_loss, candidates, failover, parts, stream, status, error, prompt_tokens, completion_tokens, usage_estimated,
    cost_usd, latency_ms, first_token_ms, overhead_ms, prompt, api, conversation, simulated);
INSERT INTO requests (request_id, time, requested, status, stream, cost_usd, candidates)
    VALUES ('r1', 1700000000.5, 'auto', 200, 1, 0.000123, '[{"model": "m"}]'), ('r2', 1700000001.5, 'm', 500, 0, NULL, NULL);
"""
OLD_RESPONSES = """
CREATE TABLE chains (chain INTEGER PRIMARY KEY, used REAL NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL);
CREATE INDEX chains_used ON chains (used);
CREATE TABLE responses (owner TEXT NOT NULL, id TEXT NOT NULL, chain INTEGER NOT NULL, previous TEXT, session TEXT,
    bytes INTEGER NOT NULL, input BLOB NOT NULL, response BLOB NOT NULL, PRIMARY KEY (owner, id));
INSERT INTO chains VALUES (1, 5.0, 1, 9);
INSERT INTO responses VALUES ('k', 'resp_1', 1, NULL, NULL, 9, '[]', '{"id": "resp_1", "output": [{"id": "msg_1"}]}');
"""


def described(location: DatabaseLocation) -> dict[str, object]:
    """Tables with their columns and indexes, and views with their SQL."""
    engine = sync_engine(location)
    with engine.connect() as connection:
        found = inspect(connection)
        described: dict[str, object] = {}
        for table in found.get_table_names():
            described[table] = [
                [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in found.get_columns(table)],
                sorted((i["name"], tuple(i["column_names"])) for i in found.get_indexes(table)),
                found.get_pk_constraint(table)["constrained_columns"],
            ]
        return described | {
            name: " ".join((found.get_view_definition(name) or "").split()) for name in found.get_view_names()
        }


def old(file: Path, script: str) -> DatabaseLocation:
    with sqlite3.connect(file) as connection:
        connection.executescript(script)
    connection.close()
    return DatabaseLocation(file)


def test_the_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == schema.HEAD


def test_an_empty_database_gets_all_tables_and_views(location: DatabaseLocation) -> None:
    assert schema.upgrade(location) == schema.Upgrade(None, schema.HEAD)
    assert {*METADATA.tables, "alembic_version", "spend_by_day", "spend_by_key"} == described(location).keys()
    assert schema.upgrade(location) == schema.Upgrade(schema.HEAD, schema.HEAD)


def test_an_upgraded_record_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    before, new = old(tmp_path / "old.db", OLD_RECORD), DatabaseLocation(tmp_path / "new.db")
    assert schema.upgrade(before) == schema.Upgrade("", schema.HEAD)
    schema.upgrade(new)
    assert described(before) == described(new)


def test_the_tables_of_later_versions_are_added(location: DatabaseLocation) -> None:
    schema.upgrade(location)
    new = described(location)
    with sync_engine(location).begin() as connection:
        own = (
            "probe_answers",
            "onboarding_jobs",
            "drift_watches",
            "drift_asks",
            "drift_events",
            "replay_jobs",
            "console_sessions",
            "request_bodies",
            "usage_daily",
            "latency_hourly",
        )
        for table in ("model_versions", "model_states", "outcomes", "feedback_keys", "key_use", *own):
            connection.execute(text(f"DROP TABLE {table}"))
        indexed = ("by_request_id", "by_key", "by_served", "with_errors", "of_stand_ins")
        indexes = (*(f"requests_{name}" for name in indexed), "usage_hourly_by_key", "usage_hourly_by_team")
        for index in indexes:
            connection.execute(text(f"DROP INDEX {index}"))
        of_requests = [
            ("requests", name)
            for name in ("needs", "stand_in_rule", "saved_nusd", "near_limit", "ensemble", "call_began_ms")
        ]
        of_hours = [("usage_hourly", name) for name in SUMS[SUMS.index("cache_hits") :]]
        for table, column in (*of_requests, *of_hours, ("ledger", "service_tier"), ("ledger", "web_searches")):
            connection.execute(text(f"ALTER TABLE {table} DROP COLUMN {column}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert schema.upgrade(location) == schema.Upgrade("0001", schema.HEAD)
    assert described(location) == new


async def test_an_upgrade_keeps_all_rows(tmp_path: Path) -> None:
    database = Database(old(tmp_path / "old.db", OLD_RECORD))
    async with database.read() as connection:
        rows = (await connection.execute(select(REQUESTS).order_by(REQUESTS.c.id))).mappings().all()
    assert [(r["id"], r["request_id"], r["status"], r["stream"], r["cost_nusd"]) for r in rows] == [
        (1, "r1", 200, True, 123_000),
        (2, "r2", 500, False, None),
    ]
    assert rows[0]["candidates"] == [{"model": "m"}]
    assert rows[0]["time"] == 1_700_000_000.5
    await database.close()


def test_stored_responses_of_the_first_version_are_kept(tmp_path: Path) -> None:
    before = old(tmp_path / "old.db", OLD_RESPONSES)
    schema.upgrade(before)
    assert before.file is not None
    with sqlite3.connect(before.file) as connection:
        assert connection.execute("SELECT owner, rows FROM chains").fetchall() == [("k", 1)]
        assert connection.execute("SELECT response, output FROM responses").fetchall() == [
            (b'{"id":"resp_1"}', b'[{"id":"msg_1"}]')
        ]
        assert connection.execute("SELECT count(*) FROM requests").fetchall() == [(0,)]


async def test_a_database_of_a_newer_version_is_used_as_it_is(
    location: DatabaseLocation, caplog: pytest.LogCaptureFixture
) -> None:
    schema.upgrade(location)
    engine = sync_engine(location)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("ALTER TABLE requests ADD COLUMN colour TEXT"))
    before = described(location)
    with caplog.at_level(logging.WARNING):
        database = Database(location)
        async with database.read() as connection:
            assert (await connection.execute(select(REQUESTS))).all() == []
    assert database.newer
    assert "has version 9999, this gateway knows" in caplog.text
    assert schema.upgrade(location).newer
    assert described(location) == before
    await database.close()


def _upgrade(location: DatabaseLocation, results: "multiprocessing.Queue[object]") -> None:
    try:
        results.put(schema.upgrade(location).before)
    except Exception as exc:
        results.put(f"{exc!r}")


def upgrade_at_once(location: DatabaseLocation) -> list[object]:
    """What each of three processes found that upgrade the same database at the same time."""
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[object] = context.Queue()
    processes = [context.Process(target=_upgrade, args=(location, results)) for _ in range(3)]
    for process in processes:
        process.start()
    found = [results.get(timeout=30) for _ in processes]
    for process in processes:
        process.join(10)
    return sorted(found, key=str)


def test_one_of_several_processes_creates_the_tables(location: DatabaseLocation) -> None:
    assert upgrade_at_once(location) == [schema.HEAD, schema.HEAD, None]


def test_one_of_several_processes_upgrades(tmp_path: Path) -> None:
    location = old(tmp_path / "old.db", OLD_RECORD)
    assert upgrade_at_once(location) == ["", schema.HEAD, schema.HEAD]
    assert location.file is not None
    with sqlite3.connect(location.file) as connection:
        assert connection.execute("SELECT count(*) FROM requests").fetchone() == (2,)


async def test_several_replicas_that_start_at_once_can_all_write(location: DatabaseLocation) -> None:
    async def start() -> None:
        database = Database(location)
        async with database.read() as connection:
            await connection.execute(select(REQUESTS.c.id))
        await database.close()

    await asyncio.gather(*(start() for _ in range(4)))


def test_a_failed_upgrade_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    location = old(tmp_path / "old.db", OLD_RECORD + "CREATE TABLE ledger (mine);")
    before = described(location)
    with pytest.raises(Exception, match="ledger"):
        schema.upgrade(location)
    assert described(location) == before
