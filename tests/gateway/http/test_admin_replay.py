"""`/admin/replay`: jobs in a process of their own, over the record of a running gateway."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from click.testing import CliRunner
from sqlalchemy import update

from gateway.commands.main import main
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import Conflict, InvalidRequest
from gateway.replay.alternatives import Alternative
from gateway.replay.jobs import KEPT, ReplayJobs
from gateway.replay.order import Order
from gateway.replicas.owner import GONE_S, process_name
from gateway.store.database import Database
from gateway.store.replay_tables import REPLAY_JOBS
from tests.gateway.replay.logs import Logged, fill
from tests.gateway.running import Gateway, running
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
PERIOD = {"since": "2027-01-01", "until": "2027-12-31"}


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    return fill(tmp_path, DatabaseLocation(file=tmp_path / "store.db"), 60, conversation={3: "kept"})


def by_command(logged: Logged, *options: object, command: Sequence[str] = ("replay",), until: bool = True) -> Any:
    end = ["--until", PERIOD["until"]] if until else []
    arguments = [*command, "--config", logged.path, "--since", PERIOD["since"], *end, *options]
    result = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.output
    return orjson.loads(result.output)


async def found(run: Gateway, body: dict[str, Any]) -> Any:
    """What a replay found, once it has ended."""
    started = await run.http.post("/admin/replay", json=PERIOD | body, timeout=120)
    assert started.status_code == 202, started.text
    return await ended(run, started.json()["id"])


async def ended(run: Gateway, id: str) -> Any:
    for _ in range(1_200):
        job = (await run.http.get(f"/admin/replay/{id}")).json()
        if job["state"] != "running":
            return job
        await asyncio.sleep(0.1)
    raise AssertionError("the replay does not end")


async def test_a_job_gives_the_figures_of_the_command(logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = logged.path.parent / "elsewhere"
    folder.mkdir()
    (folder / "pickle.py").write_text("raise SystemExit('a file of the working folder')")
    monkeypatch.chdir(folder)
    async with running(load_portfolio(logged.path, {})) as run:
        other = yaml.safe_load(logged.path.read_text())
        del other["models"][1]
        text = yaml.safe_dump(other)
        curve = await found(run, {"cost_weights": [0, 30, 1000]})
        without = await found(run, {"portfolio": text, "policy": "careful"})
        newest = await found(run, {"rows": 10})
        listed = (await run.http.get("/admin/replay")).json()["data"]
    weights = [str(part) for weight in (0, 30, 1000) for part in ("--cost-weight", weight)]
    plain = by_command(logged, *weights)
    assert [point["cost_weight"] for point in plain] == [0, 30, 1000]
    assert without_period(curve["result"]["data"]) == without_period(plain)
    assert plain[0]["usd"]["other"]["value"] > plain[2]["usd"]["other"]["value"]
    (logged.path.parent / "other.yaml").write_text(text)
    (alone,) = without["result"]["data"]
    command = by_command(logged, "--policy", "careful", "--portfolio", logged.path.parent / "other.yaml")
    assert without_period([alone]) == without_period([{"policy": "careful", "cost_weight": None} | command])
    assert (curve["result"]["newest_only"], newest["result"]["newest_only"]) == (False, True)
    assert newest["result"]["data"][0]["requests"] == 10
    assert [job["id"] for job in listed] == [newest["id"], without["id"], curve["id"]]
    assert "result" not in listed[0]
    assert (without["options"]["portfolio"], text in str(without["options"])) == (True, False)


async def test_models_removed_advice_and_savings_are_those_of_the_commands(logged: Logged) -> None:
    async with running(load_portfolio(logged.path, {})) as run:
        removed = await found(run, {"without": ["llama-70b"], "policy": "best"})
        advice = await found(run, {"kind": "advice"})
        saved = await found(run, {"kind": "savings"})
    (report,) = removed["result"]["data"]
    assert {one["model"]: one["other"] for one in report["models"]}["llama-70b"] == 0
    command = by_command(logged, "--policy", "best", "--without", "llama-70b")
    assert without_period([report]) == without_period([{"policy": "best", "cost_weight": None} | command])
    of_command = by_command(logged, command=["portfolio", "advise"], until=False)
    assert advice["result"] == {"newest_only": False, "advice": of_command}
    assert (of_command["enough"], of_command["of"]) == (False, 59)
    plain = by_command(logged, command=["savings"], until=False)
    mine = saved["result"]["savings"]
    assert [one["model"] for one in mine["beside"]] == [one["model"] for one in plain["beside"]] == ["llama-70b"]
    reports = ([one["replay"] for one in of["beside"]] for of in (mine, plain))
    assert without_period(next(reports)) == without_period(next(reports))
    assert (saved["options"]["kind"], removed["options"]["without"]) == ("savings", ["llama-70b"])


def without_period(reports: list[Any]) -> list[Any]:
    """The command reads dates by the machine's clock, the API by UTC."""
    return [{name: value for name, value in report.items() if name not in ("from", "to")} for report in reports]


async def test_wrong_orders_are_refused_and_leave_nothing(logged: Logged) -> None:
    portfolio = yaml.safe_load(logged.path.read_text())
    async with running(load_portfolio(logged.path, {})) as run:
        for body, param, words in (
            ({"since": "soon"}, "since", "2026-11-01"),
            ({"since": "2020-01-01"}, "since", "400 days"),
            ({"rows": 10**6}, "rows", "500000"),
            ({"rows": 500_000, "cost_weights": list(range(32))}, "rows", "4,000,000"),
            ({"policy": "best", "cost_weights": [1]}, "cost_weights", "not both"),
            ({"policy": "none"}, "policy", "there are best, careful"),
            ({"without": ["none"]}, "without", "there is no model 'none'"),
            ({"without": ["llama-8b", "llama-70b", "mistral-7b"]}, "without", "cannot answer"),
            ({"kind": "advice", "without": ["llama-8b"]}, "without", "portfolio in force"),
            ({"portfolio": "models: [{name: a}]"}, "portfolio", "line 1: models[0]"),
            (
                {"portfolio": yaml.safe_dump(portfolio | {"checkpoint": "other", "trust_checkpoint": True})},
                "portfolio",
                "that in force",
            ),
        ):
            error = (await run.http.post("/admin/replay", json=PERIOD | body, timeout=120)).json()["error"]
            assert error["param"] == param, error
            assert words in error["message"]
        assert (await run.http.get("/admin/replay")).json()["data"] == []
        missing = await run.http.get("/admin/replay/none")
    assert missing.status_code == 404


async def test_a_process_that_fails_or_finds_another_checkpoint_says_so(logged: Logged) -> None:
    async with running(load_portfolio(logged.path, {})) as run:
        in_force, runner = run.service.in_force, run.service.replays
        assert runner is not None
        missing = DatabaseLocation(file=logged.path.parent / "missing.db")
        checkpoint, of = in_force.file_router.checkpoint, (Alternative(),)
        order = Order(in_force.file, in_force.in_use, checkpoint, missing, of, None, 0.0, 1.0, 10)
        job = await ended(run, (await runner.start(order, {})).id)
        with pytest.raises(InvalidRequest, match="reload the portfolio first"):
            await runner.start(replace(order, checkpoint="0" * 64), {})
        assert [one["id"] for one in (await run.http.get("/admin/replay")).json()["data"]] == [job["id"]]
    assert (job["state"], job["reason"]) == ("failed", "its process failed: OperationalError; see the log")


async def test_a_gateway_that_stops_leaves_its_replay_as_interrupted(logged: Logged) -> None:
    portfolio = load_portfolio(logged.path, {})
    async with running(portfolio) as run:
        started = await run.http.post("/admin/replay", json=PERIOD, timeout=120)
        assert run.service.replays is not None
    async with running(portfolio) as run:
        job = (await run.http.get(f"/admin/replay/{started.json()['id']}")).json()
        assert job["state"] in ("interrupted", "done")  # on a fast machine it may have ended
        assert (await found(run, {}))["state"] == "done"


async def test_one_runs_at_a_time_and_a_lost_one_is_interrupted(location: DatabaseLocation) -> None:
    database = Database(location)
    mine, others = ReplayJobs(database, process_name()), ReplayJobs(database, "elsewhere/0 7 aa")
    lost = await others.begin({})
    refused = await run_refused(mine)
    assert lost.id in refused
    async with database.begin() as connection:
        await connection.execute(update(REPLAY_JOBS).values(beat=REPLAY_JOBS.c.beat - GONE_S - 1))
    (seen,) = await mine.all()
    assert (seen.state, seen.reason) == ("interrupted", "the gateway that ran it is gone")
    job = await mine.begin({})
    stored = await mine.of(lost.id)
    assert stored is not None
    assert stored[0] == seen  # it ended at its last beat, whether or not its row says so already
    assert not await others.beat(lost.id)
    await others.end(lost.id, "done", "", "{}")  # too late
    assert [one.state for one in await mine.all()] == ["running", "interrupted"]
    await mine.end(job.id, "done", "", '{"data": []}')
    done = await mine.of(job.id)
    assert done is not None
    assert (done[0].state, done[1]) == ("done", '{"data": []}')
    for _ in range(KEPT):
        await mine.end((await mine.begin({})).id, "done", "")
    assert len(await mine.all()) == KEPT
    assert await mine.of(job.id) is None
    await database.close()


async def run_refused(jobs: ReplayJobs) -> str:
    with pytest.raises(Conflict) as refused:
        await jobs.begin({})
    return refused.value.message
