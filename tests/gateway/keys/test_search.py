import pytest
from sqlalchemy import insert

from gateway.config.access import Access, BudgetEntry, NewKey, TeamEntry
from gateway.config.database_location import DatabaseLocation
from gateway.keys.search import budgeted_keys, find_keys, keys_of_teams
from gateway.keys.store import KeyStore
from gateway.store.database import Database
from gateway.store.tables import KEY_USE
from gateway.store.transactions import writing
from tests.gateway.live import Time
from tests.gateway.store.engines import location

__all__ = ["location"]  # a fixture
pytestmark = pytest.mark.anyio


async def test_keys_are_found_by_a_part_of_name_id_or_team(location: DatabaseLocation) -> None:
    database, now = Database(location), Time()
    store = KeyStore(database, None, Access, now)
    await store.create_team(TeamEntry(name="Build"))
    made = {}
    for name, team in (("ci", "Build"), ("100%", None), ("Nightly build", None), ("old", "Build")):
        made[name], _ = await store.create(NewKey(name=name, team=team))
        now.now += 1
    await store.revoke("old")

    async def names(text: str, **more: object) -> tuple[list[str], int]:
        keys, count = await find_keys(database, text, **{"most": 9} | more)  # type: ignore[arg-type]
        return [key.name for key in keys], count

    assert await names("") == (["ci", "100%", "Nightly build"], 3)
    assert await names("bUIL") == (["ci", "Nightly build"], 2)
    assert await names("%") == (["100%"], 1)
    assert await names(made["ci"].id[3:]) == (["ci"], 1)
    assert await names("", team="Build", revoked=True) == (["ci", "old"], 2)
    assert await names("", most=1) == (["ci"], 3)
    assert await keys_of_teams(database) == {"Build": 1}
    await database.close()


async def test_keys_with_budgets_are_read_by_their_last_use(location: DatabaseLocation) -> None:
    database, now = Database(location), Time()
    store = KeyStore(database, None, Access, now)
    budget, ids = [BudgetEntry(usd=1, per="day")], {}
    for name, some in (("never", budget), ("early", budget), ("late", budget), ("gone", budget), ("budget", [])):
        key, _ = await store.create(NewKey(name=name, budget=some))
        ids[name] = key.id
    async with writing(database, "keys") as connection:
        used = {"early": 1.0, "late": 2.0, "gone": 3.0, "budget": 4.0}
        rows = [{"key_id": ids[name], "last_used": at} for name, at in used.items()]
        await connection.execute(insert(KEY_USE), rows)
    await store.revoke("gone")
    assert [key.name for key in await budgeted_keys(database, 9)] == ["late", "early", "never"]
    assert [key.name for key in await budgeted_keys(database, 1)] == ["late"]
    await database.close()
