"""uvicorn's server with our connections, and a stop that loses nothing: accepted requests are answered first."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from gateway.core.client_limits import BACKLOG, LIMITS, ClientLimits
from gateway.server.connection import Connection

log = logging.getLogger("locus.server")

LAST_WORDS_S = 2.0  # for requests that are cut off to say so, and for the bytes to leave


class Server(uvicorn.Server):
    """Serves an application until it is told to stop.

    Args:
        grace_s: how long a stop waits for requests under way; asked when it begins.
    """

    def __init__(self, app: ASGIApp, grace_s: Callable[[], float], limits: ClientLimits = LIMITS) -> None:
        bounds = {"limits": limits, "max_connections": _max_connections(limits.connections_share)}
        self._connection_class: type[Connection] = type("LimitedConnection", (Connection,), bounds)
        super().__init__(
            uvicorn.Config(
                app,
                http=self._connection_class,
                ws="none",
                lifespan="off",
                backlog=BACKLOG,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                log_config=None,
                log_level="warning",
            )
        )
        self._grace_s = grace_s

    def ask_to_stop(self) -> None:
        """Begins a graceful stop; asked again, stops at once."""
        self.force_exit = self.should_exit
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.ask_to_stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process handles signals, see `gateway.server.run`: uvicorn would raise them before records are written."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """No new connections; what was accepted is answered within the grace period; then the rest is cut off."""
        state = self.server_state
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s()
        # Closing a listener resets the connections that wait in its queue. So the kernel's keeps listening by copies, until
        # those that came before the stop are taken out.
        copies = [sock.dup() for sock in sockets or ()]
        for server in self.servers:
            server.close()
        self._connection_class.stopping = True  # also for those that uvloop has accepted, but not told of yet
        for connection in list(state.connections):
            connection.shutdown()
        for copy in copies:
            await self._accept_rest(copy)
        await _until(lambda: self.force_exit or not (state.connections or state.tasks), deadline)
        if tasks := list(state.tasks):
            log.warning("%d requests are cut off by the stop", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        deadline = loop.time() + LAST_WORDS_S
        for connection in list(state.connections):
            connection.transport.close()
        await _until(lambda: not state.connections, deadline)
        for connection in list(state.connections):
            connection.transport.abort()

    async def _accept_rest(self, listener: socket.socket) -> None:
        taken = []
        with listener:
            listener.setblocking(False)
            with contextlib.suppress(OSError):
                while True:
                    taken.append(listener.accept()[0])
        for sock in taken:
            sock.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, sock)

    def _connection(self) -> Connection:
        return self._connection_class(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


async def _until(condition: Callable[[], bool], deadline: float) -> None:
    while not condition() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.02)


def _max_connections(share: float) -> int:
    with contextlib.suppress(ImportError):
        import resource

        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if soft != resource.RLIM_INFINITY:
            return int(soft * share)
    return 1 << 20
