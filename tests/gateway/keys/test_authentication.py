"""Which key is which: the keys of the file, their expiry, and a reload."""

from datetime import UTC, datetime

import pytest

from gateway.config.access import Access, AccessKey, Team
from gateway.config.access_reader import plain_key
from gateway.config.secret import Secret
from gateway.core.errors import AuthenticationFailed, KeyExpired
from gateway.core.identity import KeyIdentity
from gateway.core.key_digest import owner_of
from gateway.keys.authentication import Authentication
from gateway.keys.key_format import new_id, new_key

pytestmark = pytest.mark.anyio
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def named(name: str, secret: str, team: str | None = None, expires: datetime | None = None) -> AccessKey:
    return AccessKey(KeyIdentity(f"file:{name}", name, team), expires=expires, secret=Secret(secret))


async def refused(keys: Authentication, given: bytes) -> AuthenticationFailed:
    with pytest.raises(AuthenticationFailed) as failed:
        await keys.grant(given)
    assert given.decode() not in failed.value.message
    return failed.value


async def test_each_key_is_found_and_no_other() -> None:
    access = Access(
        (plain_key(Secret("sk-one"), 0, "os.environ/ONE"), named("ci", "sk-two", "build")), (Team("build"),)
    )
    keys = Authentication(lambda: access)
    assert (await keys.grant(b"sk-one")).identity == KeyIdentity(owner_of(b"sk-one"), "ONE")
    assert (await keys.grant(b"sk-two")).identity == KeyIdentity("file:ci", "ci", "build")
    assert (await refused(keys, b"sk-three")).message == "The key is not one of this gateway's keys."


async def test_a_typo_in_a_key_is_named_and_an_unknown_id_is_not() -> None:
    keys = Authentication(Access)
    key = new_key(new_id())
    assert "checksum" in (await refused(keys, key[:-1].encode())).message
    assert (await refused(keys, key.encode())).message == "The key is not one of this gateway's keys."


@pytest.mark.parametrize(("of_key", "of_team"), [(NEW_YEAR, None), (None, NEW_YEAR), (NEW_YEAR, NEW_YEAR)])
async def test_a_key_ends_with_its_date_or_that_of_its_team(of_key: datetime | None, of_team: datetime | None) -> None:
    access = Access((named("ci", "sk-two", "build", of_key),), (Team("build", expires=of_team),))
    now = NEW_YEAR.timestamp() - 1
    keys = Authentication(lambda: access, now=lambda: now)
    await keys.grant(b"sk-two")
    now += 1
    error = await refused(keys, b"sk-two")
    assert (type(error), error.code, error.reason) == (KeyExpired, "key_expired", "expired")
    assert error.message.startswith("The key expired at 2027-01-01 00:00 UTC")
    now -= 1  # the clock was set back
    await keys.grant(b"sk-two")


async def test_a_reload_changes_the_keys() -> None:
    access = Access((named("ci", "sk-old"),))
    keys = Authentication(lambda: access)
    owner = (await keys.grant(b"sk-old")).identity.id
    access = Access((named("ci", "sk-new"),))
    assert (await keys.grant(b"sk-new")).identity.id == owner  # so a rotation keeps conversations and stored responses
    await refused(keys, b"sk-old")
