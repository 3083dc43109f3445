import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.feedback.importing.open_webui import parse, read_file
from gateway.feedback.importing.statement import ImportFailed, Statement

# As the export of version 0.6 has them; the conversation in `snapshot` is not read.
EXPORT: list[dict[str, Any]] = [
    {
        "id": "a3f1",
        "user_id": "u1",
        "version": 0,
        "type": "rating",
        "data": {
            "rating": 1,
            "model_id": "auto",
            "sibling_model_ids": None,
            "reason": "accurate_information",
            "comment": "",
            "tags": ["general"],
            "details": {"rating": 9},
        },
        "meta": {"arena": False, "chat_id": "c1", "message_id": "m1", "message_index": 1, "model_id": "auto"},
        "snapshot": {"chat": {"title": "secret"}},
        "created_at": 1765000000,
        "updated_at": 1765000001,
    },
    {"id": "a3f2", "type": "rating", "data": {"rating": "-1"}, "meta": {"message_id": "m2"}},
    {"id": "a3f3", "type": "rating", "data": {"rating": 0}, "meta": {"message_id": "m3"}},
    {"id": "a3f4", "type": "rating", "data": None, "meta": None},
]
STATEMENTS = [
    Statement(("m1",), 1.0, time=1765000001.0),
    Statement(("m2",), 0.0),
    Statement(("m3",), None, "no thumb"),
    Statement((), None, "no thumb"),
]


def test_the_export_is_read(tmp_path: Path) -> None:
    file = tmp_path / "feedback-history-export.json"
    file.write_text(json.dumps(EXPORT))
    assert read_file(file) == STATEMENTS


def test_the_database_is_read(tmp_path: Path) -> None:
    file = tmp_path / "webui.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE TABLE feedback (id TEXT PRIMARY KEY, user_id TEXT, version BIGINT, type TEXT, data JSON, meta JSON,"
            " snapshot JSON, created_at BIGINT, updated_at BIGINT)"
        )
        rows = [(one["id"], json.dumps(one["data"]), json.dumps(one["meta"]), one.get("updated_at")) for one in EXPORT]
        connection.executemany("INSERT INTO feedback (id, data, meta, updated_at) VALUES (?, ?, ?, ?)", rows)
        connection.commit()
    assert read_file(file) == STATEMENTS


@pytest.mark.parametrize("exported", [b"{}", b"[1]", b"nonsense"])
def test_another_file_is_refused_by_name(exported: bytes) -> None:
    with pytest.raises(ImportFailed, match=r"feedback\.json"):
        parse(exported, "feedback.json")


def test_a_database_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE a (b)")
        connection.commit()
    with pytest.raises(ImportFailed, match="no such table: feedback"):
        read_file(file)
    with pytest.raises(ImportFailed, match="missing"):
        read_file(tmp_path / "missing.json")
