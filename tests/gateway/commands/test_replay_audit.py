import asyncio
import re
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.record.needs import Needs
from gateway.store.engines import sync_engine
from router.replay.audit import FEWEST
from tests.gateway.replay.logs import Logged, fill
from tests.gateway.upstreams import Call, ScriptedProvider, completion, reply

SINCE = ("--since", "2020-01-01", "--policy", "best", "--json")
PRICE = {"input": 1.0, "output": 1.0}


def run(path: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", "--config", str(path), *SINCE, *map(str, arguments)])


def served_at(logged: Logged, up: ScriptedProvider, graders: list[Any] | None = None) -> None:
    """The logged portfolio, with its models at this provider, a judge, and graders."""
    portfolio = yaml.safe_load(logged.path.read_text())
    if graders is not None:
        portfolio["feedback"] = {"graders": graders}
    judge = {"name": "judge", "embedding": "none", "context_window": 8192, "price": PRICE}
    judge |= {"deployments": [{"model": "openai/judge", "api_key": "sk-up"}]}
    portfolio["models"] = [model for model in portfolio["models"] if model["name"] != "judge"] + [judge]
    for model in portfolio["models"]:
        model["deployments"][0]["api_base"] = up.base_url
    logged.path.write_text(yaml.safe_dump(portfolio))


async def answer(call: Call, writer: asyncio.StreamWriter) -> Any:
    """llama-70b answers rightly, the others wrongly, and the judge knows it."""
    body = call.body
    name, text = body["model"], "\n".join(str(message["content"]) for message in body["messages"])
    if name == "judge":
        code = re.findall(r"VERDICT (\w{16})", text)[-1]
        said = f"It is so.\nVERDICT {code}: {'GOOD' if 'right' in text else 'BAD'}"
    else:
        said = "The right answer is 7." if name == "llama-70b" else "The answer is 8, I guess."
    return await reply(200, completion(said, name))(call, writer)


def audited(logged: Logged, *arguments: object, graders: list[Any] | None = None) -> tuple[Result, list[str]]:
    """Runs the command beside a provider; the result, and the models that were called."""

    async def serve() -> tuple[Result, list[str]]:
        async with ScriptedProvider(answer) as up:
            served_at(logged, up, graders)
            result = await asyncio.to_thread(run, logged.path, *arguments)
            return result, [call.body["model"] for call in up.calls]

    return asyncio.run(serve())


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 90, prompts=True)


def test_both_models_are_asked_and_graded_and_the_calls_are_booked(logged: Logged) -> None:
    result, called = audited(logged, "--audit", 40, "--audit-usd", 1, "--judge", "judge")
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.stdout[result.stdout.index("{") :])
    audit = report["accuracy"]["audit"]
    assert (audit["planned"], audit["asked"], audit["graded"], audit["note"]) == (40, 40, 40, None)
    # llama-70b is right and llama-8b wrong on each request on which they differ.
    assert audit["difference"]["value"] == pytest.approx(report["differing"], abs=0.01)
    assert sorted(set(called)) == ["judge", "llama-70b", "llama-8b"]
    assert called.count("llama-70b") == called.count("llama-8b") == 40
    with sync_engine(logged.location).connect() as connection:
        key, count, nusd = connection.exec_driver_sql(
            "SELECT key_id, count(*), sum(nusd) FROM ledger WHERE key_id LIKE 'system:%' GROUP BY key_id"
        ).one()
    assert (key, count) == ("system:audit", len(called))
    assert audit["usd"] == pytest.approx(nusd / 1e9)


def test_no_call_begins_that_could_exceed_the_limit(logged: Logged) -> None:
    result, called = audited(logged, "--audit", 40, "--audit-usd", 0.0025, "--judge", "judge")
    audit = orjson.loads(result.stdout[result.stdout.index("{") :])["accuracy"]["audit"]
    assert 0 < audit["usd"] <= 0.0025
    assert audit["asked"] < 40
    assert "could exceed 0.0025 USD" in audit["note"]
    assert len(called) >= 2


def test_what_an_audit_needs_is_said(tmp_path: Path, logged: Logged) -> None:
    assert "needs --audit-usd" in run(logged.path, "--audit", 10).output
    assert "needs --judge MODEL, or graders" in run(logged.path, "--audit", 10, "--audit-usd", 1).output
    asked = ("--audit", 10, "--audit-usd", 1, "--judge", "llama-70b")
    assert "which --parquet files do not hold" in run(logged.path, *asked, "--parquet", tmp_path).output
    assert "give --audit too" in run(logged.path, *asked[2:]).output
    unknown = ("--policy", "careful", "--audit", 1, "--audit-usd", 1, "--judge", "none")  # nothing would be asked
    assert "there is no model 'none'" in run(logged.path, *unknown).output
    folder = tmp_path / "bare"
    folder.mkdir()
    bare = fill(folder, DatabaseLocation(file=folder / "store.db"), 90)
    refused = run(bare.path, *asked)
    assert refused.exit_code == 1
    assert "`store_prompts: true`" in refused.output


def audit_of(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return orjson.loads(result.stdout[result.stdout.index("{") :])["accuracy"]["audit"]


def test_checkers_of_the_file_grade_before_a_judge_does(logged: Logged) -> None:
    exact = {"name": "seven", "checker": {"type": "regex", "pattern": r"\b7\b"}}
    elsewhere = {"name": "ci", "checker": {"type": "regex", "pattern": "8"}, "match": {"keys": ["ci"]}}
    result, called = audited(logged, "--audit", 30, "--audit-usd", 1, graders=[elsewhere, exact])
    audit = audit_of(result)
    assert (audit["graded"], audit["graded_by"]) == (30, {"seven": 30})
    assert "judge" not in called
    undecided = {"name": "schema", "checker": "json_schema"}  # of a request that asks for a schema: none does
    result, called = audited(logged, "--audit", 30, "--audit-usd", 1, "--judge", "judge", graders=[undecided])
    assert audit_of(result)["graded_by"] == {"--judge judge": 30}
    assert called.count("judge") == 60


def test_a_model_judges_neither_its_own_answers_nor_what_it_may_not_see(tmp_path: Path) -> None:
    needs = dict.fromkeys(range(45), Needs(models=("llama-8b", "llama-70b")))
    logged = fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 90, prompts=True, needs=needs)
    result, called = audited(logged, "--audit", 90, "--audit-usd", 1, "--judge", "llama-70b")
    assert (audit_of(result)["graded"], called) == (0, [])
    result, _ = audited(logged, "--audit", 90, "--audit-usd", 1, "--judge", "judge")
    audit = audit_of(result)
    assert 0 < audit["graded"] <= 45 < audit["planned"]


def test_an_interrupted_audit_prints_the_estimate_of_what_was_paid_for(logged: Logged) -> None:
    hang = asyncio.Event()

    async def then_hang(call: Call, writer: asyncio.StreamWriter) -> Any:
        if up.calls and len([one for one in up.calls if one.body["model"] == "judge"]) > 2 * FEWEST:
            hang.set()
            await asyncio.Event().wait()
        return await answer(call, writer)

    up = ScriptedProvider(then_hang)

    async def interrupted() -> tuple[int, bytes, bytes]:
        async with up:
            served_at(logged, up)
            options = ("--audit", "60", "--audit-usd", "1", "--judge", "judge")
            command = [
                sys.executable,
                "-m",
                "gateway.commands.main",
                "replay",
                "--config",
                str(logged.path),
                *SINCE,
                *options,
            ]
            process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
            await hang.wait()
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
            assert process.returncode is not None
            return process.returncode, out, err

    status, out, err = asyncio.run(asyncio.wait_for(interrupted(), 300))
    assert status == 130, err
    audit = orjson.loads(out[out.index(b"{") :])["accuracy"]["audit"]
    assert (audit["planned"], audit["asked"], audit["graded"]) == (60, FEWEST, FEWEST)
    assert audit["note"].startswith("It was interrupted.")
    assert audit["difference"]["value"] > 0
    with sync_engine(logged.location).connect() as connection:
        found = connection.exec_driver_sql("SELECT estimated, nusd FROM ledger WHERE key_id = 'system:audit'").all()
    assert sum(bool(row.estimated) for row in found) == 1  # the call that was cut off, which has no answer
    assert audit["usd"] == pytest.approx(sum(row.nusd for row in found) / 1e9)
