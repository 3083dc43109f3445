import asyncio
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import CliRunner, Result

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.store.engines import sync_engine
from tests.gateway.replay.logs import Logged, fill
from tests.gateway.upstreams import Call, ScriptedProvider, completion, reply

SINCE = ("--since", "2020-01-01", "--policy", "best", "--json")
PRICE = {"input": 1.0, "output": 1.0}


def run(path: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", "--config", str(path), *SINCE, *map(str, arguments)])


def served_at(logged: Logged, up: ScriptedProvider) -> None:
    """The logged portfolio, with its models at this provider, and a judge."""
    portfolio = yaml.safe_load(logged.path.read_text())
    judge = {"name": "judge", "embedding": "none", "context_window": 8192, "price": PRICE}
    portfolio["models"].append(judge | {"deployments": [{"model": "openai/judge", "api_key": "sk-up"}]})
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


def audited(logged: Logged, *arguments: object) -> tuple[Result, list[str]]:
    """Runs the command beside a provider; the result, and the models that were called."""

    async def serve() -> tuple[Result, list[str]]:
        async with ScriptedProvider(answer) as up:
            served_at(logged, up)
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
    assert "needs --audit-usd and --judge" in run(logged.path, "--audit", 10).output
    asked = ("--audit", 10, "--audit-usd", 1, "--judge", "llama-70b")
    assert "which --parquet files do not hold" in run(logged.path, *asked, "--parquet", tmp_path).output
    assert "give --audit too" in run(logged.path, *asked[2:]).output
    assert "there is no model 'none'" in run(logged.path, "--audit", 1, "--audit-usd", 1, "--judge", "none").output
    folder = tmp_path / "bare"
    folder.mkdir()
    bare = fill(folder, DatabaseLocation(file=folder / "store.db"), 90)
    refused = run(bare.path, *asked)
    assert refused.exit_code == 1
    assert "`store_prompts: true`" in refused.output
