"""HTTP connections: uvicorn's, with timeouts and size limits for clients, and with errors in OpenAI's format.

Does not know the endpoints. Each connection has one timer, which is set about every ten seconds and never per request: no timeout
is shorter than this interval, so a timeout that began after one check cannot end before the next.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.core.client_limits import LIMITS, ClientLimits
from gateway.core.errors import GatewayError, HeadTooLarge, MalformedHttp, MethodNotAllowed, Overloaded, RequestTimeout
from gateway.core.json_types import JsonObject
from gateway.server.response import next_cycle, refusal

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

_IDLE, _HEAD, _BODY = range(3)  # the part of a request that the client is sending
_HOP_BY_HOP = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """One connection. An endpoint finds it as `scope["state"]["connection"]`.

    Attributes:
        limits, max_connections, stopping: of the server, which sets them on a subclass.
        on_disconnect: called when the client disconnects, for code that waits without reading.
    """

    limits: ClassVar[ClientLimits] = LIMITS
    max_connections: ClassVar[int] = 1 << 20
    stopping: ClassVar[bool] = False

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: JsonObject,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.on_disconnect: Callable[[], object] | None = None
        self._phase = _IDLE
        self._since = 0.0  # when the current phase began: the client has been expected to send since then
        self._unread_since = 0.0  # when the write buffers became full
        self._unparsed = 0  # bytes received since the parser last completed a part
        # The request being answered; `cycle` is the latest one received.
        self._running: RequestResponseCycle | None = None
        self._refusal: GatewayError | None = None
        self._discarding = False  # everything that still arrives is discarded
        self._timer: asyncio.TimerHandle | None = None

    @property
    def body_incomplete(self) -> bool:
        """True if the body of the request being answered is incomplete."""
        return self._phase == _BODY and self._running is self.cycle

    async def drained(self) -> None:
        """Waits until the client has received its answer, except for what fits into the buffers, or has disconnected."""
        while self.flow.write_paused:
            await self.flow.drain()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        self._check_in(self.limits.linger_s if self.stopping else self.limits.shortest_s)
        if len(self.connections) > self.max_connections:
            self._refuse(Overloaded("Too many connections are open.", headers={"retry-after": "5"}))
            transport.close()  # without reading its request, since file descriptors are scarce now

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)
        self._disconnect(self._running)
        if self.on_disconnect is not None:
            self.on_disconnect()

    def shutdown(self) -> None:
        """The server stops: received requests are answered, with `connection: close`."""
        if self._discarding:
            self.transport.close()
            return
        if self.cycle is not None and not self.cycle.response_started:
            self.cycle.keep_alive = False
        if not self._answering:
            self._since = self.loop.time()
            self._check_in(self.limits.linger_s)

    def pause_writing(self) -> None:
        self._unread_since = self.loop.time()
        super().pause_writing()

    # Time

    @property
    def _answering(self) -> bool:
        return self._running is not None and not self._running.response_complete

    def _check_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._check_deadline)

    def _check_deadline(self) -> None:
        now = self.loop.time()
        left_s = self._deadline() - now
        if left_s < 0.001:
            self._time_out()
            left_s = self.limits.shortest_s
        self._timer = self.loop.call_at(now + min(left_s, self.limits.shortest_s), self._check_deadline)

    def _deadline(self) -> float:
        limits = self.limits
        if self.flow.write_paused:
            return self._unread_since + limits.unread_s
        if self.transport.is_closing():  # but not closed: the client does not receive the rest of the answer
            return self._since + limits.unread_s
        if self._answering:
            return float("inf")
        if self._discarding or self._phase == _BODY:
            return self._since + limits.surplus_s
        if self._phase == _HEAD:
            return self._since + limits.head_s
        return self._since + (limits.linger_s if self.stopping else limits.keep_alive_s)

    def _time_out(self) -> None:
        if self.flow.write_paused or self.transport.is_closing():
            self.transport.abort()
        elif self._phase == _HEAD and not self._discarding:
            seconds = f"{self.limits.head_s:g}"
            self._refuse(RequestTimeout(f"The headers of the request were not complete after {seconds} s."))
        else:
            self.transport.close()

    # Requests

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            return
        self._unparsed += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(self._refusal or MalformedHttp("This is not a valid HTTP/1.1 request."))
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        else:
            if self._unparsed > self.limits.head_bytes:
                self._refuse(
                    MalformedHttp("The chunk extensions or trailers of the body are too large.")
                    if self._phase == _BODY
                    else self._too_large()
                )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _HEAD
        self._since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase == _BODY:
            return  # a trailer; the headers belong to a running request by now
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        limits = self.limits
        if self._unparsed > limits.head_bytes:  # part of a body may be included
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > limits.head_bytes:
                self._refusal = self._too_large()
                raise self._refusal
        if len(self.pipeline) >= limits.pipelined:
            self._refusal = MalformedHttp("Too many requests were sent ahead.")
            raise self._refusal
        self._begin_answer()
        self._phase = _BODY
        self._unparsed = 0

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._phase = _IDLE
        self._unparsed = 0
        super().on_message_complete()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parses the request again without its upgrade header, as RFC 9110 (7.8) allows; the parser would not read its body."""
        method = self.scope["method"] = self.parser.get_method().decode("ascii")
        if method == "CONNECT":
            self._refuse(MethodNotAllowed("This server is not a proxy."))
            return
        connection = [value for name, value in self.headers if name == b"connection"]
        tokens = [token.strip() for token in b",".join(connection).lower().split(b",")]
        kept = [(b"connection", token) for token in tokens if token in (b"close", b"keep-alive")]
        kept += [(name, value) for name, value in self.headers if name not in _HOP_BY_HOP]
        head = [b"%b %b HTTP/%b\r\n" % (method.encode(), self.url, self.parser.get_http_version().encode())]
        head += [b"%b: %b\r\n" % header for header in kept]
        self.parser = httptools.HttpRequestParser(self)
        self._unparsed = 0
        self.data_received(b"".join([*head, b"\r\n", rest]))

    # Answers

    def _begin_answer(self) -> None:
        """Starts the application, or does so as soon as the answer to the request before is complete."""
        before = self.cycle
        self.cycle = cycle = next_cycle(self)
        if self.stopping:
            cycle.keep_alive = False
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: "ASGI3Application") -> None:
        self._running = cycle
        cycle.scope["state"]["connection"] = self
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        self._since = self.loop.time()
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self.flow.resume_reading()
        if self._phase == _BODY and self.expect_100_continue:
            self.transport.close()  # the client may or may not send the body, so the next request cannot be found
        elif self.stopping:
            self._check_in(self.limits.linger_s)

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(f"The headers of the request are larger than {self.limits.head_bytes} bytes.")

    def _refuse(self, error: GatewayError) -> None:
        """Answers data that is not a valid request, and discards what follows. An answer in progress is finished first."""
        self._discarding = True
        self._since = self.loop.time()
        running = self._running
        if running is not None and self._answering:
            at_fault = running is self.cycle and self._phase == _BODY
            if running.response_started or not at_fault:
                running.keep_alive = False
                self.pipeline.clear()
                return
            self._disconnect(running)
        self.transport.write(refusal(error, self.server_state.default_headers))
        # Closing now would reset the connection if data is still arriving, and the client could lose the answer.
        self.transport.write_eof()
        self.flow.resume_reading()

    def _disconnect(self, cycle: RequestResponseCycle | None) -> None:
        """Reports to a running request that its client has disconnected."""
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.waiting_for_100_continue = False
            cycle.message_event.set()
