"""One gateway for all client tests, in a thread with its own event loop, so that blocking clients can be tested too."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import pytest
from anyio.from_thread import BlockingPortal

from tests.clients.serving import ServedGateway, serving

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # LiteLLM's SDK fetches its prices otherwise
APART = Path(f"{sys.prefix}-apart/bin")  # as the Makefile has it


@pytest.fixture(scope="session")
def portal() -> Iterator[BlockingPortal]:
    """The other thread's event loop."""
    with anyio.from_thread.start_blocking_portal() as portal:
        yield portal


@pytest.fixture(scope="session")
def served(portal: BlockingPortal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGateway]:
    with portal.wrap_async_context_manager(serving(tmp_path_factory.mktemp("clients"))) as running:
        yield running


@pytest.fixture(scope="session")
def apart() -> Path:
    """The programs of the environment for clients that do not fit beside the gateway."""
    if not (APART / "python").exists():
        pytest.fail("`make test` installs the clients that need an environment of their own; it is missing")
    return APART
