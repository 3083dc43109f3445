"""The interface of a client's connection, as endpoints use it."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.client_limits import ClientLimits


class Client(Protocol):
    """The connection of one client; `gateway.server.connection.Connection` is one.

    Attributes:
        on_disconnect: called when the client disconnects, for code that waits without reading.
        transport: of the connection.
    """

    on_disconnect: Callable[[], object] | None
    transport: asyncio.Transport

    @property
    def limits(self) -> ClientLimits: ...

    @property
    def body_incomplete(self) -> bool:
        """True if the body of the request being answered is incomplete."""
        ...

    async def drained(self) -> None:
        """Waits until the client has received its answer, except for what fits into the buffers, or has disconnected."""
        ...
