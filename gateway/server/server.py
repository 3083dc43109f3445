"""uvicorn's server with the gateway's connections and a graceful stop: accepted requests are answered first."""

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

TICK_S = 1.0  # each tick renews the header `date`
FINAL_EVENTS_S = 2.0  # for cancelled requests to send their final event, and for the bytes to be sent


class Server(uvicorn.Server):
    """Serves an application until `ask_to_stop` is called.

    Args:
        grace_s: gives the time that a stop waits for requests in progress, seconds; called when the stop begins.
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
        self._stop_asked = asyncio.Event()

    def ask_to_stop(self) -> None:
        """Begins a graceful stop; a second call stops at once."""
        self.force_exit = self.should_exit
        self.should_exit = True
        self._stop_asked.set()

    async def main_loop(self) -> None:
        """Ticks until a stop is asked for. uvicorn's own loop wakes ten times a second and notices a stop at the next tick."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._stop_asked.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.ask_to_stop()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The process handles signals, see `gateway.server.run`: uvicorn would raise them before records are written."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes the listener, answers accepted requests within the grace period, and then cancels the rest."""
        state = self.server_state
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._grace_s()
        # Closing a listener resets the connections that wait in its queue. So copies keep the kernel's queue open until the
        # connections that arrived before the stop are accepted.
        copies = [sock.dup() for sock in sockets or ()]
        for server in self.servers:
            server.close()
        self._connection_class.stopping = True  # also for connections that uvloop has accepted but not reported yet
        for connection in list(state.connections):
            connection.shutdown()
        for copy in copies:
            await self._accept_waiting(copy)
        await _until(lambda: self.force_exit or not (state.connections or state.tasks), deadline)
        if tasks := list(state.tasks):
            log.warning("%d requests are cut off by the stop", len(tasks))
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=FINAL_EVENTS_S)
        deadline = loop.time() + FINAL_EVENTS_S
        for connection in list(state.connections):
            connection.transport.close()
        await _until(lambda: not state.connections, deadline)
        for connection in list(state.connections):
            connection.transport.abort()

    async def _accept_waiting(self, listener: socket.socket) -> None:
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
