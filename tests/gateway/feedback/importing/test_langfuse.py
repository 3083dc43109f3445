import json
from pathlib import Path
from typing import Any

import pytest

from gateway.feedback.importing.langfuse import Reading, read_file, statements
from gateway.feedback.importing.statement import ImportFailed, Statement

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
V3 = {"id": "s1", "name": "correct", "source": "ANNOTATION", "dataType": "BOOLEAN", "value": True}
V2 = {"id": "s2", "name": "quality", "source": "API", "dataType": "NUMERIC", "value": 0.25, "traceId": TRACE}


def of(row: dict[str, Any], reading: Reading = Reading()) -> Statement:  # noqa: B008  # a frozen value
    (statement,) = statements([row], reading)
    return statement


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (V3 | {"subject": {"kind": "trace", "id": TRACE}}, Statement((TRACE,), 1.0)),
        (
            V3 | {"value": False, "subject": {"kind": "observation", "id": "o1", "traceId": TRACE}},
            Statement(("o1", TRACE), 0.0),
        ),
        (V3 | {"subject": {"kind": "session", "id": "x"}}, Statement((), None, "about sessions")),
        (V2 | {"observationId": None}, Statement((TRACE,), 0.25)),
        (V2 | {"observationId": "o1"}, Statement(("o1", TRACE), 0.25)),
        (V2 | {"dataType": "BOOLEAN", "value": 1, "stringValue": "True"}, Statement((TRACE,), 1.0)),
        (V2 | {"value": 5}, Statement((TRACE,), None, "value 5 is no score")),
        (V2 | {"value": float("nan")}, Statement((TRACE,), None, "value nan is no score")),
        (
            V2 | {"dataType": "CATEGORICAL", "value": 1, "stringValue": "so so"},
            Statement((TRACE,), None, "value 1 is no score"),
        ),
        (
            V2 | {"dataType": "TEXT", "value": "1"},
            Statement((TRACE,), None, "value of the kind TEXT is no score"),
        ),
    ],
)
def test_scores_of_both_versions(row: dict[str, Any], expected: Statement) -> None:
    assert of(row) == expected


def test_numbers_are_scaled_and_categories_named() -> None:
    assert of(V2 | {"value": 4}, Reading(lowest=1, highest=5)).score == 0.75
    assert of(V2 | {"value": 1}, Reading(lowest=5, highest=1)).score == 1.0
    named = Reading(good=frozenset({"fine"}), bad=frozenset({"poor"}))
    assert of(V2 | {"dataType": "CATEGORICAL", "value": None, "stringValue": "fine"}, named).score == 1.0
    assert of(V3 | {"dataType": "CATEGORICAL", "value": "poor", "subject": {}}, named).score == 0.0


@pytest.mark.parametrize("at", ["2026-01-02T03:04:05.250Z", "2026-01-02 03:04:05.250", "2026-01-02T04:04:05.250+01:00"])
def test_the_time_of_a_score(at: str) -> None:
    assert of(V2 | {"timestamp": at}).time == 1767323045.25
    assert of(V2 | {"timestamp": "x"}).time is None


def test_only_scores_of_a_name() -> None:
    assert [one.score for one in statements([V2, V2 | {"name": "other"}], Reading(name="quality"))] == [0.25]


def test_all_forms_of_an_export(tmp_path: Path) -> None:
    rows = [V2, V2 | {"value": 1}]
    files = {
        "scores.json": json.dumps(rows, indent=1),
        "page.json": json.dumps({"data": rows, "meta": {}}, indent=1),
        "scores.jsonl": "\n".join(map(json.dumps, rows)),
        "scores.csv": f'id,timestamp,name,dataType,value,traceId,comment\ns2,x,quality,NUMERIC,0.25,{TRACE},"a, b"\n'
        f"s3,x,quality,NUMERIC,1,{TRACE},\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert read_file(tmp_path / name, Reading()) == [Statement((TRACE,), 0.25), Statement((TRACE,), 1.0)], name


@pytest.mark.parametrize("exported", [b"[1]", b"{nonsense", b'{"a": 1}\n2'])
def test_another_file_is_refused_by_name(tmp_path: Path, exported: bytes) -> None:
    (tmp_path / "scores.json").write_bytes(exported)
    with pytest.raises(ImportFailed, match=r"scores\.json"):
        read_file(tmp_path / "scores.json", Reading())
