"""The event stream that one client receives: its headers, its events, and keep-alive comments between them.

Load balancers and clients close connections that are silent for 30 to 60 s, and models may think for longer. So after every
`keep_alive` seconds of silence the gateway sends a comment, which clients ignore (WHATWG HTML, 9.2). If a comment comes first,
status and headers are sent with it, before the answer is known; a later error then becomes an event of the stream.
"""

import asyncio
from contextlib import suppress

from starlette.types import Send

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # or nginx buffers the stream
)
COMMENT = b": keep-alive\n\n"


class EventStream:
    """Sends one stream. The caller that created it must stop it.

    Args:
        keep_alive_s: silence after which a comment is sent, seconds; 0: never.

    Attributes:
        begun: status and headers have been sent.
    """

    def __init__(self, send: Send, keep_alive_s: float) -> None:
        self.begun = False
        self._send = send
        self._keep_alive_s = keep_alive_s
        self._loop = asyncio.get_running_loop()
        self._silent_since = self._loop.time()
        self._writing = False
        self._comment: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        if keep_alive_s:
            self._timer = self._loop.call_later(keep_alive_s, self._check_silence)

    async def write(self, data: bytes, headers: list[tuple[bytes, bytes]] | None = None, *, more: bool = True) -> None:
        """Sends complete events.

        Args:
            headers: sent besides `HEADERS`, if these are the first bytes of the stream.
            more: False if these are the last bytes of the stream.
        """
        if not more and self._timer is not None:
            self._timer.cancel()
        if self._comment is not None and not self._comment.done():
            await asyncio.wait([self._comment])  # not awaited itself: its cancellation must not cancel this call
        await self._write(data, headers or [], more=more)

    def stop(self) -> None:
        """Stops sending comments."""
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
            self._silent_since = self._loop.time()

    def _check_silence(self) -> None:
        left = self._silent_since + self._keep_alive_s - self._loop.time()
        if left <= 0 and not self._writing:
            self._comment = self._loop.create_task(self._write_comment())
            left = self._keep_alive_s
        self._timer = self._loop.call_later(left if left > 0 else self._keep_alive_s, self._check_silence)

    async def _write_comment(self) -> None:
        with suppress(OSError):  # the client has disconnected, which the connection itself reports
            await self._write(COMMENT, [], more=True)
