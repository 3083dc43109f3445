from sqlalchemy import insert

from gateway.config.database_location import DatabaseLocation
from gateway.console.model_traffic import requests_by_model
from gateway.store import schema
from gateway.store.engines import sync_engine
from gateway.store.usage_tables import USAGE_DAILY, USAGE_HOURLY
from tests.gateway.store.engines import location

__all__ = ["location"]  # a fixture
HOUR_S, DAY_S = 3_600, 86_400
MIDNIGHT = 1_800_057_600  # 2027-01-16


def test_requests_of_clients_are_summed_by_the_model_that_answered(location: DatabaseLocation) -> None:
    schema.upgrade(location)
    hours = [
        (MIDNIGHT - 2 * HOUR_S, "a", "m1", 1_000),
        (MIDNIGHT - HOUR_S, "a", "m1", 5),
        (MIDNIGHT - HOUR_S, "system:drift", "m1", 100),
        (MIDNIGHT + HOUR_S, "b", "m1", 7),
        (MIDNIGHT + HOUR_S, "b", "m2", 1),
        (MIDNIGHT + HOUR_S, "", "", 50),
        (MIDNIGHT + DAY_S, "b", "m3", 0),
    ]
    days: dict[tuple[int, str, str], int] = {}
    for hour, key, model, requests in hours:
        of = (hour // DAY_S * DAY_S, key, model)
        days[of] = days.get(of, 0) + requests
    engine = sync_engine(location)
    with engine.begin() as connection:
        for table, column, rows in (
            (USAGE_HOURLY, "hour", hours),
            (USAGE_DAILY, "day", [(*of, requests) for of, requests in days.items()]),
        ):
            connection.execute(
                insert(table),
                [
                    {column: at, "key_id": key, "team": "", "model": model, "policy": "", "requests": requests}
                    for at, key, model, requests in rows
                ],
            )
        assert requests_by_model(connection, MIDNIGHT - HOUR_S / 2) == {"m1": 12, "m2": 1}
        assert requests_by_model(connection, MIDNIGHT) == {"m1": 7, "m2": 1}
        assert requests_by_model(connection, MIDNIGHT + HOUR_S + 1) == {"m1": 7, "m2": 1}
    engine.dispose()
