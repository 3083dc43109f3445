import numpy as np
from sqlalchemy import insert

from gateway.config.database_location import DatabaseLocation
from gateway.record.predictions import pack_query
from gateway.record.reading import LOOKED, recent_queries
from gateway.store import schema
from gateway.store.engines import sync_engine
from gateway.store.tables import REQUESTS
from tests.gateway.store.engines import location

__all__ = ["location"]  # a fixture
NOW = 1_800_000_000.0


def test_the_newest_queries_are_read_and_others_only_near_them(location: DatabaseLocation) -> None:
    schema.upgrade(location)
    engine = sync_engine(location)

    def add(*values: float | None, checkpoint: str = "c") -> None:
        """Requests, a second apart, with these values in their encodings; None: without one."""
        rows = []
        for i, value in enumerate(values):
            encoding, surface = (None, None) if value is None else pack_query(np.full((1, 4), value, np.float32), 2)
            rows.append(
                {"request_id": "r", "time": NOW + i, "checkpoint": checkpoint, "encoding": encoding, "surface": surface}
            )
        connection.execute(insert(REQUESTS), rows)

    with engine.begin() as connection:
        assert recent_queries(connection, NOW, "c", 2) == []
        add(1.0, 2.0, None, 3.0)
        add(9.0, checkpoint="another")
        assert [q[0] for q in recent_queries(connection, NOW, "c", 2)] == [3.0, 2.0]
        assert [q[0] for q in recent_queries(connection, NOW + 2, "c", 2)] == [3.0]
        add(*[None] * (2 * LOOKED - 3))
        assert [q[0] for q in recent_queries(connection, NOW, "c", 2)] == [3.0]
        add(None, None)
        assert recent_queries(connection, NOW, "c", 2) == []
    engine.dispose()
