"""A worker's end of the link to its supervisor: it receives orders, and sends what the worker has counted.

The link is a socket pair, so no file or port of it remains. A worker whose supervisor has ended stops by itself.
"""

import asyncio
import contextlib
import itertools
import logging
import socket
from collections.abc import Callable

import orjson

from gateway.record.metrics import Metrics
from gateway.record.totals import Totals
from gateway.server.link_messages import FromWorker, Others, ToWorker, encode_message
from gateway.server.reload import Fingerprint

log = logging.getLogger("locus.workers")

PUSH_S = 0.25  # a worker that is killed loses at most the counts of this time
ANSWER_S = 0.25  # how long the supervisor waits for the totals of other workers
MAX_LINE = 1 << 28


class Link:
    """Connects a worker. Use as an async context manager; leaving it sends the last totals.

    Args:
        stop: called when the worker must stop; True: at once.

    Attributes:
        reload: called when the worker must read the portfolio file.
        metrics: of all workers together, as this one sees them.
    """

    def __init__(self, sock: socket.socket, stop: Callable[[bool], None]) -> None:
        self.reload: Callable[[], None] = lambda: None
        self.metrics = Metrics(self._ask_others, self._add_others)
        self._sock = sock
        self._stop = stop
        self._last_totals = b""
        self._others = Others(kind="others", number=-1, living=[], ended=Totals().dump())
        self._questions: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Link":
        self._reader, self._writer = await asyncio.open_unix_connection(sock=self._sock, limit=MAX_LINE)
        self._tasks = [asyncio.create_task(self._read(), name="link"), asyncio.create_task(self._push(), name="totals")]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._send_totals()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def ready(self) -> None:
        """Reports that requests are accepted from now on."""
        self._send({"kind": "ready"})

    def reloaded(self, file: Fingerprint) -> None:
        """Reports that the portfolio file with this fingerprint is in force."""
        self._send({"kind": "reloaded", "file": file})

    async def _ask_others(self) -> None:
        number = next(self._numbers)
        self._send_totals()  # first: if this worker dies, totals that it has shown must not decrease
        self._send({"kind": "ask_others", "number": number})
        answered = self._questions[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(2 * ANSWER_S):
                await answered
        except TimeoutError:
            log.warning("the supervisor does not answer; the metrics of the other workers are older")
        finally:
            del self._questions[number]

    def _add_others(self, totals: Totals) -> None:
        totals.merge(self._others["ended"], gauges=False)
        for other in self._others["living"]:
            totals.merge(other)

    async def _read(self) -> None:
        with contextlib.suppress(OSError):
            while line := await self._reader.readline():
                self._handle(orjson.loads(line))
        self._stop(False)  # without a supervisor, nothing restarts this worker or stops it

    def _handle(self, message: ToWorker) -> None:
        if message["kind"] == "stop":
            self._stop(message["at_once"])
        elif message["kind"] == "reload":
            self.reload()
        elif message["kind"] == "send_totals":
            self._send_totals()
        else:
            self._others = message
            if (answered := self._questions.get(message["number"])) is not None and not answered.done():
                answered.set_result(None)

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(PUSH_S)
            if not self._writer.transport.get_write_buffer_size():
                self._send_totals(only_changed=True)

    def _send_totals(self, *, only_changed: bool = False) -> None:
        line = encode_message({"kind": "totals", "totals": self.metrics.dump()})
        if not only_changed or line != self._last_totals:
            self._last_totals = line
            self._writer.write(line)

    def _send(self, message: FromWorker) -> None:
        self._writer.write(encode_message(message))
