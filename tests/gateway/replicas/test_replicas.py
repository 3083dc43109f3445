"""Two gateways with real sockets over one PostgreSQL database and one Valkey server."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.http.app import create_app
from gateway.http.service import open_service
from gateway.replicas.presence import ReplicaRefused
from tests.gateway.postgres import Postgres
from tests.gateway.running import Gateway, entry, eventually, serving, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer
from tests.gateway.valkey import ValkeyServer, valkey_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server
