"""`locus onboard` with providers on loopback: alone, beside a gateway, interrupted and killed."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.commands.onboard import options_of
from gateway.commands.onboarding_run import OnboardingRun
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.onboarding.jobs import Job, JobStore
from gateway.store.database import Database
from router.probes.probe import SHIPPED, load_bank
from tests.gateway.onboarding.courses import bank_file, place_of, unknown
from tests.gateway.onboarding.skilled_provider import SkilledProvider, shipped_texts
from tests.gateway.onboarding.test_runner import jobs_running
from tests.gateway.running import entry, eventually, running, write_portfolio

pytestmark = pytest.mark.anyio
HALF = {"up-new": {"": 0.5}}


async def onboard(portfolio: Portfolio, *models: str, again: bool = False, **given: Any) -> list[Job]:
    """The command, in this process."""
    return await OnboardingRun(portfolio, lambda model: options_of(model, given), again=again).run(list(models) or None)


async def job_of(portfolio: Portfolio, model: str) -> Job:
    assert portfolio.settings.database is not None
    database = Database(portfolio.settings.database)
    job = await JobStore(database).of(model)
    await database.close()
    assert job is not None
    return job


async def started(path: Path, *arguments: str) -> asyncio.subprocess.Process:
    """The command, in a process of its own."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gateway.commands.main", "onboard", *arguments, "--config", str(path)),
        env=os.environ | {"COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_a_killed_command_goes_on_and_an_interrupted_one_too(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, HALF, delay_s=0.1) as up:
        path = write_portfolio(tmp_path, [unknown("new", up.base_url)])
        arguments = ("new", "--bank", str(bank), "--probes", "48", "--parallel", "2")
        killed = await started(path, *arguments)
        await eventually(lambda: len(up.calls) >= 6, 60)
        killed.kill()
        await killed.communicate()
        paid = len(up.calls)
        portfolio = load_portfolio(path, {})
        assert (await job_of(portfolio, "new")).gone
        interrupted = await started(path, *arguments)
        await eventually(lambda: len(up.calls) >= paid + 4, 60)
        interrupted.send_signal(signal.SIGINT)
        out, err = await interrupted.communicate()
        assert interrupted.returncode == 130, err.decode()
        assert "`locus onboard new` goes on where it stopped." in " ".join(out.decode().split())
        assert "stopped: stopped" not in out.decode()
        up.delay_s = 0.0
        (job,) = await onboard(portfolio, "new", bank=str(bank), probes=48)
        assert (job.state, job.progress.graded) == ("done", 48)
        questions = up.asked()
        twice = {query for query in questions if questions.count(query) > 1}
        assert len(set(questions)) == 48
        assert len(twice) <= 2  # those that ran when the command was killed


async def opened_by_its_reader(pipe: Path) -> int:
    """Writes to a pipe once another process reads it."""
    for _ in range(1200):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # not yet
            await asyncio.sleep(0.025)
    raise AssertionError("no process reads the pipe")


async def test_an_interrupt_while_the_report_is_made_has_the_status_of_any_other(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    pipe = tmp_path / "pipe.jsonl"  # so that the report waits for its bank
    os.mkfifo(pipe)
    async with SkilledProvider(probes, HALF) as up:
        path = write_portfolio(tmp_path, [unknown("new", up.base_url)])
        command = await started(path, "new", "--bank", str(pipe), "--probes", "8")
        for last in (False, True):
            descriptor = await opened_by_its_reader(pipe)
            if last:
                command.send_signal(signal.SIGINT)
            os.write(descriptor, bank.read_bytes())
            os.close(descriptor)
            await eventually(lambda: len(up.calls) == 8, 60)
        _, err = await command.communicate()
    assert (command.returncode, b"Aborted" in err) == (130, False)
    assert (await job_of(load_portfolio(path, {}), "new")).state == "done"


async def test_beside_a_gateway_the_gateway_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, HALF) as up:
        portfolio = load_portfolio(write_portfolio(tmp_path, [unknown("new", up.base_url)]), {})
        async with running(portfolio, replica="one") as run:
            async with jobs_running(run):
                (job,) = await onboard(portfolio, "new", bank=str(bank), probes=16)
            assert (job.state, job.runner, job.progress.graded) == ("done", "gateway", 16)
            assert run.service.model_watch is not None
            await run.service.model_watch.look()
            assert run.service.in_force.standings["new"].state == "limited"
            text = (await run.http.get("/metrics")).text
            assert 'locus_onboarding_probes_total{model="new"} 16.0' in text
            assert run.service.replicas.processes() == 1
            assert (await place_of(run).jobs.of("new")) == job
    assert "the running gateway asks the probes" in capsys.readouterr().err


@pytest.mark.parametrize("columns", [60, 120])
async def test_the_report_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    bank, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, HALF) as up:
        models = [unknown("new", up.base_url), unknown("bad", "http://127.0.0.1:9/v1", price=None)]
        portfolio = load_portfolio(write_portfolio(tmp_path, models), {})
        await onboard(portfolio, "new", "bad", bank=str(bank), probes=24)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    words = " ".join(out.split())
    assert "new is limited: 24 answers," in words
    assert "0.0012 USD" in words
    assert "Most alike: " in words
    assert "`auto` gives it at most 10% of the requests; after 200 it is chosen as any other model." in words
    assert "Fewer than 64 answers" in words
    assert "failed: the price of bad/0 is not known" in words
    for kind in ("code", "mathematics", "shop"):
        assert f"{kind} " in words


async def test_without_a_database_and_for_models_that_need_nothing(tmp_path: Path) -> None:
    none = load_portfolio(
        write_portfolio(tmp_path, [unknown("new", "http://127.0.0.1:9/v1")], gateway={"record": None}), {}
    )
    with pytest.raises(click.ClickException, match="set `record` or `store`"):
        await onboard(none, "new")
    known = load_portfolio(write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")]), {})
    assert await onboard(known) == []


async def test_five_unknown_models_are_routed_by_one_command_and_ordered_by_their_skills(tmp_path: Path) -> None:
    """P(correct) of the questions of the shipped bank that were not asked orders the models by their skills in each kind."""
    probes = load_bank(SHIPPED).probes
    sure, less = (0.95, 0.75, 0.55, 0.3, 0.1), (0.8, 0.6, 0.4, 0.2, 0.05)
    names = ("one", "two", "three", "four", "five")
    quantitative = ("mathematics", "logic", "code")
    skills = {
        f"up-{name}": dict.fromkeys(quantitative, low) | {"": high}
        for name, high, low in zip(names, sure, less, strict=True)
    }
    async with SkilledProvider(probes, skills, texts=shipped_texts()) as up:
        portfolio = load_portfolio(write_portfolio(tmp_path, [unknown(name, up.base_url) for name in names]), {})
        jobs = await onboard(portfolio, parallel=16)
        assert [(job.model, job.state, job.progress.graded) for job in jobs] == [(name, "done", 64) for name in names]
        asked = set(up.asked())
        async with running(portfolio) as run:
            in_force = run.service.in_force
            assert {in_force.standings[name].state for name in names} == {"limited"}
            scorer = in_force.router.scorer([model.embedding or "" for model in in_force.portfolio.models])
            kinds = {probe.kind.partition(":")[0] for probe in probes}
            assert len(kinds) == 9
            for kind in kinds:
                held_out = [p.query for p in probes if p.kind.partition(":")[0] == kind and p.query not in asked]
                p = scorer.predict(in_force.router.encoder.encode(held_out), graded=True).p_correct.mean(axis=0)
                assert [name for _, name in sorted(zip(p.tolist(), names, strict=True))] == list(reversed(names)), kind
            question = {"model": "auto", "messages": [{"role": "user", "content": probes[-1].query}]}
            explained = (await run.http.post("/v1/route", json=question)).json()
            assert {each["model"] for each in explained["candidates"]} == set(names)


def test_a_judge_that_does_not_exist_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    config = write_portfolio(tmp_path, [unknown("new", "http://127.0.0.1:9/v1")])
    command = CliRunner().invoke(main, ["onboard", "new", "--judge", "other-7b", "--config", str(config)])
    assert command.exit_code == 2
    assert "there is no model 'other-7b'; there are new" in " ".join(command.output.replace("│", " ").split())
    assert not (tmp_path / "record.db").exists()
