import asyncio
import sqlite3
from pathlib import Path

import pytest

from gateway import record
from gateway.log import read_last
from gateway.record import COLUMNS, Record, Recorder

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
        for i in range(record.BUFFER + 7):
            recorder.add(row(i))
        assert recorder.lost == 7
        assert recorder.pending == record.BUFFER
        path.rmdir()
    assert read_last(path, 1)[0]["request_id"] == f"r{record.BUFFER + 6}"


async def test_no_path_records_nothing(tmp_path: Path) -> None:
    async with Recorder(None) as recorder:
        recorder.add(row(1))
        assert recorder.pending == 0


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        row(1).status = 500  # type: ignore[misc]
