"""`python -m research.bench` from a folder of parquet files to the report, and again."""

import json
from pathlib import Path

from click.testing import CliRunner

from research.bench.__main__ import bench as command
from tests.router.datasets import write_dataset


def bench(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(command, list(map(str, arguments)))
    return result.exit_code, result.output


def test_bench_writes_json_and_report_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data, out = write_dataset(tmp_path / "data"), tmp_path / "out"
    rows = ("--rows", "best single", "--rows", "best per benchmark", "--rows", "logistic regression")
    code, text = bench(data, "--out", out, *rows[:4])
    assert code == 0, text
    first = {file.name: file.stat().st_mtime_ns for file in (out / "rows").iterdir()}
    code, text = bench(data, "--out", out, *rows)
    assert code == 0, text
    assert f"{out / 'report.md'}: 3 rows" in text
    after = {file.name: file.stat().st_mtime_ns for file in (out / "rows").iterdir()}
    assert first.items() <= after.items()
    assert len(after) > len(first) == 2
    found = json.loads((out / "bench.json").read_text())
    names = [row["name"] for row in found["main"]["rows"]]
    assert names == ["random", "best single", "best per benchmark", "logistic regression", "oracle"]
    by_name = {row["name"]: row["routing"] for row in found["main"]["rows"]}
    assert set(by_name["oracle"]) == {"sums", "places", "macro"}
    assert by_name["random"]["macro"] < by_name["best single"]["macro"] <= by_name["oracle"]["macro"]
    assert {pool["models"] for pool in found["main"]["pools"]} == {3}  # the fourth is marked onboarding
    report = (out / "report.md").read_text()
    assert "## Main table" in report
    assert "penalty 10" in report


def test_what_cannot_be_measured_is_said_in_one_line(tmp_path: Path) -> None:
    code, text = bench(tmp_path / "nothing", "--out", tmp_path / "out")
    assert code == 1
    assert "no such folder" in text
    code, text = bench(tmp_path, "--out", tmp_path / "out", "--rows", "kMM")
    assert code == 2
    assert "'kMM' is not one of" in text
