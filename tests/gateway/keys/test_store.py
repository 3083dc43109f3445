"""Keys and teams of the store, in SQLite and PostgreSQL."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from gateway.config.access import Access, AccessEntry, Budget, NewKey, Team, TeamEntry
from gateway.config.access_reader import plain_key
from gateway.config.database_location import DatabaseLocation
from gateway.config.secret import Secret
from gateway.core.errors import AuthenticationFailed, Conflict, KeyExpired, KeyRevoked, NotFound, StoreUnavailable
from gateway.keys.authentication import Authentication
from gateway.keys.key_format import new_id, new_key, parse_key
from gateway.keys.lookups import BURST
from gateway.keys.store import KeyStore
from gateway.keys.stored_keys import TTL_S
from gateway.store.database import Database
from gateway.store.tables import KEYS, SECRETS
from tests.gateway.live import Time
from tests.gateway.store.engines import location

__all__ = ["location"]
pytestmark = pytest.mark.anyio
UNKNOWN = "The key is not one of this gateway's keys."
FILE = Access((plain_key(Secret("sk-plain"), 0, "os.environ/PLAIN"),), (Team("of-file"),))


@asynccontextmanager
async def store(
    location: DatabaseLocation, pepper: str | None = None, now: Time | None = None
) -> AsyncIterator[KeyStore]:
    database = Database(location)
    yield KeyStore(database, None if pepper is None else Secret(pepper), lambda: FILE, now or Time())
    await database.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> DatabaseLocation:
    return DatabaseLocation(tmp_path / "keys.db")


def new(name: str = "ci", team: str | None = None, **fields: object) -> NewKey:
    return NewKey.model_validate({"name": name, "team": team} | fields)


async def refused(keys: Authentication, key: Secret) -> str:
    with pytest.raises(AuthenticationFailed) as failed:
        await keys.grant(key.to_bytes())
    return failed.value.message


async def test_a_key_is_made_found_changed_and_listed(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        await keys.create_team(TeamEntry.model_validate({"name": "build", "budget": [{"usd": 300, "per": "month"}]}))
        made, secret = await keys.create(new(team="build", models=["m"], rpm=60, expires="2030-01-01", tags=["x"]))
        assert made.access == AccessEntry.model_validate(
            {"models": ["m"], "rpm": 60, "expires": "2030-01-01", "tags": ["x"]}
        )
        parsed = parse_key(secret.to_bytes())
        assert parsed is not None
        assert parsed.id == made.id
        found, team = await keys.find(made.id)
        assert found == made
        assert team is not None
        assert team.in_force.limits.budgets == (Budget(300 * 10**9, "month"),)
        changed = await keys.change("ci", new("ci2", "of-file", rpm=1))
        assert (changed.id, changed.name, changed.team, changed.access) == (
            made.id,
            "ci2",
            "of-file",
            AccessEntry(rpm=1),
        )
        assert await keys.keys() == [changed]
        assert await keys.key(made.id) == await keys.key("ci2") == changed


async def test_the_database_holds_no_key(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        made, secret = await keys.create(new())
        parsed = parse_key(secret.to_bytes())
        assert parsed is not None
        async with keys._database.read() as connection:
            row = (await connection.execute(select(KEYS))).mappings().one()
        assert parsed.secret not in b"".join(str(value).encode() for value in row.values())
        assert len(row["digest"]) == 32
        assert made.matches(await keys.digest(parsed.secret))


async def test_names_are_used_once(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        made, _ = await keys.create(new())
        other, _ = await keys.create(new("other"))
        for name, message in (
            ("ci", "A key named `ci` exists"),
            ("PLAIN", "The portfolio file has a key named `PLAIN`"),
        ):
            with pytest.raises(Conflict, match=message):
                await keys.create(new(name))
            with pytest.raises(Conflict, match=message):
                await keys.change("other", new(name))
        await keys.create_team(TeamEntry(name="build"))
        for name in ("build", "of-file"):
            with pytest.raises(Conflict, match=f"team named `{name}`"):
                await keys.create_team(TeamEntry(name=name))
        await keys.revoke("ci")
        again, _ = await keys.create(new())  # the name is free again
        assert [key.id for key in await keys.keys()] == [other.id, again.id] or made.created == again.created
        assert {key.id for key in await keys.keys(revoked=True)} == {made.id, other.id, again.id}


async def test_what_is_not_there(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        made, _ = await keys.create(new())
        await keys.revoke("ci")
        with pytest.raises(NotFound, match="no team `none`"):
            await keys.create(new(team="none"))
        for call in (keys.key("none"), keys.revoke("none"), keys.rotate("none", 1), keys.change("none", new())):
            with pytest.raises(NotFound, match="no key `none`"):
                await call
        for call in (keys.revoke(made.id), keys.rotate(made.id, 1), keys.change(made.id, new())):
            with pytest.raises(NotFound, match="is revoked"):
                await call
        for team in (keys.team("none"), keys.change_team("none", AccessEntry()), keys.delete_team("none")):
            with pytest.raises(NotFound, match="no team `none`"):
                await team


async def test_a_key_of_the_store_gets_its_grant(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        await keys.create_team(TeamEntry.model_validate({"name": "build", "models": ["m"], "tags": ["t"], "tpm": 9}))
        made, secret = await keys.create(new(team="build", tags=["k"], rpm=6))
        grant = await Authentication(lambda: FILE, keys).grant(secret.to_bytes())
        assert (grant.identity.id, grant.identity.name, grant.identity.team) == (made.id, "ci", "build")
        assert grant.identity.tags == ("k", "t")
        assert grant.allowed.models == {"m"}
        assert [(scope, limits.rpm, limits.tpm) for scope, limits in grant.scopes] == [
            (("key", made.id), 6, None),
            (("team", "build"), None, 9),
        ]


async def test_rotation_keeps_the_id_and_accepts_the_old_secret_for_a_while(sqlite: DatabaseLocation) -> None:
    clock, now = Time(), Time()
    async with store(sqlite, now=now) as keys:
        authentication = Authentication(lambda: FILE, keys, clock, now)
        made, first = await keys.create(new())
        _, second = await keys.rotate("ci", 100)
        for secret in (first, second):
            assert (await authentication.grant(secret.to_bytes())).identity.id == made.id
        now.now += 99
        assert (await authentication.grant(first.to_bytes())).identity.id == made.id
        now.now += 1
        assert "replaced by a new one" in await refused(authentication, first)
        await authentication.grant(second.to_bytes())
        _, third = await keys.rotate("ci", 0)
        authentication.forget()
        assert "replaced by a new one" in await refused(authentication, second)
        assert await refused(authentication, first) == UNKNOWN
        await authentication.grant(third.to_bytes())


async def test_a_revocation_is_seen_within_the_time_to_live(sqlite: DatabaseLocation) -> None:
    clock = Time()
    async with store(sqlite) as keys:
        one, other = (Authentication(lambda: FILE, keys, clock) for _ in range(2))
        _, secret = await keys.create(new())
        for worker in (one, other):
            await worker.grant(secret.to_bytes())
        await keys.revoke("ci")
        one.forget()  # the worker that revoked it
        assert "was revoked" in await refused(one, secret)
        await other.grant(secret.to_bytes())
        clock.now += TTL_S
        assert "was revoked" in await refused(other, secret)


async def test_an_unknown_id_and_a_wrong_secret_get_the_same_answer(sqlite: DatabaseLocation) -> None:
    clock = Time()
    async with store(sqlite) as keys:
        authentication = Authentication(lambda: FILE, keys, clock)
        made, _ = await keys.create(new())
        assert await refused(authentication, Secret(new_key(made.id))) == UNKNOWN
        unknown = new_id()
        assert await refused(authentication, Secret(new_key(unknown))) == UNKNOWN
        assert unknown in authentication._stored._entries  # type: ignore[union-attr] # kept, so that it costs one look-up
        await keys.revoke("ci")
        authentication.forget()
        assert (
            await refused(authentication, Secret(new_key(made.id))) == UNKNOWN
        )  # only its holder learns of a revocation


async def test_a_key_without_its_team_is_refused_until_the_team_is_back(sqlite: DatabaseLocation) -> None:
    async with store(sqlite) as keys:
        access = FILE
        authentication = Authentication(lambda: access, keys)
        await keys.create_team(TeamEntry(name="build"))
        _, of_store = await keys.create(new("a", "build"))
        _, of_file = await keys.create(new("b", "of-file"))
        await keys.delete_team("build")
        assert "team of the key was deleted" in await refused(authentication, of_store)
        await authentication.grant(of_file.to_bytes())
        access = Access()  # a reload without the team
        with pytest.raises(KeyRevoked, match="team of the key was deleted"):
            await authentication.grant(of_file.to_bytes())
        await keys.create_team(TeamEntry(name="build"))
        authentication.forget()
        await authentication.grant(of_store.to_bytes())


async def test_an_expired_key_of_the_store(sqlite: DatabaseLocation) -> None:
    now = Time()
    async with store(sqlite) as keys:
        authentication = Authentication(lambda: FILE, keys, now=now)
        _, secret = await keys.create(new(expires="1970-01-01T01:00:00Z"))
        await authentication.grant(secret.to_bytes())
        now.now = 3600
        with pytest.raises(KeyExpired):
            await authentication.grant(secret.to_bytes())


async def test_without_the_database_known_keys_go_on_and_others_get_503(
    sqlite: DatabaseLocation, tmp_path: Path
) -> None:
    clock = Time()
    async with store(sqlite) as keys:
        authentication = Authentication(lambda: FILE, keys, clock)
        _, known = await keys.create(new())
        _, other = await keys.create(new("other"))
        await authentication.grant(known.to_bytes())
        keys._database.location = DatabaseLocation(tmp_path / "none" / "file")
        (tmp_path / "none").write_text("no folder")
        clock.now += TTL_S
        await authentication.grant(known.to_bytes())
        with pytest.raises(StoreUnavailable):
            await authentication.grant(other.to_bytes())
        with pytest.raises(StoreUnavailable):
            await keys.keys()
        await authentication.grant(b"sk-plain")


async def test_the_pepper_is_kept_in_the_database_if_the_file_has_none(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        _, secret = await keys.create(new())
        async with keys._database.read() as connection:
            kept = dict((await connection.execute(select(SECRETS.c.name, SECRETS.c.value))).all())
        assert len(kept["key_pepper"]) == 32
    async with store(location) as other:
        await Authentication(lambda: FILE, other).grant(secret.to_bytes())


async def test_another_pepper_makes_keys_invalid_and_says_so(
    sqlite: DatabaseLocation, caplog: pytest.LogCaptureFixture
) -> None:
    async with store(sqlite, "one") as keys:
        _, secret = await keys.create(new())
        await Authentication(lambda: FILE, keys).grant(secret.to_bytes())
        async with keys._database.read() as connection:
            assert (await connection.execute(select(SECRETS.c.name))).scalars().all() == ["key_pepper_check"]
    assert not caplog.records
    async with store(sqlite, "two") as keys:
        with caplog.at_level(logging.WARNING):
            assert await refused(Authentication(lambda: FILE, keys), secret) == UNKNOWN
    assert "`key_pepper` is not the one" in caplog.text


async def test_a_row_of_a_newer_version_is_read(sqlite: DatabaseLocation) -> None:
    async with store(sqlite) as keys:
        made, _ = await keys.create(new(rpm=5))
        async with keys._database.begin() as connection:
            await connection.execute(KEYS.update().values(access={"rpm": 5, "of_the_future": True}))
        assert (await keys.key("ci")).access == made.access


async def test_a_name_that_the_file_takes_later_is_told_once(
    sqlite: DatabaseLocation, caplog: pytest.LogCaptureFixture
) -> None:
    async with store(sqlite) as keys:
        access = FILE
        authentication = Authentication(lambda: access, keys)
        made, secret = await keys.create(new("bob"))
        await authentication.grant(secret.to_bytes())
        access = Access((plain_key(Secret("sk-x"), 0, "os.environ/bob"),))
        for _ in range(2):
            assert (await authentication.grant(secret.to_bytes())).identity.id == made.id
            authentication.forget()
    assert [record.getMessage() for record in caplog.records] == [
        f"two keys have the name bob: one of the portfolio file, and {made.id} of the store"
    ]


async def test_a_new_key_in_many_requests_at_once_is_no_guess(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        made, secret = await keys.create(new())
        access = Authentication(Access, keys)
        grants = await asyncio.gather(*(access.grant(secret.to_bytes(), "192.0.2.1") for _ in range(2 * BURST)))
        assert {grant.identity.id for grant in grants} == {made.id}


async def test_many_new_keys_at_once_from_the_address_of_a_proxy_are_no_guesses(location: DatabaseLocation) -> None:
    async with store(location) as keys:
        made = [await keys.create(new(f"key-{number}")) for number in range(2 * BURST)]
        access = Authentication(Access, keys)
        grants = await asyncio.gather(*(access.grant(secret.to_bytes(), "192.0.2.1") for _, secret in made))
        assert [grant.identity.id for grant in grants] == [key.id for key, _ in made]


async def test_while_the_database_is_away_new_keys_are_not_called_unknown(tmp_path: Path) -> None:
    async with store(DatabaseLocation(tmp_path)) as keys:  # a folder is no database
        access = Authentication(Access, keys)
        for _ in range(2 * BURST):
            with pytest.raises(StoreUnavailable):
                await access.grant(new_key(new_id()).encode(), "192.0.2.1")
