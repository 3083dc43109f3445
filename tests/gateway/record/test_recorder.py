import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import orjson
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.commands.show_log import read_last
from gateway.config.database_location import DatabaseLocation
from gateway.record import bodies, housekeeping
from gateway.record import recorder as recorder_module
from gateway.record.bodies import stored_body
from gateway.record.needs import Needs, unpack_needs
from gateway.record.predictions import Predictions, unpack_candidates, unpack_query
from gateway.record.recorder import Recorder
from gateway.record.request_record import Part, Record
from gateway.store.database import Database, DatabaseUnavailable
from gateway.store.engines import sync_engine
from tests.gateway.postgres import Postgres
from tests.gateway.record.recording import recorder_of, rows
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio


def row(number: int) -> Record:
    values = dict.fromkeys(Record._fields)
    return Record(
        **(
            values
            | {"request_id": f"r{number}", "time": float(number), "stream": False, "status": 200, "latency_ms": 1.0}
        )
    )  # type: ignore[arg-type]


async def test_records_are_written_in_batches_and_flushed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.db"
    async with recorder_of(path) as recorder:
        for i in range(1_200):
            recorder.add(row(i))
    rows = read_last(path, 2_000)
    assert [r["request_id"] for r in rows] == [f"r{i}" for i in range(1_200)]
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_nothing_is_lost_while_the_database_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "record.db"
    path.mkdir()  # a folder in the way of the file
    async with recorder_of(path) as recorder:
        for i in range(5):
            recorder.add(row(i))
        await failing(recorder)
        assert recorder.pending == 5
        path.rmdir()
        await written(recorder)
    assert len(read_last(path, 10)) == 5
    assert "wait in memory" in caplog.text


async def test_a_full_buffer_loses_the_oldest_and_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    async with recorder_of(path) as recorder:
        for i in range(recorder_module.BUFFER_RECORDS + 7):
            recorder.add(row(i))
        assert recorder.lost == 7
        assert recorder.pending == recorder_module.BUFFER_RECORDS
        path.rmdir()
    assert read_last(path, 1)[0]["request_id"] == f"r{recorder_module.BUFFER_RECORDS + 6}"


async def test_no_path_records_nothing(tmp_path: Path) -> None:
    async with Recorder(None) as recorder:
        recorder.add(row(1))
        assert recorder.pending == 0


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        row(1).status = 500  # type: ignore[misc]


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b"SQLite format 3\0" + bytes(range(256)) * 64])
async def test_a_damaged_file_is_renamed_and_a_new_one_created(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(damage)
    async with recorder_of(path) as recorder, recorder_of(path) as other:  # as of two workers
        recorder.add(row(1))
        other.add(row(2))
        await written(recorder)
        await written(other)
    assert sorted(r["request_id"] for r in read_last(path, 10)) == ["r1", "r2"]
    (kept,) = tmp_path.glob("record.db.damaged-*")  # noqa: ASYNC240
    assert kept.read_bytes() == damage
    assert caplog.text.count("is damaged") == 1


@pytest.mark.parametrize("moved", [True, False])
async def test_a_new_file_is_created_if_the_file_is_moved_or_removed(tmp_path: Path, moved: bool) -> None:
    path, old = tmp_path / "record.db", tmp_path / "old.db"
    async with recorder_of(path) as recorder:
        recorder.add(row(1))
        await written(recorder)
        if moved:
            path.rename(old)
        else:
            path.unlink()
        recorder.add(row(2))
        await written(recorder)
        recorder.add(row(3))
    assert [r["request_id"] for r in read_last(path, 10)] == ["r2", "r3"]
    if moved:
        assert [r["request_id"] for r in read_last(old, 10)] == ["r1"]


async def written(recorder: Recorder) -> None:
    for _ in range(1_200):
        if not recorder.pending:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("still waiting")


async def test_waiting_records_are_counted_and_timed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    now = 100.0
    async with recorder_of(path, clock=lambda: now) as recorder:
        assert (recorder.pending, recorder.oldest_s) == (0, 0.0)
        recorder.add(row(1))
        now += 30
        recorder.add(row(2))
        assert (recorder.pending, recorder.oldest_s) == (2, 30.0)
        await failing(recorder)
        path.rmdir()
        await written(recorder)
        assert recorder.oldest_s == 0.0
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"]


async def test_the_size_of_waiting_prompts_is_limited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    prompt = '"' + "x" * (recorder_module.BUFFER_CHARS // 4 - 2) + '"'
    async with recorder_of(path) as recorder:
        for i in range(6):
            recorder.add(row(i)._replace(prompt=prompt))
        assert (recorder.pending, recorder.lost) == (4, 2)
        path.rmdir()
    assert [r["request_id"] for r in read_last(path, 10)] == ["r2", "r3", "r4", "r5"]
    assert "records are lost" in caplog.text


async def test_a_record_that_cannot_be_stored_does_not_affect_others(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    async with recorder_of(path) as recorder:
        recorder.add(row(1))
        recorder.add(row(2)._replace(prompt_tokens=10**30))
        recorder.add(row(3)._replace(requested="\ud800"))
        recorder.add(row(4)._replace(requested="m" * 1_000_000))
    assert [r["request_id"] for r in read_last(path, 10)] == ["r1", "r4"]
    assert read_last(path, 1)[0]["requested"] == "m" * recorder_module.MAX_NAME_CHARS + "…"
    assert recorder.lost == 2


def spent(number: int, nusd: int | None, *, time: float = 7_200.5, key: str = "ci", error: str | None = None) -> Record:
    return row(number)._replace(
        time=time,
        key_id=f"id-{key}",
        key_name=key,
        team="build",
        served="m",
        policy="best",
        error=error,
        cost_nusd=nusd,
    )


def part(nusd: int | None, model: str = "m", *, estimated: bool = False) -> Part:
    return Part(model, f"{model}/0", 100, 20, nusd, estimated, cached_tokens=90, reasoning_tokens=7)


async def test_a_request_its_calls_and_the_sums_are_written_together(location: DatabaseLocation) -> None:
    async with recorder_of(location) as recorder:
        recorder.add(spent(1, 30), [part(10), part(20, "n", estimated=True)])
        recorder.add(spent(2, None, error="timeout"), [part(None)])
        recorder.add(spent(3, 5, time=3 * 3600.0), [part(5)])
    assert [r["request_id"] for r in rows(location, "SELECT * FROM requests ORDER BY id")] == ["r1", "r2", "r3"]
    ledger = rows(location, "SELECT * FROM ledger ORDER BY id")
    assert [(r["request_id"], r["call"], r["model"], r["nusd"], bool(r["estimated"])) for r in ledger] == [
        ("r1", 0, "m", 10, False),
        ("r1", 1, "n", 20, True),
        ("r2", 0, "m", None, False),
        ("r3", 0, "m", 5, False),
    ]
    assert (ledger[0]["key_name"], ledger[0]["cached_tokens"], ledger[0]["reasoning_tokens"]) == ("ci", 90, 7)
    hours = rows(location, "SELECT * FROM usage_hourly ORDER BY hour, model")
    assert [(r["hour"], r["model"], r["requests"], r["errors"], r["nusd"], r["unpriced_calls"]) for r in hours] == [
        (7_200, "m", 2, 1, 10, 1),
        (7_200, "n", 0, 0, 20, 0),
        (10_800, "m", 1, 0, 5, 0),
    ]


async def test_the_views_sum_the_ledger(location: DatabaseLocation) -> None:
    day = 86_400.0
    async with recorder_of(location) as recorder:
        recorder.add(spent(1, 1, time=day - 1), [part(1_500_000_000)])
        recorder.add(spent(2, 1, time=day, key="dev"), [part(2_000_000_000), part(None, estimated=True)])
    by_day = rows(location, "SELECT * FROM spend_by_day ORDER BY day")
    assert [(r["day"], r["calls"], float(r["usd"]), r["unpriced_calls"], r["estimated_calls"]) for r in by_day] == [
        ("1970-01-01", 1, 1.5, 0, 0),
        ("1970-01-02", 2, 2.0, 1, 1),
    ]
    by_key = rows(location, "SELECT * FROM spend_by_key ORDER BY key_name")
    assert [(r["key_name"], r["team"], r["first_day"], float(r["usd"])) for r in by_key] == [
        ("ci", "build", "1970-01-01", 1.5),
        ("dev", "build", "1970-01-02", 2.0),
    ]


async def test_without_rows_of_requests_the_ledger_is_kept(location: DatabaseLocation) -> None:
    async with recorder_of(location, requests=False) as recorder:
        recorder.add(spent(1, 30), [part(30)])
    assert rows(location, "SELECT count(*) AS n FROM requests") == [{"n": 0}]
    assert rows(location, "SELECT sum(nusd) AS n FROM ledger") == [{"n": 30}]


async def test_what_a_decision_knew_is_packed(location: DatabaseLocation) -> None:
    generator = np.random.default_rng(1)
    text = generator.normal(size=256).astype(np.float32)
    text /= np.linalg.norm(text)
    surface = generator.normal(size=34).astype(np.float32)
    q = np.concatenate([text, surface])[None]
    p = np.array([0.25, np.nan, 0.9], np.float32)
    price = np.array([1e-5, 2.5e-3, 0.0])
    known = np.array([True, True, False])
    async with recorder_of(location) as recorder:
        recorder.add(
            row(1),
            (),
            Predictions(
                ("a", "b", "c"),
                p,
                price,
                known,
                known,
                q,
                256,
                Needs(("tools",), 12, models=("a",), rule=("quality", 3.0)),
            ),
        )
        recorder.add(row(2), (), Predictions(("a", "b", "c"), p, price, known, known, None, 256, Needs()))
    one, other = rows(location, "SELECT * FROM requests ORDER BY id")
    (portfolio,) = rows(location, "SELECT * FROM portfolios")
    assert one["portfolio"] == other["portfolio"] == portfolio["id"]
    found_p, found_price = unpack_candidates(bytes(one["all_candidates"]))
    np.testing.assert_allclose(found_p, p, atol=5e-4)
    np.testing.assert_allclose(found_price, [1e-5, 2.5e-3, np.nan], rtol=1e-6)
    found = unpack_query(bytes(one["encoding"]), bytes(one["surface"]))
    np.testing.assert_allclose(found[256:], surface, rtol=1e-3)
    assert float(found[:256] @ text) == pytest.approx(1.0, abs=1e-3)
    assert other["encoding"] is None
    # SQLite's driver gives the text, PostgreSQL's the parsed object.
    first, second = (orjson.loads(r["needs"]) if isinstance(r["needs"], str) else r["needs"] for r in (one, other))
    assert unpack_needs(first) == Needs(("tools",), 12, models=("a",), rule=("quality", 3.0))
    assert (second, unpack_needs(second)) == ({}, Needs())
    assert sum(len(one[name]) for name in ("all_candidates", "encoding", "surface")) == 18 + 260 + 68


async def test_a_text_with_nul_is_stored(location: DatabaseLocation) -> None:
    async with recorder_of(location) as recorder:
        recorder.add(row(1)._replace(requested="a\0b", metadata='{"k": "\\u0000"}'))
        assert recorder.lost == 0
    assert rows(location, "SELECT requested FROM requests") == [{"requested": "a\ufffdb"}]


async def test_only_the_refused_record_of_a_batch_is_lost(location: DatabaseLocation) -> None:
    async with recorder_of(location) as recorder:
        for i in range(20):
            recorder.add(row(i)._replace(prompt_tokens=10**30 if i == 13 else i))
    assert recorder.lost == 1
    assert len(rows(location, "SELECT * FROM requests")) == 19


async def test_rows_wait_while_the_server_is_away(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    location = DatabaseLocation.from_url(postgres.new_database())
    async with recorder_of(location) as recorder:
        recorder.add(spent(1, 10), [part(10)])
        await written(recorder)
        postgres.stop()
        try:
            recorder.add(spent(2, 20), [part(20)])
            await failing(recorder)
            assert recorder.pending == 1
        finally:
            postgres.start()
        await written(recorder)
        assert recorder.failure is None
    assert rows(location, "SELECT sum(nusd) AS n, count(*) AS rows FROM ledger") == [{"n": 30, "rows": 2}]
    assert rows(location, "SELECT requests, nusd FROM usage_hourly") == [{"requests": 2, "nusd": 30}]
    assert "wait in memory" in caplog.text
    assert "s3cret" not in caplog.text


async def test_a_batch_whose_commit_was_cut_off_is_not_written_twice(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class CutOff(Database):
        """The answer to the first commit of a record is lost."""

        cuts = 1

        @asynccontextmanager
        async def begin(self) -> AsyncIterator[AsyncConnection]:
            async with super().begin() as connection:
                yield connection
            if self.cuts:
                self.cuts -= 1
                raise DatabaseUnavailable("cut off")

    monkeypatch.setattr(recorder_module, "RETRY_S", 0.2)
    database = CutOff(location)
    async with Recorder(database) as recorder:
        recorder.add(spent(1, 10), [part(10)])
        await failing(recorder)
        recorder.add(spent(2, 20), [part(20)])
        await written(recorder)
    await database.close()
    assert [r["nusd"] for r in rows(location, "SELECT nusd FROM ledger ORDER BY id")] == [10, 20]
    assert rows(location, "SELECT requests, nusd FROM usage_hourly") == [{"requests": 2, "nusd": 30}]


async def test_a_full_disk_is_named_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(recorder_module, "RETRY_S", 0.05)
    location = DatabaseLocation(tmp_path / "r.db")
    database = Database(location)
    async with Recorder(database) as recorder:
        recorder.add(row(1))
        await written(recorder)
        async with database.read() as connection:  # a limit for the only connection, as a full disk would be for all
            pages = (await connection.exec_driver_sql("PRAGMA page_count")).scalar_one()
            await connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        for i in range(2, 50):
            recorder.add(row(i)._replace(prompt='"' + "x" * 10_000 + '"'))
        await failing(recorder)
        assert (recorder.failure, recorder.pending, recorder.lost) == ("the disk is full", 48, 0)
        async with database.read() as connection:
            await connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        await written(recorder)
        assert recorder.failure is None
    await database.close()
    assert len(rows(location, "SELECT * FROM requests")) == 49
    assert "database or disk is full" in caplog.text


async def test_old_rows_are_deleted_and_the_ledger_is_kept(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "DELETED_ROWS", 10)
    monkeypatch.setattr(housekeeping, "PAUSE_S", 0.0)
    now = time.time()
    async with recorder_of(location) as recorder:
        for i in range(35):
            recorder.add(spent(i, 1, time=now - 7_200), [part(1)], body=b"{}")
        recorder.add(spent(99, 1, time=now), [part(1)], body=b"{}")
    async with recorder_of(location, retention_s=3_600.0):
        for _ in range(1_200):
            if len(rows(location, "SELECT id FROM request_bodies")) == 1:
                break
            await asyncio.sleep(0.05)
    assert [r["request_id"] for r in rows(location, "SELECT request_id FROM requests")] == ["r99"]
    assert [r["request_id"] for r in rows(location, "SELECT request_id FROM request_bodies")] == ["r99"]
    assert rows(location, "SELECT count(*) AS n FROM ledger") == [{"n": 36}]


async def test_bodies_are_kept_byte_for_byte_up_to_a_size(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY", 1_000)
    sent = b'{ "a":1.0,\r\n "b" : 12345678901234567890,\t"c":"\\u0000\xc3\xa9\xf0\x9f\x98\x80\xff" }'
    async with recorder_of(location) as recorder:
        recorder.add(row(1), body=sent)
        recorder.add(row(2)._replace(key_id="k"), body=b"x" * 1_001)
        recorder.add(row(3))
    engine = sync_engine(location)
    with engine.connect() as connection:
        found = [
            stored_body(connection, f"r{number}", float(number), key)
            for number, key in ((1, None), (1, "k"), (2, "k"), (2, None), (3, None))
        ]
        (packed,) = connection.exec_driver_sql("SELECT body FROM request_bodies WHERE request_id = 'r1'").scalars()
    engine.dispose()
    assert [one and (one.size, one.body()) for one in found] == [(len(sent), sent), None, (1_001, None), None, None]
    assert bytes(packed).startswith(b"\x28\xb5\x2f\xfd")  # a Zstandard frame (RFC 8878, 3.1.1)


async def test_waiting_bodies_count_towards_the_size_of_the_buffer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "BUFFER_CHARS", 100)
    async with recorder_of(tmp_path / "record.db") as recorder:
        for i in range(3):
            recorder.add(row(i), body=b"x" * 40)
        assert (recorder.pending, recorder.lost) == (2, 1)


async def failing(recorder: Recorder) -> None:
    for _ in range(1_200):
        if recorder.failure is not None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("no failure")


async def test_rows_wait_while_the_database_is_read_only(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    """As it is for a standby after a failover, and where an operator stops writing because the disk is nearly full."""
    url = postgres.new_database()
    location, name = DatabaseLocation.from_url(url), url.rpartition("/")[2]

    def read_only(state: str) -> None:
        others = "pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {state}".encode())
            admin.execute(f"SELECT pg_terminate_backend(pid) FROM {others}".encode(), [name])

    async with recorder_of(location) as recorder:
        recorder.add(spent(1, 10), [part(10)])
        await written(recorder)
        await asyncio.to_thread(read_only, "on")
        recorder.add(spent(2, 20), [part(20)])
        await failing(recorder)
        assert (recorder.pending, recorder.lost) == (1, 0)
        await asyncio.to_thread(read_only, "off")
        await written(recorder)
        assert recorder.failure is None
    assert rows(location, "SELECT sum(nusd) AS n, count(*) AS rows FROM ledger") == [{"n": 30, "rows": 2}]
    assert "wait in memory" in caplog.text
