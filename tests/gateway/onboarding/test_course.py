"""Onboarding from the first probe to the version of the embedding, with providers on loopback."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from gateway.config.onboarding import OnboardEntry
from gateway.onboarding.course import Course
from gateway.store.onboarding_tables import ONBOARDING_JOBS, PROBE_ANSWERS
from router.probes.checker_spec import CheckerSpec
from router.probes.probe import Probe
from tests.gateway.onboarding.courses import bank_file, onboarded, place_of, unknown
from tests.gateway.onboarding.skilled_provider import SkilledProvider, numbers_bank
from tests.gateway.postgres import Postgres, postgres
from tests.gateway.running import Gateway, entry, eventually, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, answer, completion, error, reply, silent

__all__ = ["postgres"]
pytestmark = pytest.mark.anyio
SMALL = numbers_bank({"mathematics": 8, "shop": 8, "code": 8})
SKILLS = {"up-new": {"mathematics": 0.9, "shop": 0.5, "code": 0.1}}


def options(bank: Path, **more: Any) -> OnboardEntry:
    return OnboardEntry(bank=str(bank), **({"probes": 24, "usd": 1.0} | more))


async def rows_of(run: Gateway) -> list[Any]:
    assert run.service.database is not None
    async with run.service.database.read() as connection:
        return list((await connection.execute(select(PROBE_ANSWERS).order_by(PROBE_ANSWERS.c.id))).mappings())


async def test_a_model_becomes_known_and_auto_may_choose_it(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place = place_of(run)
        (job,) = await onboarded(place, options(bank), "new")
        assert (job.state, job.reason, job.version) == ("done", "all probes are asked", 1)
        assert job.progress.asked == job.progress.graded == 24
        right = sum(row["score"] for row in await rows_of(run))
        assert job.progress.right == right
        assert len(set(up.asked())) == len(up.calls) == 24
        assert job.progress.nusd == 24 * 50_000
        assert job.progress.error is not None
        assert run.service.model_watch is not None
        await run.service.model_watch.look()
        standing = run.service.in_force.standings["new"]
        assert (standing.state, standing.version, standing.trial is not None) == ("limited", 1, True)
        version = (await place.versions.live())["new"]
        assert (version.evaluations, version.source) == (24, "onboarding")
        assert version.note == "24 answers to own-bank, 0.0012 USD"
        text = (await run.http.get("/metrics")).text
        assert 'locus_onboarding_probes_total{model="new"} 24.0' in text
        assert f'locus_onboarding_predicted_error{{model="new"}} {job.progress.error}' in text


async def test_everything_is_kept_in_postgresql_too(tmp_path: Path, postgres: Postgres) -> None:
    bank, probes = bank_file(tmp_path)
    store = {"store": postgres.new_database()}
    async with SkilledProvider(probes, SKILLS) as up:
        async with gateway(tmp_path, [unknown("new", up.base_url)], gateway=store) as run:
            place = place_of(run)
            (job,) = await onboarded(place, options(bank, probes=16), "new")
            assert (job.state, job.progress.nusd) == ("done", 16 * 50_000)
            (job,) = await onboarded(place, options(bank, probes=24), "new")
            assert (job.progress.graded, len(up.calls), job.version) == (24, 24, 2)
            scores = await place.desk.answers.newest_scores("system:onboarding", "own-bank", ["new", "other"])
            assert {row.probe: row.score for row in scores} == {
                row["probe"]: row["score"] for row in await rows_of(run)
            }


async def test_the_first_probes_are_spread_over_the_kinds(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        await onboarded(place_of(run), options(bank, probes=16), "new")
    kinds = {probe.query: probe.kind for probe in probes}
    counts = [[kinds[query] for query in up.asked()].count(kind) for kind in ("mathematics", "shop", "code")]
    assert sorted(counts) == [5, 5, 6]


async def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place = place_of(run)
        await onboarded(place, options(bank, probes=16), "new")
        (job,) = await onboarded(place, options(bank, probes=24), "new")
        assert (job.progress.asked, job.progress.nusd, len(up.calls)) == (24, 24 * 50_000, 24)
        assert len(set(up.asked())) == 24
        (job,) = await onboarded(place, options(bank, probes=24), "new")
        assert (job.version, len(await place.versions.history("new"))) == (2, 2)  # nothing new is no new version
        first = (await place.versions.history("new"))[-1]
        await place.versions.add(
            "new", first.embedding(), checkpoint=first.checkpoint, source="refinement", note="", live=True
        )
        (job,) = await onboarded(place, options(bank, probes=24), "new")
        assert (job.version, (await place.versions.live())["new"].source) == (3, "refinement")
        (job,) = await onboarded(place, options(bank, probes=16), "new", again=True)
        assert (job.ask, job.progress.asked, job.version, len(up.calls)) == (2, 16, 4, 40)
        state = (await place.versions.states())["new"]
        assert state.state == "limited"


async def test_a_probe_whose_text_has_changed_is_asked_again(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path, SMALL)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        await onboarded(place_of(run), options(bank, probes=24), "new")
        bank_file(tmp_path, [replace(probe, reference=1) if probe is probes[5] else probe for probe in probes])
        await onboarded(place_of(run), options(bank, probes=24), "new")
    assert up.asked()[24:] == [probes[5].query]


@pytest.mark.parametrize("usd", [0.000_000_5, 0.001_2, 0.003, 0.01])
async def test_the_limit_is_never_exceeded(tmp_path: Path, usd: float) -> None:
    bank, probes = bank_file(tmp_path)
    model = unknown("new", "", price={"input": 3.0, "output": 15.0})
    async with SkilledProvider(probes, SKILLS) as up:
        up.usage = {"prompt_tokens": 60, "completion_tokens": 512, "total_tokens": 572}  # as much as it may
        model["deployments"][0]["api_base"] = up.base_url
        async with gateway(tmp_path, [model]) as run:
            (job,) = await onboarded(place_of(run), options(bank, probes=64, usd=usd), "new")
            await eventually(lambda: not run.service.recorder.pending)
            spent = [row["cost_nusd"] for row in await run.records()]
    assert job.progress.nusd == sum(spent) <= usd * 1e9
    assert job.reason.endswith(f"no other probe fits into the limit of {usd:g} USD")
    assert (job.state == "failed") == (not spent)


async def test_few_answers_leave_the_model_in_the_shadow(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place = place_of(run)
        (job,) = await onboarded(place, options(bank, probes=8), "new")
        assert (job.state, (await place.versions.states())["new"].state) == ("done", "shadow")
        await onboarded(place, options(bank, probes=24, then="live"), "new")
        assert (await place.versions.states())["new"].state == "live"


async def test_it_stops_once_enough_is_known(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        (job,) = await onboarded(place_of(run), options(bank, probes=64, target_error=0.9), "new")
    assert (job.state, job.progress.asked) == ("done", 16)
    assert "at most 0.9" in job.reason


async def test_a_refused_key_ends_it_at_once_in_the_provider_s_words_without_the_key(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up:
        model = unknown("new", up.base_url)
        model["deployments"][0]["api_key"] = "upstream-secret-4711"
        async with gateway(tmp_path, [model]) as run:
            up.default = error(401, "Incorrect API key provided: upstream-secret-4711. Find yours in your account.")
            place = place_of(run)
            (job,) = await onboarded(place, options(bank), "new")
            state = (await place.versions.states())["new"]
            assert await place.versions.live() == {}
            texts = [job.reason, state.reason, *(row["reason"] or "" for row in await rows_of(run))]
    assert job.state == "failed"
    assert job.reason.startswith("auth: Incorrect API key provided: ***.")
    assert (state.state, "Incorrect API key" in state.reason) == ("declared", True)
    assert not [text for text in texts if "4711" in text]
    assert len(up.calls) <= 4


async def test_more_than_a_tenth_without_an_answer_ends_it_with_the_reason(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        up.default = error(400, "this content is against our policy", "content_filter")
        (job,) = await onboarded(place_of(run), options(bank), "new")
    assert job.state == "failed"
    assert job.reason.startswith("3 probes have no answer; the last: ")
    assert "against our policy" in job.reason
    assert max(up.asked().count(query) for query in up.asked()) == 2


async def test_a_tenth_without_an_answer_does_not_count(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path, SMALL)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        up.silent = {probes[0].query, probes[9].query}
        (job,) = await onboarded(place_of(run), options(bank, probes=24), "new")
    assert (job.state, job.progress.unanswered, job.progress.graded) == ("done", 2, 22)


async def test_a_provider_that_never_answers_in_time_ends_it(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up:
        up.default = silent()
        model = unknown("new", up.base_url)
        model["deployments"][0]["timeout"] = 0.1
        async with gateway(tmp_path, [model], gateway={"breaker_failures": 100}) as run:
            (job,) = await onboarded(place_of(run), options(bank, parallel=8), "new")
    assert job.state == "failed"
    assert "timeout" in job.reason


async def test_rate_limits_are_waited_for(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up:
        patient = {"breaker_failures": 100, "cool_down": 0.1}
        async with gateway(tmp_path, [unknown("new", up.base_url)], gateway=patient) as run:
            up.replies.extend([error(429, "slow down", headers={"retry-after-ms": "30"})] * 14)
            place = place_of(run)
            quick = replace(place, desk=replace(place.desk, sleep=lambda seconds: asyncio.sleep(seconds / 20)))
            (job,) = await onboarded(quick, options(bank, parallel=2), "new")
    assert (job.state, job.progress.graded, job.progress.unanswered) == ("done", 24, 0)


async def test_an_unknown_price_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up:
        async with gateway(tmp_path, [unknown("new", up.base_url, price=None)]) as run:
            place = place_of(run)
            (job,) = await onboarded(place, options(bank), "new")
            assert (job.state, up.calls) == ("failed", [])
            assert "the price of new/0 is not known" in job.reason
            (job,) = await onboarded(place, options(bank, unpriced="free"), "new")
            assert (job.state, job.progress.nusd, job.progress.unpriced_calls) == ("done", 0, 24)
            (job,) = await onboarded(place, options(bank, unpriced="free"), "new")
            assert (job.state, job.progress.unpriced_calls, len(up.calls)) == ("done", 24, 24)


async def test_a_killed_process_loses_no_paid_answer_and_forgets_no_cost(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place, database = place_of(run), run.service.database
        assert database is not None
        await onboarded(place, options(bank), "new")
        paid = up.asked()
        # As a process leaves it that is killed: one call under way, one answer not graded, and the row still its own.
        async with database.begin() as connection:
            c = PROBE_ANSWERS.c
            ids = [row["id"] for row in await rows_of(run)]
            asked = {"state": "asked", "score": None, "tries": 0, "nusd": 0, "reserved_nusd": 600_000}
            await connection.execute(update(PROBE_ANSWERS).where(c.id == ids[0]).values(asked))
            answer = {"text": str(probes[0].reference), "tool_calls": [], "finish_reason": "stop"}
            answered = {"state": "answered", "score": None, "answer": answer}
            await connection.execute(update(PROBE_ANSWERS).where(c.id == ids[1]).values(answered))
            gone = {"state": "running", "beat": 0.0, "owner": "gone"}
            await connection.execute(update(ONBOARDING_JOBS).values(gone))
        (job,) = await onboarded(place, options(bank), "new")
        assert (job.state, job.ask, job.progress.graded) == ("done", 1, 24)
        assert up.asked()[24:] == paid[:1]
        assert job.progress.nusd == 24 * 50_000
        found = await rows_of(run)
        assert [row["answer"] for row in found] == [None] * 24
        assert found[1]["score"] is not None
        assert found[0]["reserved_nusd"] == 600_000  # perhaps it was billed


async def test_a_stopped_job_goes_on_where_it_stopped(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS, delay_s=0.02) as up:
        async with gateway(tmp_path, [unknown("new", up.base_url)]) as run:
            place = place_of(run)
            jobs = await place.jobs.submit({"new": options(bank)}, "command", owner=place.owner)
            course = Course(place, jobs)
            running = asyncio.create_task(course.run())
            await eventually(lambda: len(up.calls) >= 6)
            course.stop()
            await running
            stopped = await place.jobs.of("new")
            assert stopped is not None
            assert stopped.state == "stopped"
            assert 0 < stopped.progress.graded == len(up.calls) < 24
            assert (await place.versions.states())["new"].state == "declared"
            (job,) = await onboarded(place, options(bank), "new")
    assert (job.state, job.progress.graded, len(up.calls)) == ("done", 24, 24)


async def test_a_model_that_the_space_knows_is_refined_and_stays_live(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    skills = {"up-llama-8b": {"": 0.0}}
    async with SkilledProvider(probes, skills) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        place, router = place_of(run), run.service.in_force.file_router
        (job,) = await onboarded(place, options(bank), "llama-8b")
        assert job.state == "done"
        assert "llama-8b" not in await place.versions.states()
        refined = (await place.versions.live())["llama-8b"].embedding()
        asked = [probe.query for probe in probes]
        before = router.predict(asked, ["meta-llama/Llama-3.1-8B-Instruct"]).p_correct.mean()
        assert router.predict(asked, [refined]).p_correct.mean() < before
        assert refined.evaluations > 24


async def test_two_jobs_of_one_model_do_not_run_at_once(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place = place_of(run)
        jobs = await place.jobs.submit({"new": options(bank)}, "command", owner=place.owner)
        running = asyncio.create_task(Course(place, jobs).run())
        await eventually(lambda: bool(up.calls))
        database = run.service.database
        assert database is not None
        async with database.begin() as connection:  # another process has taken it over meanwhile
            await connection.execute(update(ONBOARDING_JOBS).values(owner="other"))
        await running
        job = await place.jobs.of("new")
        assert job is not None
        assert (job.state, job.owner) == ("running", "other")


async def test_a_judge_grades_what_no_checker_can_and_its_cost_counts(tmp_path: Path) -> None:
    spec = CheckerSpec("judge", {"rubric": "The answer is kind."})
    probes = [Probe(f"j-{i}", f"Console a friend who has lost game number {i}.", "kindness", spec) for i in range(8)]
    bank, _ = bank_file(tmp_path, probes)

    async def verdict(call: Call, writer: asyncio.StreamWriter) -> None:
        system, user = (message["content"] for message in call.body["messages"])
        code = user.rpartition("VERDICT ")[2].partition(":")[0]
        assert "`VERDICT " in system
        await answer(f"It is kind.\nVERDICT {code}: {'GOOD' if 'number 3' in user else 'BAD'}")(call, writer)

    async with ScriptedProvider(answer("There, there.")) as up, ScriptedProvider(verdict) as judge:
        models = [unknown("new", up.base_url), unknown("judge", judge.base_url)]
        async with gateway(tmp_path, models) as run:
            (job,) = await onboarded(place_of(run), options(bank, probes=8), "new")
            assert (job.state, up.calls) == ("failed", [])  # without a judge there is nothing to ask
            (job,) = await onboarded(place_of(run), options(bank, probes=8, judge="judge"), "new")
            assert (job.state, job.progress.graded, job.progress.right) == ("done", 8, 1.0)
            assert job.progress.nusd == 16 * 10_000  # eight answers and eight verdicts
            assert all(row["answer"] is None and row["reserved_nusd"] == 0 for row in await rows_of(run))
            keys = {(row["served"], row["key_id"]) for row in await run.records()}
    assert keys == {("new", "system:onboarding"), ("judge", "system:grader")}


async def test_a_model_that_reasons_gets_room_for_it(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    references = {probe.query: str(probe.reference) for probe in probes}

    async def thinking(call: Call, writer: asyncio.StreamWriter) -> None:
        short = call.body["max_tokens"] < 2_000
        body = completion("" if short else references[call.body["messages"][-1]["content"]], "new")
        body["choices"][0]["finish_reason"] = "length" if short else "stop"
        await reply(200, body)(call, writer)

    async with ScriptedProvider(thinking) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        (job,) = await onboarded(place_of(run), options(bank, probes=16, parallel=1), "new")
    assert (job.state, job.progress.graded, job.progress.right) == ("done", 16, 16.0)
    assert [call.body["max_tokens"] < 2_000 for call in up.calls] == [True] + [False] * 16


async def test_room_for_reasoning_is_paid_within_the_limit(tmp_path: Path) -> None:
    """The model shows that it reasons when the calls of the first batch are planned already."""
    bank, _ = bank_file(tmp_path)

    async def thinking(call: Call, writer: asyncio.StreamWriter) -> None:
        body, tokens = completion("", "new"), call.body["max_tokens"]
        body["usage"] = {"prompt_tokens": 40, "completion_tokens": tokens, "total_tokens": 40 + tokens}
        body["choices"][0]["finish_reason"] = "length"
        await reply(200, body)(call, writer)

    async with ScriptedProvider(thinking) as up:
        model = unknown("new", up.base_url, price={"input": 1.0, "output": 15.0})
        async with gateway(tmp_path, [model]) as run:
            (job,) = await onboarded(place_of(run), options(bank, probes=64, usd=0.2, parallel=1), "new")
            rows = await rows_of(run)
    assert max(call.body["max_tokens"] for call in up.calls) > 4_096
    assert job.progress.nusd == sum(row["nusd"] for row in rows) <= 0.2e9
    assert [row["reserved_nusd"] for row in rows] == [0] * len(rows)


async def test_a_defect_ends_the_job_and_forgets_nothing_that_was_spent(tmp_path: Path) -> None:
    def defect(model: str, error: float) -> None:
        raise RuntimeError("an answer")

    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        place = place_of(run, error=defect)
        (job,) = await onboarded(place, options(bank), "new")
        state = (await place.versions.states())["new"]
    assert (job.state, job.reason) == ("failed", "unexpected RuntimeError; the log says where")
    assert (job.progress.graded, job.progress.nusd) == (16, 16 * 50_000)
    assert (state.state, "unexpected RuntimeError" in state.reason) == ("declared", True)
