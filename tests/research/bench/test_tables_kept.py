"""Tables and routers on disk: what was measured is not measured again; sections and pictures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from research.bench import tables
from research.bench.tables import cells
from research.bench.tables.context import Context
from research.bench.tables.kept import Kept
from router.errors import ArtifactError


def test_a_table_is_measured_once_for_the_same_evidence(small: Context, tmp_path: Path) -> None:
    notes: list[str] = []
    context = replace(small, say=notes.append)
    found = tables.measure(context, tmp_path, ["standins"])
    assert any(note.startswith("standins: ") for note in notes)
    notes.clear()
    assert tables.measure(context, tmp_path, ["standins"]) == found
    assert notes == []
    scores = small.data.scores.copy()
    scores[0, np.flatnonzero(small.data.splits == "test")[0]] = 0.5
    other = replace(context, data=replace(small.data, scores=scores))
    assert tables._identity(other, "standins", 1) != tables._identity(context, "standins", 1)
    assert tables._identity(context, "standins", 2) != tables._identity(context, "standins", 1)


def test_a_broken_table_is_named(small: Context, tmp_path: Path) -> None:
    (tmp_path / "standins.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"standins\.json: not a readable table"):
        tables.measure(small, tmp_path, ["standins"])


def test_cheap_tables_give_json_markdown_and_pictures(small: Context, tmp_path: Path) -> None:
    names = ("geometry", "standins", "portfolio", "clustering", "cost", "calibration")
    found: Mapping[str, Any] = {"tables": tables.measure(small, tmp_path, names)}
    json.dumps(found, allow_nan=False)
    texts = [section(found) for section in tables.sections()]
    assert [text.split(".")[0] for text in texts if text] == [f"## {n}" for n in (4, 5, 6, 7, 8, 9)]
    for name in names:
        picture = (tmp_path / f"{name}.png").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 10_000
        assert f"(tables/{name}.png)" in "".join(texts)


def test_a_router_on_disk_predicts_the_same_and_is_not_trained_again(small: Context) -> None:
    seen, q = small.evidence.seen, small.q
    first = small.ours.fit(seen, q, {}, 0)
    queries = seen.where("test")
    again = Kept(small.ours._row, small.folder.parent / "routers").fit(seen, q, {}, 0)
    np.testing.assert_array_equal(first.predict(queries), again.predict(queries))
    trained = small.ours._row.fit(seen, q, {}, 0)
    np.testing.assert_allclose(trained.predict(queries), first.predict(queries), atol=1e-5)
    assert first.space.models == again.space.models


def test_a_broken_router_is_named(small: Context, tmp_path: Path) -> None:
    kept = Kept(small.ours._row, tmp_path)
    digest = kept._digest(small.evidence.seen, small.q, {}, 0)
    for part in ("locus", "space"):
        (tmp_path / f"{digest}.{part}").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match=f"{digest}.locus: not a readable router"):
        kept.fit(small.evidence.seen, small.q, {}, 0)


def test_cells_leave_nothing_out_but_what_is_missing() -> None:
    assert cells.percent(0.72134) == "72.1"
    assert cells.percent(None) == cells.number(float("nan")) == ""
    assert cells.points(0.0123) == "+1.2"
    assert cells.points(-0.0123, 2) == "−1.23"
    assert cells.number(-1.5, 1) == "−1.5"
    assert cells.usd(0.00123) == "1.23"
