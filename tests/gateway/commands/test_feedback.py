"""`locus feedback` over a database."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.feedback.outcome import Answered, Kind, Outcome
from gateway.feedback.outcomes import Outcomes
from gateway.store.database import Database

pytestmark = pytest.mark.anyio


async def written(file: Path) -> None:
    database = Database(DatabaseLocation(file))
    known = Answered("r1", "small", "small/0", "abc", b"e", b"s", 1000.0)
    named = Answered("r2", "small", "small/0", None, None, None, 2000.0)
    said: list[tuple[Answered, str, Kind, float | None]] = [
        (known, "file:ci", "feedback", 1.0),
        (named, "file:ci", "feedback", 0.0),
        (known, "file:bob", "feedback", None),
        (known, "grader:tests", "exact", 1.0),
    ]
    await Outcomes(database).put_all([Outcome(*each) for each in said], 86_400.0)
    await database.close()


async def test_outcomes_by_source_and_model(tmp_path: Path) -> None:
    file = tmp_path / "locus.db"
    await written(file)
    shown = CliRunner().invoke(main, ["feedback", "--db", str(file)])
    assert shown.exit_code == 0, shown.output
    lines = [" ".join(line.split()) for line in shown.output.splitlines()]
    assert lines[:4] == [
        "source kind model outcomes mean usable revoked",
        "file:bob feedback small 0 - 0 1",
        "file:ci feedback small 2 0.500 1 0",
        "grader:tests exact small 1 1.000 1 0",
    ]
    as_json = CliRunner().invoke(main, ["feedback", "--db", str(file), "--since", "30000d", "--json"])
    assert as_json.exit_code == 0, as_json.output
    rows = [json.loads(line) for line in as_json.output.splitlines()]
    assert [(row["source"], row["outcomes"], row["mean"]) for row in rows] == [
        ("file:bob", 0, None),
        ("file:ci", 2, 0.5),
        ("grader:tests", 1, 1.0),
    ]


async def test_a_model_without_usable_outcomes_is_told_from_one_that_nothing_is_known_of(tmp_path: Path) -> None:
    file, config = tmp_path / "locus.db", tmp_path / "portfolio.yaml"
    config.write_text("""
models:
  - {name: known, embedding: openai/gpt-4o-2024-11-20, deployments: [{model: ollama/a}]}
  - {name: unknown, deployments: [{model: ollama/ours}]}
feedback: {}
gateway: {record: locus.db}
""")
    database = Database(DatabaseLocation(file))
    named = [Answered(f"r-{name}", name, f"{name}/0", None, None, None, 2000.0) for name in ("known", "unknown")]
    await Outcomes(database).put_all([Outcome(each, "file:ci", "feedback", 1.0) for each in named], 86_400.0)
    await database.close()
    shown = await asyncio.to_thread(CliRunner().invoke, main, ["feedback", "--config", str(config)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[-2:] == [
        "known: none of its outcomes is usable",
        "unknown: nothing is known of it that could be refined: `locus onboard unknown`",
    ]
