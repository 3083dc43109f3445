"""The server of `gateway.shared` as replicas use it: each question is one round trip, answered or failed within a short time."""

import logging
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from gateway.core.vocabulary import Clock
from gateway.store.guard import Guard, StoreAway
from gateway.store.valkey import TIMEOUT_S, open_client

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

log = logging.getLogger("locus.replicas")


class SharedServer:
    """A connection to the server. Use as an async context manager.

    Args:
        clock: monotonic seconds.

    Raises:
        MissingPackage: the client's package is not installed.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self._client = open_client(url)
        name = "conversations and states of deployments: the server of `shared`"
        self._guard = Guard(name, 2 * TIMEOUT_S, clock, log, logging.WARNING)

    async def __aenter__(self) -> "SharedServer":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._client.aclose(close_connection_pool=True)

    @property
    def away(self) -> bool:
        """True if the server did not answer the last time."""
        return self._guard.away

    async def ask(self, commands: "Callable[[Pipeline], object]") -> list[Any]:
        """The answers to some commands, in one round trip.

        Args:
            commands: adds them to a pipeline.

        Raises:
            StoreAway: the server does not answer.
        """
        return await self._guard.ask(lambda: self._ask(commands))

    async def _ask(self, commands: "Callable[[Pipeline], object]") -> list[Any]:
        from redis.exceptions import RedisError

        try:
            async with self._client.pipeline(transaction=False) as pipeline:
                commands(pipeline)
                answers: list[Any] = await pipeline.execute()
                return answers
        except (RedisError, OSError) as exc:  # TimeoutError is an OSError
            raise StoreAway(f"{type(exc).__name__}: {exc}") from exc
