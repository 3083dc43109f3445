from sqlalchemy import insert

from gateway.config.database_location import DatabaseLocation
from gateway.record.key_sums import DaySums, days_of_key, spent_on_days, spent_since
from gateway.store import schema
from gateway.store.engines import sync_engine
from gateway.store.usage_tables import USAGE_DAILY, USAGE_HOURLY
from tests.gateway.store.engines import location

__all__ = ["location"]  # a fixture
NOON = 1_800_014_400  # 2027-01-15, 12:00 UTC


def test_what_keys_and_teams_have_used(location: DatabaseLocation) -> None:
    schema.upgrade(location)
    rows = [
        (0, "a", "build", "m1", 5, 1),
        (0, "a", "build", "m2", 7, 0),
        (3_600, "b", "build", "m1", 11, 0),
        (86_400, "a", "", "m1", 13, 2),
        (-86_400, "a", "build", "m1", 100, 0),
    ]
    values = [
        {"hour": NOON + after, "key_id": key, "team": team, "model": model, "policy": "", "nusd": nusd}
        | {"requests": 1, "errors": 0, "unpriced_calls": unpriced}
        for after, key, team, model, nusd, unpriced in rows
    ]
    engine = sync_engine(location)
    with engine.begin() as connection:
        connection.execute(insert(USAGE_HOURLY), values)
        assert days_of_key(connection, "a", NOON) == [
            DaySums("2027-01-15", 12, 2, 0, 1),
            DaySums("2027-01-16", 13, 1, 0, 2),
        ]
        assert spent_since(connection, "key", ["a", "b", "c"], NOON + 1_800) == {"a": 25, "b": 11}
        assert spent_since(connection, "team", ["build"], NOON + 3_600) == {"build": 11}
        of_days = [
            {"day": NOON // 86_400 * 86_400, **{k: v for k, v in one.items() if k != "hour"}} for one in values[:3]
        ]
        connection.execute(insert(USAGE_DAILY), of_days)
        assert spent_on_days(connection, "key", ["a", "c"], NOON // 86_400 * 86_400) == {"a": 12}
        assert spent_on_days(connection, "key", ["a"], NOON // 86_400 * 86_400 + 86_400) == {}
    engine.dispose()
