import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.replicas.presence import ALONE, INDEPENDENT, Member, Presence, ReplicaRefused, Row, this_machine
from gateway.store.database import Database
from gateway.store.tables import REPLICAS
from tests.gateway.replicas.processes import ended_process, stopped_process
from tests.gateway.running import eventually
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
BEAT_S = 0.05
SHARED = "valkey.example:6379/0"


@asynccontextmanager
async def presence(location: DatabaseLocation, replica: str, sharing: str = SHARED) -> AsyncIterator[Presence]:
    database = Database(location)
    try:
        async with Presence(database, Member(replica, sharing), time.monotonic, BEAT_S) as present:
            yield present
    finally:
        await database.close()


async def kill(present: Presence) -> None:
    """Stops its beats, as the end of its process would."""
    assert present._task is not None
    present._task.cancel()
    await asyncio.wait([present._task])


async def test_a_second_gateway_is_refused_unless_they_share_a_server_or_the_file_says_independent(
    location: DatabaseLocation, caplog: pytest.LogCaptureFixture
) -> None:
    async with presence(location, "a", ALONE):
        with pytest.raises(ReplicaRefused, match=r"would not tell each other .* Set gateway\.shared") as refused:
            async with presence(location, "b", ALONE):
                pass
        assert "word" not in str(refused.value)  # of the password
        async with presence(location, "c", INDEPENDENT) as independent:
            assert independent.replicas == 2
    # The limits of both are in the database. The first one, whose file does not say independent, tells of the rest at its next beat.
    assert all("would not tell each other" in record.message for record in caplog.records)
    caplog.clear()
    async with presence(location, "c", INDEPENDENT), presence(location, "d", INDEPENDENT), presence(location, "e"):
        await eventually(lambda: len(caplog.records) >= 2)
    assert {record.levelname for record in caplog.records} == {"ERROR"}
    assert all("each of the two admits the whole of every limit" in record.message for record in caplog.records)


async def test_gateways_with_one_shared_server_may_start_beside_each_other(location: DatabaseLocation) -> None:
    async with presence(location, "a") as first, presence(location, "b") as second:
        assert second.replicas == 2
        await eventually(lambda: first.replicas == 2)


async def test_workers_of_one_gateway_are_one_replica(location: DatabaseLocation) -> None:
    async with presence(location, "a", ALONE) as first, presence(location, "a", ALONE) as second:
        assert first.replicas == second.replicas == 1
        assert [first.leads, second.leads] == [True, False]


async def test_a_gateway_that_stops_makes_room_at_once(location: DatabaseLocation) -> None:
    async with presence(location, "a", ALONE):
        pass
    async with presence(location, "b", ALONE) as present:
        assert present.leads
        assert present.replicas == 1


async def test_the_row_of_a_killed_gateway_ends_by_time(location: DatabaseLocation) -> None:
    async with presence(location, "a", ALONE) as killed:
        await kill(killed)
        async with presence(location, "b", ALONE) as present:  # waits until the row is gone
            assert present.replicas == 1


async def test_a_killed_leader_is_replaced_and_does_not_lead_when_it_comes_back(location: DatabaseLocation) -> None:
    async with AsyncExitStack() as stack:
        members = [await stack.enter_async_context(presence(location, name)) for name in "abc"]
        await eventually(lambda: all(member.replicas == 3 for member in members))
        assert [member.leads for member in members] == [True, False, False]
        await kill(members[0])
        await eventually(lambda: members[1].leads)
        assert not members[2].leads
        await members[0]._look(join=False)  # it was only stopped for a while
        assert [member.leads for member in members] == [False, True, False]


async def test_gateways_that_do_not_share_are_reported_while_they_run(
    location: DatabaseLocation, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as during a rollout that sets `shared`: the new gateway must start before the old one stops."""
    with caplog.at_level(logging.ERROR, "locus.replicas"):
        async with presence(location, "old", ALONE), presence(location, "new"):
            await eventually(lambda: len(caplog.records) == 2)
            await asyncio.sleep(4 * BEAT_S)
    assert len(caplog.records) == 2


async def test_without_the_database_each_gateway_leads_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = DatabaseLocation.from_url("postgresql://locus:s3cret@127.0.0.1:9/none")
    async with presence(nowhere, "a", ALONE) as present:
        assert present.leads
        assert present.replicas == 1
        await asyncio.sleep(3 * BEAT_S)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "s3cret" not in caplog.text


async def add_row(location: DatabaseLocation, id: str, process: int, machine: str) -> None:
    """A worker of replica "a", whose row does not end by time during a test."""
    database = Database(location)
    async with database.begin() as connection:
        row = Row(id, "a", machine, process, ALONE, time.time(), time.time() + 3_600)
        await connection.execute(REPLICAS.insert().values(row._asdict()))
    await database.close()


async def test_of_killed_processes_those_of_this_machine_are_known_for_sure(
    location: DatabaseLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process may go on, and the process numbers of another machine say nothing here."""
    monkeypatch.setattr("gateway.replicas.presence.SETTLED_S", 0.0)
    ended = ended_process()
    with stopped_process() as stopped:
        async with presence(location, "a", ALONE) as present:
            assert present.killed == []
            await add_row(location, "ended", ended, this_machine())
            await add_row(location, "stopped", stopped, this_machine())
            await add_row(location, "elsewhere", ended, "another/boot/pid")
            await eventually(lambda: present.processes == 3)  # this one, and the two of which nothing is known
            assert present.killed == ["ended"]
