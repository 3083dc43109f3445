"""What the gateway's endpoints know of a client's connection."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from gateway.core.client_limits import ClientLimits


class Client(Protocol):
    """The connection of one client; `gateway.server.connection.Connection` is one.

    Attributes:
        on_lost: called when the client is gone, for code that waits without reading.
        transport: of the connection.
    """

    on_lost: Callable[[], object] | None
    transport: asyncio.Transport

    @property
    def limits(self) -> ClientLimits: ...

    @property
    def sending(self) -> bool:
        """Whether the body of the request being answered has not arrived completely."""
        ...

    async def drained(self) -> None:
        """Returns when the client has taken its answer but for what the buffers hold, or is gone."""
        ...
