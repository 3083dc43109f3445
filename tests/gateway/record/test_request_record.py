import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway.commands.show_log import read_last
from gateway.record import request_record
from gateway.record.request_record import COLUMNS, Record, Recorder

pytestmark = pytest.mark.anyio


def row(number: int) -> Record:
    values = dict.fromkeys(COLUMNS)
    return Record(
        **(
            values
            | {"request_id": f"r{number}", "time": float(number), "stream": False, "status": 200, "latency_ms": 1.0}
        )
    )  # type: ignore[arg-type]


async def test_records_are_written_in_batches_and_flushed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "record.db"
    async with Recorder(path) as recorder:
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
    async with Recorder(path) as recorder:
        for i in range(5):
            recorder.add(row(i))
        await asyncio.sleep(0.3)
        assert recorder.pending == 5
        path.rmdir()
        for _ in range(60):
            if not recorder.pending:
                break
            await asyncio.sleep(0.05)
        assert recorder.pending == 0
    assert len(read_last(path, 10)) == 5
    assert "wait in memory" in caplog.text


async def test_a_full_buffer_loses_the_oldest_and_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    async with Recorder(path) as recorder:
        for i in range(request_record.BUFFER_RECORDS + 7):
            recorder.add(row(i))
        assert recorder.lost == 7
        assert recorder.pending == request_record.BUFFER_RECORDS
        path.rmdir()
    assert read_last(path, 1)[0]["request_id"] == f"r{request_record.BUFFER_RECORDS + 6}"


async def test_no_path_records_nothing(tmp_path: Path) -> None:
    async with Recorder(None) as recorder:
        recorder.add(row(1))
        assert recorder.pending == 0


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        row(1).status = 500  # type: ignore[misc]


async def _written(recorder: Recorder) -> None:
    for _ in range(100):
        if not recorder.pending:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{recorder.pending} records still wait")


@pytest.mark.parametrize("damage", [b"no database at all" * 500, b"SQLite format 3\0" + bytes(range(256)) * 64])
async def test_a_damaged_file_is_renamed_and_a_new_one_created(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes
) -> None:
    path = tmp_path / "record.db"
    path.write_bytes(damage)
    async with Recorder(path) as recorder, Recorder(path) as other:  # as of two workers
        recorder.add(row(1))
        other.add(row(2))
        await _written(recorder)
        await _written(other)
    assert sorted(r["request_id"] for r in read_last(path, 10)) == ["r1", "r2"]
    (kept,) = tmp_path.glob("record.db.damaged-*")  # noqa: ASYNC240
    assert kept.read_bytes() == damage
    assert caplog.text.count("is damaged") == 1


@pytest.mark.parametrize("moved", [True, False])
async def test_a_new_file_is_created_if_the_file_is_moved_or_removed(tmp_path: Path, moved: bool) -> None:
    path, old = tmp_path / "record.db", tmp_path / "old.db"
    async with Recorder(path) as recorder:
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
    for _ in range(100):
        if not recorder.pending:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("still waiting")


async def test_waiting_records_are_counted_and_timed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    now = 100.0
    async with Recorder(path, clock=lambda: now) as recorder:
        assert (recorder.pending, recorder.oldest_s) == (0, 0.0)
        recorder.add(row(1))
        now += 30
        recorder.add(row(2))
        assert (recorder.pending, recorder.oldest_s) == (2, 30.0)
        await asyncio.sleep(0.1)
        path.rmdir()
        await _written(recorder)
        assert recorder.oldest_s == 0.0
    assert [record.levelname for record in caplog.records] == ["CRITICAL", "WARNING"]


async def test_the_size_of_waiting_prompts_is_limited(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "record.db"
    path.mkdir()
    prompt = '"' + "x" * (request_record.BUFFER_CHARS // 4 - 2) + '"'
    async with Recorder(path) as recorder:
        for i in range(6):
            recorder.add(row(i)._replace(prompt=prompt))
        assert (recorder.pending, recorder.lost) == (4, 2)
        path.rmdir()
    assert [r["request_id"] for r in read_last(path, 10)] == ["r2", "r3", "r4", "r5"]
    assert "records are lost" in caplog.text


async def test_a_record_that_cannot_be_stored_does_not_affect_others(tmp_path: Path) -> None:
    path = tmp_path / "record.db"
    async with Recorder(path) as recorder:
        recorder.add(row(1))
        recorder.add(row(2)._replace(prompt_tokens=10**30))
        recorder.add(row(3)._replace(requested="\ud800"))
        recorder.add(row(4)._replace(requested="m" * 1_000_000))
    assert [r["request_id"] for r in read_last(path, 10)] == ["r1", "r4"]
    assert read_last(path, 1)[0]["requested"] == "m" * request_record.MAX_NAME_CHARS + "…"
    assert recorder.lost == 2
