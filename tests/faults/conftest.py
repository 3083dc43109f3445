"""One gateway for all tests of a file: each puts a portfolio of its own in force, with new providers and so with no past."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Protocol

import pytest

from gateway.answering.retry import Budget
from gateway.config.portfolio_file import load_portfolio
from gateway.record import recorder
from tests.faults.clients import in_flight, short, until
from tests.gateway.running import Gateway, gateway, write_portfolio


class Serve(Protocol):
    """`serve(models, **more)`, as `tests.gateway.running.gateway` without a folder."""

    def __call__(self, models: list[dict[str, Any]], **more: Any) -> AbstractAsyncContextManager[Gateway]: ...


@dataclass
class Shared(Gateway):
    """A gateway that had a life before this test, which its records do not show."""

    since: float = 0.0

    async def records(self) -> list[dict[str, Any]]:
        return [row for row in await super().records() if row["time"] >= self.since]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
def prompt_record() -> Iterator[None]:
    """Each test reads the record right after its request: let it be written at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "FLUSH_S", 0.01)
        yield


@pytest.fixture(scope="module")
async def serve(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serve]:
    folder = tmp_path_factory.mktemp("gateway")
    async with gateway(folder, [short("llama-8b", "http://127.0.0.1:9/v1")]) as run:

        @asynccontextmanager
        async def serving(models: list[dict[str, Any]], **more: Any) -> AsyncIterator[Gateway]:
            await run.service.apply(load_portfolio(write_portfolio(folder, models, **more), {}))
            run.service.failover.retries = Budget(run.service.clock)
            parts = {field.name: getattr(run, field.name) for field in fields(Gateway)}
            yield Shared(**parts, since=time.time())
            await until(lambda: in_flight(run) == 0)

        yield serving
