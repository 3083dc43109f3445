"""Scores of Langfuse: its export (JSON, JSON lines or CSV), or its public API, versions 3 and 2.

    {"name": "correct", "dataType": "NUMERIC", "value": 1, "subject": {"kind": "trace", "id": …}}              version 3
    {"name": "correct", "dataType": "NUMERIC", "value": 1, "traceId": …, "observationId": …}                   version 2, exports

The trace is the request's: the record has the trace id of a request that was traced. A client may also have used the request id as
the id of the trace or of the observation.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from gateway.core.json_types import JsonObject, objects_in
from gateway.feedback.importing.statement import ImportFailed, Statement

_WORDS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Reading:
    """How scores are read.

    Attributes:
        name: only scores of this name; None: all.
        lowest, highest: the values that are 0 and 1.
        good, bad: the categories that are 1 and 0.
    """

    name: str | None = None
    lowest: float = 0.0
    highest: float = 1.0
    good: frozenset[str] = frozenset()
    bad: frozenset[str] = frozenset()


def read_file(path: Path, reading: Reading) -> list[Statement]:
    """The statements of an exported file.

    Raises:
        ImportFailed: it cannot be read.
    """
    try:
        exported = path.read_bytes()
    except OSError as exc:
        raise ImportFailed(f"{path}: {exc}") from exc
    return statements(_rows(exported, str(path)), reading)


def statements(rows: Iterable[JsonObject], reading: Reading) -> list[Statement]:
    """The statements of score objects in either form."""
    return [_statement(row, reading) for row in rows if reading.name in (None, row.get("name"))]


def _rows(exported: bytes, where: str) -> list[JsonObject]:
    start = exported.lstrip()[:1]
    try:
        if start == b"[":
            return _objects(orjson.loads(exported), where)
        if start != b"{":
            return [dict(row) for row in csv.DictReader(io.StringIO(exported.decode("utf-8-sig"), newline=""))]
        lines = [orjson.loads(line) for line in exported.splitlines() if line.strip()]
    except orjson.JSONDecodeError:
        try:
            lines = [orjson.loads(exported)]  # one object that is written on several lines
        except orjson.JSONDecodeError as exc:
            raise ImportFailed(f"{where}: not JSON: {exc}") from exc
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ImportFailed(f"{where}: neither JSON nor CSV: {exc}") from exc
    page = lines[0].get("data") if len(lines) == 1 and isinstance(lines[0], dict) else None
    return _objects(lines if page is None else page, where)


def _objects(listed: object, where: str) -> list[JsonObject]:
    if not isinstance(listed, list) or len(objects_in(listed)) != len(listed):
        raise ImportFailed(f"{where}: expected score objects, as Langfuse exports them")
    return objects_in(listed)


def _statement(row: JsonObject, reading: Reading) -> Statement:
    subject = row.get("subject")
    known = subject if isinstance(subject, dict) else {}
    if known.get("kind") in ("session", "experiment"):
        return Statement((), None, f"about {known['kind']}s")
    named = (known.get("id"), known.get("traceId"), row.get("observationId"), row.get("traceId"))
    ids = tuple(dict.fromkeys(name for name in named if isinstance(name, str) and name))
    score = _score(row, reading)
    return Statement(ids, score, "" if score is not None else f"value {_shown(row)} is no score", _time(row))


def _time(row: JsonObject) -> float | None:
    try:
        at = datetime.fromisoformat(str(row.get("timestamp")))
    except ValueError:
        return None
    return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).timestamp()


def _score(row: JsonObject, reading: Reading) -> float | None:
    value = row.get("value")
    texts = [text for text in (row.get("stringValue"), value) if isinstance(text, str) and text]
    if any(text in reading.good for text in texts):
        return 1.0
    if any(text in reading.bad for text in texts):
        return 0.0
    kind = row.get("dataType")
    if kind in ("CATEGORICAL", "TEXT", "CORRECTION"):
        return None
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and value.lower() in _WORDS:
        return _WORDS[value.lower()]
    try:
        number = float(str(value))
    except ValueError:
        return None
    if kind == "BOOLEAN":
        return number if number in (0.0, 1.0) else None
    scaled = (number - reading.lowest) / (reading.highest - reading.lowest)
    return scaled if 0 <= scaled <= 1 else None


def _shown(row: JsonObject) -> str:
    """The value, or that it is a text: reports repeat no texts."""
    value = row.get("value")
    return str(value) if isinstance(value, int | float) else f"of the kind {str(row.get('dataType'))[:20]}"
