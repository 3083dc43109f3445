"""Thumbs of Open WebUI: its exported feedback (JSON), or the table `feedback` of its SQLite database.

    [{"id": …, "type": "rating", "data": {"rating": 1, "model_id": …}, "meta": {"message_id": …, "chat_id": …}, "snapshot": …}]

The message is the request: Open WebUI sends its id as `X-OpenWebUI-Message-Id` if ENABLE_FORWARD_USER_INFO_HEADERS is set, and the
gateway takes it as the id of the request.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import orjson

from gateway.core.json_types import JsonObject, objects_in
from gateway.feedback.importing.statement import ImportFailed, Statement

EXPORT = "/api/v1/evaluations/feedbacks/all/export"
_SQLITE = b"SQLite format 3\0"


def read_file(path: Path) -> list[Statement]:
    """The statements of an exported file or of a database.

    Raises:
        ImportFailed: it cannot be read, or is neither.
    """
    try:
        with path.open("rb") as file:
            is_database = file.read(len(_SQLITE)) == _SQLITE
        return [_statement(row) for row in _rows(path)] if is_database else parse(path.read_bytes(), str(path))
    except (OSError, sqlite3.Error) as exc:
        raise ImportFailed(f"{path}: {exc}") from exc


def parse(exported: bytes, where: str) -> list[Statement]:
    """The statements of an export.

    Raises:
        ImportFailed: it is no list of objects.
    """
    try:
        listed = orjson.loads(exported)
    except orjson.JSONDecodeError as exc:
        raise ImportFailed(f"{where}: not JSON: {exc}") from exc
    if not isinstance(listed, list) or len(objects_in(listed)) != len(listed):
        raise ImportFailed(f"{where}: expected a list of feedback objects, as Open WebUI exports it")
    return [_statement(one) for one in listed]


def _rows(path: Path) -> list[JsonObject]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT data, meta, updated_at FROM feedback").fetchall()
    return [{"data": _object(data), "meta": _object(meta), "updated_at": at} for data, meta, at in rows]


def _object(text: object) -> object:
    try:
        return orjson.loads(text) if isinstance(text, str | bytes) else None
    except orjson.JSONDecodeError:
        return None


def _statement(one: JsonObject) -> Statement:
    data, meta = one.get("data"), one.get("meta")
    message = meta.get("message_id") if isinstance(meta, dict) else None
    ids = (message,) if isinstance(message, str) and message else ()
    at = one.get("updated_at")
    time = float(at) if isinstance(at, int | float) else None
    try:
        rating = float(
            str(data.get("rating") if isinstance(data, dict) else None)
        )  # 1 and -1, as numbers or texts; 0 is a draw of an arena
    except ValueError:
        rating = 0.0
    if rating not in (1.0, -1.0):
        return Statement(ids, None, "no thumb", time)
    return Statement(ids, 1.0 if rating > 0 else 0.0, time=time)
