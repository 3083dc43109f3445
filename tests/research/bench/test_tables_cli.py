"""`python -m research.bench` with claim tables: which are measured, and that they reach the report."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from research.bench.__main__ import bench, wanted_tables
from research.bench.tables import TABLES
from research.bench.tables.context import families_of, prices_of
from router.errors import DataError
from tests.router.datasets import write_dataset


def test_all_tables_where_no_row_is_left_out_and_none_otherwise() -> None:
    assert wanted_tables([], []) == list(TABLES)
    assert wanted_tables(["ours", "kNN"], []) == []
    assert wanted_tables([], ["none"]) == []
    assert wanted_tables(["ours"], ["timing", "geometry"]) == ["geometry", "timing"]
    with pytest.raises(DataError, match="claim tables are about the row ours: add --rows ours"):
        wanted_tables(["kNN"], ["timing"])


def test_tables_reach_json_report_and_pictures(tmp_path: Path) -> None:
    data, out = write_dataset(tmp_path / "data", count=300), tmp_path / "out"
    prices = "model,usd_per_mtok_in,usd_per_mtok_out\nlab/adder,1,2\nlab/traveller,2,4\nlab/weak,0.1,0.1\n"
    (data / "prices.csv").write_text(prices, encoding="utf-8")
    wanted = ("standins", "cost", "calibration", "timing")
    arguments = [str(data), "--out", str(out), "--rows", "ours", "--seeds", "1"]
    result = CliRunner().invoke(bench, [*arguments, *(part for name in wanted for part in ("--tables", name))])
    assert result.exit_code == 0, result.output
    assert "1 rows, 4 claim tables" in result.output
    found = json.loads((out / "bench.json").read_text())
    assert list(found["tables"]) == list(wanted)
    assert set(found["tables"]["cost"]["pools"]) == {"sums", "places"}
    assert found["tables"]["timing"]["encoding"]["ms"] > 0
    report = (out / "report.md").read_text()
    for name, title in zip(wanted, ("5. Stand-ins", "8. Cost", "9. Calibration", "10. Time"), strict=True):
        assert f"## {title}" in report
        assert (out / "tables" / f"{name}.png").exists()


def test_prices_and_families_are_read_where_the_data_have_them(tmp_path: Path) -> None:
    data = write_dataset(tmp_path)
    assert prices_of([data]) == {}
    assert families_of([data]) == {}


def test_families_of_the_public_data(evaluations: Path) -> None:
    families = families_of([evaluations])
    assert families["openai/gpt-4o-2024-08-06"] == families["openai/gpt-4o-mini-2024-07-18"] == "gpt-4o"
    assert prices_of([evaluations])["openai/gpt-4o-2024-08-06"].usd_per_mtok_out == 10
