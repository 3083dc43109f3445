"""The event stream that one client gets: its headers, its events, and comments while nothing else is sent.

Load balancers and clients cut connections on which nothing moves for some 30 to 60 s, and models may think for longer. So after
every `keep_alive` seconds of silence a comment is sent, which is no event (WHATWG HTML, 9.2). The first one takes the headers
along, before the answer is known: what goes wrong from then on is told by an event of the stream.
"""

import asyncio
from contextlib import suppress

from starlette.types import Send

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # or nginx holds the stream back
)
COMMENT = b": keep-alive\n\n"


class EventStream:
    """Sends one stream. The owner stops it at the end.

    Args:
        keep_alive_s: after so much silence a comment is sent; 0: never.

    Attributes:
        begun: status and headers have been sent.
    """

    def __init__(self, send: Send, keep_alive_s: float) -> None:
        self.begun = False
        self._send = send
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._quiet_since = self._loop.time()
        self._writing = False
        self._comment: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if keep_alive_s:
            self._timer = self._loop.call_later(keep_alive_s, self._look)

    async def write(self, data: bytes, headers: list[tuple[bytes, bytes]] | None = None, *, more: bool = True) -> None:
        """Sends whole events.

        Args:
            headers: besides the usual ones, where these are the first bytes.
            more: the stream goes on after them; else nothing follows.
        """
        if not more and self._timer is not None:
            self._timer.cancel()
        if self._comment is not None and not self._comment.done():
            await asyncio.wait([self._comment])  # may be cancelled meanwhile, which is no cancelling of this
        await self._write(data, headers or [], more=more)

    def stop(self) -> None:
        """Nothing more is sent."""
        if self._timer is not None:
            self._timer.cancel()
        if self._comment is not None:
            self._comment.cancel()

    async def _write(self, data: bytes, headers: list[tuple[bytes, bytes]], *, more: bool) -> None:
        self._writing = True
        try:
            if not self.begun:
                self.begun = True
                await self._send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, *headers]})
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
        finally:
            self._writing = False
            self._quiet_since = self._loop.time()

    def _look(self) -> None:
        left = self._quiet_since + self._keep_alive_s - self._loop.time()
        if left <= 0 and not self._writing:
            self._comment = self._loop.create_task(self._write_comment())
            left = self._keep_alive_s
        self._timer = self._loop.call_later(left if left > 0 else self._keep_alive_s, self._look)

    async def _write_comment(self) -> None:
        with suppress(OSError):  # the client has left, which the connection itself tells
            await self._write(COMMENT, [], more=True)
