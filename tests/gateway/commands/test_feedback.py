"""`locus feedback` over a database."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.feedback.outcome import Answered, Kind, Outcome
from gateway.feedback.outcomes import Outcomes
from gateway.feedback.refinement_job import RefinementJob, Subject
from gateway.model_versions.model_versions import ModelVersions
from gateway.record.predictions import pack_query
from gateway.store.database import Database
from tests.gateway.running import shipped_router

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
    await Outcomes(database).put_all([Outcome(*each) for each in said])
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
    await Outcomes(database).put_all([Outcome(each, "file:ci", "feedback", 1.0) for each in named])
    await database.close()
    shown = await asyncio.to_thread(CliRunner().invoke, main, ["feedback", "--config", str(config)])
    assert shown.exit_code == 0, shown.output
    assert shown.output.splitlines()[-2:] == [
        "known: none of its outcomes is usable",
        "unknown: nothing is known of it that could be refined: `locus onboard unknown`",
    ]


async def test_thumbs_alone_change_nothing_and_the_command_says_why(tmp_path: Path) -> None:
    file, config = tmp_path / "locus.db", tmp_path / "portfolio.yaml"
    config.write_text("""
models:
  - {name: known, embedding: openai/gpt-4o-2024-11-20, deployments: [{model: ollama/a}]}
feedback: {}
gateway: {record: locus.db}
""")
    router, database = shipped_router(), Database(DatabaseLocation(file))
    began = time.time() - 3_600
    q = router.encoder.encode([f"What is {i} plus {i * i}?" for i in range(60)])
    requests = [
        Answered(
            f"r{i}",
            "known",
            "known/0",
            router.checkpoint[:12],
            *pack_query(one[None], router.encoder.text_dim),
            began + i,
        )
        for i, one in enumerate(q)
    ]
    await Outcomes(database).put_all([Outcome(one, f"key{i % 4}", "feedback", 0.0) for i, one in enumerate(requests)])

    def shown() -> str:
        return CliRunner().invoke(main, ["feedback", "--config", str(config)]).output

    text = await asyncio.to_thread(shown)
    assert "Nothing goes live by itself for known: thumbs and judgements alone cannot show" in text
    assert "A check needs 16 exact outcomes of a model, and 0 of known are usable" in text
    subject = Subject(load_portfolio(config, {}), router)
    later = time.time() + 7_200  # they wait an hour to be used
    job = RefinementJob(Outcomes(database), ModelVersions(database), lambda: subject, now=lambda: later)
    await job.look()
    text = await asyncio.to_thread(shown)
    assert "known: version 1, " in text
    assert "not taken: a check needs 16 exact outcomes, and 0 are known; from 60 outcomes" in text
    assert "`locus model rollback known 1` makes a refinement live by hand." in text
    exact = [Outcome(one, "grader:tests", "exact", 1.0) for one in requests[:20]]
    await Outcomes(database).put_all(exact)
    await database.close()
    assert "Nothing goes live by itself" not in await asyncio.to_thread(shown)
