"""From an answer to a refined embedding, with the official client: ask, say how good it was, see it, refine, roll back."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.config.portfolio_file import load_portfolio
from gateway.http.feedback_jobs import feedback_jobs
from tests.gateway.postgres import Postgres
from tests.gateway.running import entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer

pytestmark = pytest.mark.anyio
SCHEMA = {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}
FORM: Any = {"type": "json_schema", "json_schema": {"name": "sum", "schema": SCHEMA}}
PROBE = {"model": "auto", "messages": [{"role": "user", "content": "Write the sum of 700 and 41 as JSON."}]}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_answers_that_were_wrong_make_a_model_less_probable_until_it_is_rolled_back(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    settings: dict[str, Any] = {}
    if engine == "postgresql":
        server: Postgres = request.getfixturevalue("postgres")
        settings["store"] = server.new_database()
    async with ScriptedProvider(answer("no JSON at all")) as up:
        models = [entry("llama-8b", up.base_url, capabilities=["json_schema"])]
        feedback = {"refine_outcomes": 20, "graders": [{"name": "json", "checker": "json_schema"}]}
        path = write_portfolio(tmp_path, models, feedback=feedback, gateway=settings)
        async with running(load_portfolio(path, {})) as run, feedback_jobs(run.service) as job:
            assert job is not None

            async def p_correct() -> float:
                explained = (await run.http.post("/v1/route", json=PROBE)).json()
                return float(next(c for c in explained["candidates"] if c["model"] == "llama-8b")["p_correct"])

            async def in_force() -> float:
                assert run.service.model_watch is not None
                await run.service.model_watch.look()
                return await p_correct()

            assert run.service.models is not None
            before = await p_correct()
            for i in range(40):
                messages: Any = [{"role": "user", "content": f"Write the sum of {i} and {3 * i + 1} as JSON."}]
                raw = await run.client.chat.completions.with_raw_response.create(
                    model="auto", messages=messages, response_format=FORM
                )
                if i == 0:
                    said = {"request_id": raw.headers["x-request-id"], "verdict": "bad"}
                    assert (await run.client.post("/feedback", body=said, cast_to=object)) is not None
            await eventually(lambda: run.service.graders is not None and run.service.graders.idle)

            await job.look()
            after = await in_force()
            shown = await asyncio.to_thread(CliRunner().invoke, main, ["feedback", "--config", str(path), "--json"])
            assert shown.exit_code == 0, shown.output
            rows = {row["source"]: row for row in map(json.loads, shown.output.splitlines())}
            assert (rows["local"]["outcomes"], rows["local"]["mean"]) == (1, 0.0)
            assert (rows["grader:json"]["outcomes"], rows["grader:json"]["mean"]) == (40, 0.0)
            assert rows["grader:json"]["allowed"] == pytest.approx(40, rel=0.01)
            assert rows["local"]["allowed"] is None  # where an exact outcome is known, nothing else counts
            assert (await run.service.models.history("llama-8b"))[0].note.startswith("taken: Brier")
            assert after < before - 0.01  # by wrong answers of a model with thousands of evaluations

            rolled = await asyncio.to_thread(
                CliRunner().invoke, main, ["model", "rollback", "llama-8b", "0", "--config", str(path)]
            )
            assert rolled.exit_code == 0, rolled.output
            assert await in_force() == before
            metrics = (await run.http.get("/metrics")).text
            assert 'locus_refinements_total{model="llama-8b",result="taken"} 1.0' in metrics
            assert 'locus_feedback_total{result="bad"} 1.0' in metrics
            told = await asyncio.to_thread(CliRunner().invoke, main, ["feedback", "--config", str(path)])
            assert "not refined since an earlier version was made live" in told.output
