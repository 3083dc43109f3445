"""Jobs in a gateway: those of the portfolio file, those that operators add, a shutdown in the middle, and who runs them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from gateway.config.onboarding import OnboardEntry
from gateway.http.onboarding import onboarding_runner
from gateway.onboarding.jobs import Job
from gateway.onboarding.runner import OnboardingRunner
from gateway.replicas.owner import GONE_S
from gateway.store.onboarding_tables import ONBOARDING_JOBS
from tests.gateway.onboarding.courses import bank_file, place_of, unknown
from tests.gateway.onboarding.skilled_provider import SkilledProvider
from tests.gateway.running import Gateway, eventually, gateway

pytestmark = pytest.mark.anyio
SKILLS = {"up-new": {"": 0.5}, "up-other": {"": 0.9}}
ADMIN = {"authorization": "Bearer sk-admin"}
KEYS = {"gateway": {"admin_key": "sk-admin"}}


@asynccontextmanager
async def jobs_running(run: Gateway, leads: bool = True, grace_s: float = 10.0) -> AsyncIterator[OnboardingRunner]:
    """Runs the jobs of a gateway until the block ends."""
    made = onboarding_runner(run.service, poll_s=0.05)
    assert made is not None
    made.leads, made.grace_s = (lambda: leads), (lambda: grace_s)
    async with made as runner:
        yield runner


async def ended(run: Gateway, model: str, *states: str) -> Job:
    """The job of a model, once it is in one of these states."""
    jobs = place_of(run).jobs
    for _ in range(2_400):
        job = await jobs.of(model)
        if job is not None and job.state in (states or ("done", "failed", "stopped")):
            return job
        await asyncio.sleep(0.025)
    raise AssertionError("the job does not end")


async def test_the_file_asks_once_and_a_changed_file_does_not_ask_again(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS) as up:
        wanted = {"probes": 16, "usd": 0.5, "bank": bank.name, "then": "live"}
        model = unknown("new", up.base_url, onboard=wanted)
        async with gateway(tmp_path, [model, unknown("other", up.base_url)]) as run, jobs_running(run):
            job = await ended(run, "new")
            assert (job.state, job.progress.graded, job.options.bank) == ("done", 16, str(bank))
            assert await place_of(run).jobs.of("other") is None
            assert run.service.model_watch is not None
            await run.service.model_watch.look()
            assert run.service.in_force.standings["new"].state == "live"
        model["onboard"] = wanted | {"probes": 32}
        async with gateway(tmp_path, [model]) as run, jobs_running(run):
            await asyncio.sleep(0.2)
            assert (await ended(run, "new")).progress.graded == 16
    assert len(up.calls) == 16


async def test_a_shutdown_loses_nothing_and_the_next_gateway_goes_on(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    options = OnboardEntry(probes=24, usd=1.0, bank=str(bank), parallel=2)
    async with SkilledProvider(probes, SKILLS, delay_s=0.03) as up:
        model = unknown("new", up.base_url)
        async with gateway(tmp_path, [model]) as run:
            async with jobs_running(run):
                await place_of(run).jobs.submit({"new": options}, "gateway")
                await eventually(lambda: len(up.calls) >= 5)
            job = await place_of(run).jobs.of("new")
            assert job is not None
            assert (job.state, job.progress.graded) == ("waiting", len(up.calls))
            assert (await place_of(run).versions.states())["new"].state == "probing"
        async with gateway(tmp_path, [model]) as run, jobs_running(run):
            job = await ended(run, "new")
    assert (job.state, job.progress.graded, len(up.calls)) == ("done", 24, 24)


async def test_calls_that_do_not_end_in_time_are_given_up(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    options = OnboardEntry(probes=24, usd=1.0, bank=str(bank))
    async with (
        SkilledProvider(probes, SKILLS, delay_s=30.0) as up,
        gateway(tmp_path, [unknown("new", up.base_url)]) as run,
    ):
        async with jobs_running(run, grace_s=0.05):
            await place_of(run).jobs.submit({"new": options}, "gateway")
            await eventually(lambda: bool(up.calls))
        job = await place_of(run).jobs.of("new")
        assert job is not None
        assert (job.state, job.progress.graded) == ("waiting", 0)
        assert run.service.in_force.deployments.models["new"].deployments[0].in_flight == 0


async def test_only_the_leader_runs_jobs(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    options = OnboardEntry(probes=8, usd=1.0, bank=str(bank))
    async with SkilledProvider(probes, SKILLS) as up, gateway(tmp_path, [unknown("new", up.base_url)]) as run:
        await place_of(run).jobs.submit({"new": options}, "gateway")
        async with jobs_running(run, leads=False):
            await asyncio.sleep(0.2)
            assert (await ended(run, "new", "waiting"), up.calls)[1] == []
        async with jobs_running(run):
            assert (await ended(run, "new")).state == "done"


async def test_operators_start_watch_and_stop_a_job(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, SKILLS, delay_s=0.02) as up:
        models = [unknown("new", up.base_url, onboard={"bank": bank.name, "probes": 64, "usd": 0.25, "parallel": 1})]
        async with gateway(tmp_path, [*models, unknown("other", up.base_url)], **KEYS) as run:

            async def send(method: str, path: str, **more: Any) -> tuple[int, Any]:
                answer = await run.http.request(method, f"/admin/models/{path}", headers=ADMIN, **more)
                return answer.status_code, answer.json()

            assert (await run.http.post("/admin/models/new/onboard")).status_code == 401
            assert (await send("GET", "new/onboarding"))[0] == 404
            assert (await send("DELETE", "new/onboarding"))[0] == 404
            assert (await send("POST", "nothing/onboard"))[0] == 404
            status, refused = await send("POST", "new/onboard", json={"probes": "many"})
            assert (status, refused["error"]["param"]) == (400, "probes")
            status, refused = await send("POST", "new/onboard", json={"bank": "/etc/passwd"})
            assert (status, refused["error"]["param"]) == (400, "bank")
            status, refused = await send("POST", "new/onboard", json={"judge": "no-such-model"})
            assert (status, refused["error"]["param"]) == (400, "judge")
            status, started = await send("POST", "new/onboard", json={"probes": 48, "then": "live"})
            assert (status, started["state"], started["asked"]) == (202, "waiting", 0)
            assert (started["options"]["probes"], started["options"]["usd"]) == (48, 0.25)
            async with jobs_running(run):
                await ended(run, "new", "running")
                status, refused = await send("POST", "new/onboard")
                assert (status, refused["error"]["code"]) == (409, "conflict")
                assert "new is being onboarded already: " in refused["error"]["message"]
                await eventually(lambda: len(up.calls) >= 3)
                status, stopping = await send("DELETE", "new/onboarding")
                assert (status, stopping["state"]) == (202, "stopping")
                await ended(run, "new", "stopped")
                status, stopped = await send("GET", "new/onboarding")
                assert (status, stopped["state"], stopped["graded"]) == (200, "stopped", len(up.calls))
                assert stopped["usd"] == pytest.approx(len(up.calls) * 50_000 / 1e9)
                probes_in_all = max(16, stopped["graded"]) + 2
                await send("POST", "new/onboard", json={"probes": probes_in_all, "bank": str(bank)})
                await ended(run, "new", "done")
            _, done = await send("GET", "new/onboarding")
            assert (done["graded"], done["version"], len(up.calls)) == (probes_in_all, 1, probes_in_all)
            assert 0 < done["predicted_error"] < 1


async def test_a_model_whose_price_is_not_known_is_refused_by_the_operator_s_request(tmp_path: Path) -> None:
    async with gateway(tmp_path, [unknown("new", "http://127.0.0.1:9/v1", price=None)], **KEYS) as run:
        answer = await run.http.post("/admin/models/new/onboard", headers=ADMIN)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "unpriced")
        assert "set `price" in answer.json()["error"]["message"]


async def test_a_gateway_without_a_database_says_so(tmp_path: Path) -> None:
    none = {"gateway": {"admin_key": "sk-admin", "record": None}}
    async with gateway(tmp_path, [unknown("new", "http://127.0.0.1:9/v1")], **none) as run:
        assert onboarding_runner(run.service) is None
        answer = await run.http.post("/admin/models/new/onboard", headers=ADMIN)
        assert (answer.status_code, "set `record`" in answer.json()["error"]["message"]) == (404, True)


async def test_a_job_whose_row_was_not_renewed_for_long_is_taken_again_and_asked_once(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    options = OnboardEntry(probes=24, usd=1.0, bank=str(bank), parallel=1)
    async with (
        SkilledProvider(probes, SKILLS, delay_s=0.05) as up,
        gateway(tmp_path, [unknown("new", up.base_url)]) as run,
    ):
        await place_of(run).jobs.submit({"new": options}, "gateway")
        async with jobs_running(run):
            await eventually(lambda: len(up.calls) >= 3)
            assert run.service.database is not None
            async with run.service.database.begin() as connection:  # as after an outage of the database
                await connection.execute(update(ONBOARDING_JOBS).values(beat=ONBOARDING_JOBS.c.beat - GONE_S - 1))
            job = await ended(run, "new")
    assert (job.state, job.progress.graded) == ("done", 24)
    # The first course asks no other batch once the job is taken from it, so only what ran then may be asked twice.
    asked = [call.body["messages"][0]["content"] for call in up.calls]
    assert len(asked) - len(set(asked)) <= 16
    assert len(set(asked)) == 24
