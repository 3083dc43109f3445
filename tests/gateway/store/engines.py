"""Both kinds of databases, empty, for tests."""

from pathlib import Path

import pytest

from gateway.config.database_location import DatabaseLocation
from tests.gateway.postgres import Postgres

ENGINES = ("sqlite", "postgresql")


@pytest.fixture(params=ENGINES)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseLocation:
    """A new database of each engine."""
    if request.param == "sqlite":
        return DatabaseLocation(file=tmp_path / "store.db")
    server: Postgres = request.getfixturevalue("postgres")
    return DatabaseLocation.from_url(server.new_database())
