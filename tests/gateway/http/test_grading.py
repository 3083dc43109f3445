"""Graders of the portfolio file over real answers: exact checks, and a model that judges within its USD per day."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import pytest
from sqlalchemy import select

from gateway.config.portfolio_file import load_portfolio
from gateway.http.feedback_jobs import feedback_jobs
from gateway.store.outcome_tables import OUTCOMES
from gateway.store.tables import LEDGER
from tests.gateway.running import Gateway, entry, eventually, running, write_portfolio
from tests.gateway.upstreams import Call, ScriptedProvider, answer

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "Which city is the capital of France? Answer in JSON."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FORM: Any = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
SECRET = "the swallow flies at noon"


@asynccontextmanager
async def grading(
    folder: Path, graders: list[dict[str, Any]], *, judge: ScriptedProvider | None = None, **more: Any
) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    capable = {"capabilities": ["json_schema"]}
    async with ScriptedProvider(answer('{"city": "Paris"}')) as up:
        models = [entry("llama-8b", up.base_url, **capable), entry("llama-70b", up.base_url, **capable)]
        if judge is not None:
            models.append(entry("judge", judge.base_url, embedding="none"))
        path = write_portfolio(folder, models, feedback={"graders": graders}, **more)
        async with running(load_portfolio(path, {})) as run, feedback_jobs(run.service):
            yield run, up


async def outcomes(run: Gateway) -> list[Any]:
    """All outcomes, once nothing waits to be graded."""
    assert run.service.graders is not None
    await eventually(lambda: not run.service.metrics.in_flight)
    await eventually(lambda: run.service.graders is not None and run.service.graders.idle)
    assert run.service.database is not None
    async with run.service.database.read() as connection:
        found = await connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.time, OUTCOMES.c.source))
        return list(found.mappings())


async def ask(run: Gateway, text: str | None = None, **more: Any) -> str:
    messages = ASK if text is None else [{"role": "user", "content": text}]
    raw = await run.client.chat.completions.with_raw_response.create(**{"model": "auto", "messages": messages} | more)
    return str(raw.headers["x-request-id"])


def verdict(word: str) -> Any:
    """A judge that finds every answer good, or bad; it repeats the code that the prompt asks for."""

    async def reply(call: Call, writer: asyncio.StreamWriter) -> Any:
        prompt = call.body["messages"][-1]["content"]
        asked = re.findall(r"VERDICT (\w+): GOOD", prompt)
        return await answer(f"It is so.\nVERDICT {asked[-1]}: {word}" if asked else "Paris.")(call, writer)

    return reply


async def test_answers_by_a_schema_are_checked_complete_and_streamed(tmp_path: Path) -> None:
    async with grading(tmp_path, [{"name": "json", "checker": "json_schema"}]) as (run, up):
        right = await ask(run, response_format=FORM)
        up.default = answer('{"town": "Paris"}')
        wrong = await ask(run, response_format=FORM)
        stream = await run.client.chat.completions.create(model="auto", messages=ASK, response_format=FORM, stream=True)
        async for _ in stream:
            pass
        await ask(run)  # asks for no schema
        found = await outcomes(run)
        assert [(row["request_id"], row["score"]) for row in found[:2]] == [(right, 1.0), (wrong, 0.0)]
        assert [(row["source"], row["kind"], row["score"]) for row in found] == [
            ("grader:json", "exact", score) for score in (1.0, 0.0, 0.0)
        ]
        record = (await run.records())[0]
        assert (found[0]["model"], found[0]["deployment"]) == (record["served"], record["deployment"])
        assert found[0]["checkpoint"] == record["checkpoint"]
        assert all(row["encoding"] for row in found)
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_graded_answers_total{grader="json",result="wrong"} 2.0' in metrics


async def test_a_grader_matches_by_metadata_and_takes_its_reference_there(tmp_path: Path) -> None:
    grader = {"name": "sums", "checker": "number", "reference_metadata": "sum", "match": {"metadata": {"task": "add"}}}
    async with grading(tmp_path, [grader]) as (run, up):
        up.default = answer("The sum is 12.")
        await ask(run, "What is 5 + 7?", metadata={"task": "add", "sum": "12"})
        await ask(run, "What is 5 + 8?", metadata={"task": "add", "sum": "13"})
        await ask(run, "What is 5 * 8?", metadata={"task": "multiply", "sum": "13"})
        await ask(run, "What is 5 + 9?", metadata={"task": "add"})
        assert [row["score"] for row in await outcomes(run)] == [1.0, 0.0]


async def test_unit_tests_and_messages_of_anthropic(tmp_path: Path) -> None:
    checker = {"type": "python", "tests": "assert double(4) == 8"}
    async with grading(tmp_path, [{"name": "tests", "checker": checker, "reliability": 0.5}]) as (run, up):
        up.default = answer("```python\ndef double(x):\n    return 2 * x\n```")
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="none", max_retries=0, timeout=60) as claude:
            await claude.messages.create(
                model="auto", max_tokens=100, messages=[{"role": "user", "content": "Write the function `double(x)`."}]
            )
        (row,) = await outcomes(run)
        assert (row["score"], row["reliability"]) == (1.0, 0.5)


async def test_a_named_model_is_graded_with_the_encoding_of_the_query(tmp_path: Path) -> None:
    async with grading(tmp_path, [{"name": "json", "checker": "json_schema"}]) as (run, _):
        await ask(run, model="llama-8b", response_format=FORM)
        await ask(run, response_format=FORM)
        named, routed = await outcomes(run)
        assert named["encoding"] == routed["encoding"]
        assert named["surface"] == routed["surface"]
        assert named["checkpoint"] == routed["checkpoint"]


async def test_a_judge_is_recorded_booked_and_stores_no_text(tmp_path: Path) -> None:
    async with ScriptedProvider(verdict("GOOD")) as judge:
        graders = [{"name": "judge", "model": "judge", "sample": 1}]
        async with grading(tmp_path, graders, judge=judge) as (run, up):
            up.default = answer(f"Paris, and {SECRET}.")
            judged = await ask(run, f"What is the capital of France? Remember: {SECRET}.")
            (row,) = await outcomes(run)
            assert (row["request_id"], row["source"], row["kind"], row["score"]) == (
                judged,
                "grader:judge",
                "judge",
                1.0,
            )
            judge.default = verdict("BAD")
            await ask(run)
            await ask(run, model="judge")  # it does not judge its own answers
            assert [row["score"] for row in await outcomes(run)] == [1.0, 0.0]
            assert len(judge.calls) == 3  # one of them is the client's
            system, user = judge.calls[0].body["messages"]
            assert (system["role"], judge.calls[0].body["temperature"]) == ("system", 0)
            assert SECRET in user["content"]
            assert 'locus_tokens_total{kind="prompt",model="judge"} 21.0' in (await run.http.get("/metrics")).text
            records = await run.records()
            assert [r["api"] for r in records if r["key_id"] == "system:grader"] == ["probe", "probe"]
            assert run.service.database is not None
            async with run.service.database.read() as connection:
                booked = select(LEDGER.c.model, LEDGER.c.nusd).where(LEDGER.c.key_id == "system:grader")
                assert [tuple(row) for row in await connection.execute(booked)] == [("judge", 10_000)] * 2
    stored = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.iterdir()])
    assert all(SECRET.encode() not in content for content in stored)


async def test_a_judge_sees_no_answers_that_its_model_may_not_see(tmp_path: Path) -> None:
    async with ScriptedProvider(verdict("GOOD")) as judge:
        keys = [{"name": "ci", "key": "sk-ci", "models": ["llama-8b"]}, {"name": "all", "key": "sk-all"}]
        graders = [{"name": "judge", "model": "judge", "sample": 1}]
        async with grading(tmp_path, graders, judge=judge, keys=keys) as (run, _):
            for key, headers in (
                ("sk-ci", {}),
                ("sk-all", {"x-locus-exclude": "judge"}),
                ("sk-all", {"x-locus-allow": "llama-8b"}),
            ):
                client = run.client.with_options(api_key=key)
                await client.chat.completions.create(model="auto", messages=ASK, extra_headers=headers)
            assert await outcomes(run) == []
            await run.client.with_options(api_key="sk-all").chat.completions.create(model="auto", messages=ASK)
            assert len(await outcomes(run)) == len(judge.calls) == 1


async def test_a_judge_keeps_to_its_usd_per_day(tmp_path: Path) -> None:
    async with ScriptedProvider(verdict("GOOD")) as judge:
        # A judgement may cost 1,024 tokens of answer and its prompt, so that a call is refused before the budget is spent.
        graders = [{"name": "judge", "model": "judge", "sample": 1, "usd_per_day": 0.0022}]
        async with grading(tmp_path, graders, judge=judge) as (run, _):
            for _ in range(60):
                await ask(run)
                await outcomes(run)
            spent = 10_000 * len(judge.calls)
            assert 0 < len(judge.calls) < 60
            assert spent <= 2_200_000
            metrics = (await run.http.get("/metrics")).text
            over = 60 - len(judge.calls)
            assert f'locus_graded_answers_total{{grader="judge",result="over_budget"}} {over}.0' in metrics


async def test_only_a_sample_is_judged(tmp_path: Path) -> None:
    async with ScriptedProvider(verdict("GOOD")) as judge:
        graders = [{"name": "judge", "model": "judge", "sample": 0.0}]
        async with grading(tmp_path, graders, judge=judge) as (run, _):
            await ask(run)
            assert await outcomes(run) == []
            assert judge.calls == []


async def test_a_judge_that_hangs_delays_no_client(tmp_path: Path) -> None:
    async with ScriptedProvider() as judge:
        asked = asyncio.Event()

        async def hang(call: Call, writer: asyncio.StreamWriter) -> Any:
            asked.set()
            await asyncio.sleep(3600)

        judge.default = hang
        graders = [{"name": "judge", "model": "judge", "sample": 1}]
        async with grading(tmp_path, graders, judge=judge) as (run, _):
            await ask(run)
            await asyncio.wait_for(asked.wait(), 60)
            await asyncio.wait_for(asyncio.gather(*(ask(run) for _ in range(10))), 60)
            assert run.service.graders is not None
            assert not run.service.graders.idle
        # leaving the block did not wait for the judge


async def test_failures_and_refusals_leave_no_outcome(tmp_path: Path) -> None:
    graders = [{"name": "json", "checker": "json_schema"}]
    async with grading(tmp_path, graders) as (run, up):
        up.default = answer("I cannot help with that request.")
        await ask(run, response_format=FORM)
        bad = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "nonsense"}}}
        up.default = answer("{}")
        await ask(run, response_format=bad)
        assert await outcomes(run) == []
        metrics = (await run.http.get("/metrics")).text
        assert 'locus_graded_answers_total{grader="json",result="not_graded"} 2.0' in metrics


async def test_a_judge_whose_price_is_not_known_is_not_asked(tmp_path: Path) -> None:
    async with ScriptedProvider(verdict("GOOD")) as judge, ScriptedProvider() as up:
        models = [entry("llama-8b", up.base_url), entry("judge", judge.base_url, embedding="none") | {"price": None}]
        feedback = {"graders": [{"name": "judge", "model": "judge", "sample": 1}]}
        path = write_portfolio(tmp_path, models, feedback=feedback)
        async with running(load_portfolio(path, {})) as run, feedback_jobs(run.service):
            await ask(run)
            assert await outcomes(run) == []
            assert judge.calls == []
