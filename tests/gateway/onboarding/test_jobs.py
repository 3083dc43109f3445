"""Jobs in the database: one at a time for each model, taken over from a process that is gone."""

import pytest
from sqlalchemy import update

from gateway.config.database_location import DatabaseLocation
from gateway.config.onboarding import OnboardEntry
from gateway.core.errors import Conflict, NotFound
from gateway.onboarding.jobs import Ending, JobStore, Progress
from gateway.replicas.owner import GONE_S
from gateway.store.database import Database
from gateway.store.onboarding_tables import ONBOARDING_JOBS
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio

OPTIONS = OnboardEntry(probes=32, usd=0.5)
BOTH = {"a": OPTIONS, "b": OPTIONS}


async def kill(database: Database) -> None:
    """Makes all jobs look as if their processes had been killed long ago."""
    async with database.begin() as connection:
        old = ONBOARDING_JOBS.c.beat - GONE_S - 1
        await connection.execute(update(ONBOARDING_JOBS).values(beat=old))


async def test_models_of_one_job_are_taken_together_and_once(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit(BOTH, "gateway")
    ((first, second),) = await jobs.take("one")
    assert (first.model, second.model, first.owner, first.options) == ("a", "b", None, OPTIONS)
    assert await jobs.take("two") == []
    with pytest.raises(Conflict, match="a is being onboarded already: running, 0 of 32 probes"):
        await jobs.submit({"a": OPTIONS}, "gateway")
    assert await jobs.beat("one", {"a": Progress(5, 5, 3.0, nusd=7)}) == set()
    found = await jobs.of("a")
    assert found is not None
    assert (found.state, found.progress.asked, found.progress.nusd) == ("running", 5, 7)
    await database.close()


async def test_a_job_whose_gateway_was_killed_goes_to_the_next_one(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit(BOTH, "gateway")
    await jobs.take("one")
    await kill(database)
    assert [[job.model for job in group] for group in await jobs.take("two")] == [["a", "b"]]
    assert await jobs.beat("one", {"a": Progress(), "b": Progress()}) == {"a", "b"}  # it must stop
    await jobs.end("one", "a", "done", "", Progress())
    found = await jobs.of("a")
    assert found is not None
    assert (found.state, found.owner) == ("running", "two")
    await database.close()


async def test_a_command_that_was_killed_keeps_no_model_from_being_onboarded(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit({"a": OPTIONS}, "command", owner="one")
    with pytest.raises(Conflict):
        await jobs.submit({"a": OPTIONS}, "command", owner="two")
    await kill(database)
    assert await jobs.take("gateway") == []  # a gateway does not spend what a command was to spend
    (job,) = await jobs.submit({"a": OPTIONS}, "command", owner="two")
    assert (job.owner, job.ask) == ("two", 1)
    await database.close()


async def test_what_an_interrupted_command_leaves_keeps_no_model_from_being_onboarded(
    location: DatabaseLocation,
) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit({"a": OPTIONS}, "command", owner="one")
    await jobs.end("one", "a", "waiting", "stopped", Progress(3))
    assert await jobs.take("gateway") == []  # a gateway does not spend what a command was to spend
    (job,) = await jobs.submit({"a": OPTIONS}, "gateway")
    assert (job.state, job.runner) == ("waiting", "gateway")
    await database.close()


async def test_a_command_without_a_gateway_takes_what_waits_for_one(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit({"a": OPTIONS}, "gateway")
    with pytest.raises(Conflict):
        await jobs.submit({"a": OPTIONS}, "gateway")
    (job,) = await jobs.submit({"a": OPTIONS}, "command", owner="one")
    assert job.state == "running"
    assert await jobs.take("gateway") == []
    await database.close()


async def test_a_new_round_begins_only_after_the_last_one_is_done(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    asks = []
    endings: list[Ending] = ["failed", "stopped", "done", "done", "failed"]
    for ending in endings:
        (job,) = await jobs.submit({"a": OPTIONS}, "command", again=True, owner="one")
        asks.append(job.ask)
        await jobs.end("one", "a", ending, "", Progress())
    assert asks == [1, 1, 1, 2, 3]
    (job,) = await jobs.submit({"a": OPTIONS}, "command", owner="one")
    assert job.ask == 3
    await database.close()


async def test_a_job_stops_when_it_is_asked_to(location: DatabaseLocation) -> None:
    database = Database(location)
    jobs = JobStore(database)
    await jobs.submit(BOTH, "gateway")
    assert (await jobs.stop("a")).state == "stopped"
    with pytest.raises(NotFound, match="a is not being onboarded"):
        await jobs.stop("a")
    await jobs.take("one")
    assert (await jobs.stop("b")).state == "stopping"
    assert await jobs.beat("one", {"b": Progress()}) == {"b"}
    await jobs.end("one", "b", "stopped", "stopped", Progress(3))
    found = await jobs.of("b")
    assert found is not None
    assert (found.state, found.active, found.progress.asked) == ("stopped", False, 3)
    await jobs.submit({"b": OPTIONS}, "gateway")
    await jobs.take("one")
    await jobs.stop("b")
    await kill(database)
    assert await jobs.take("two") == []
    assert [job.state for job in await jobs.all()] == ["stopped", "stopped"]
    await database.close()
