"""One request on a connection and its answer: uvicorn's, with a cheaper way to write the answer.

uvicorn searches each name and value of a header by a regular expression, which takes a tenth of the CPU time of a request. Here
a name is checked once in the process, and the values of an answer together.
"""

import asyncio
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from gateway.core.errors import GatewayError
from gateway.core.request_ids import new_request_id

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_LENGTH, _CODING, _CONNECTION = b"content-length: ", b"transfer-encoding: ", b"connection: "
_FRAMING = frozenset({_LENGTH, _CODING, _CONNECTION})
_STATUS_LINE = {status: line.rstrip() for status, line in STATUS_LINE.items()}
_VALUE_BYTES = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))  # RFC 9110, 5.5
_WITHOUT_BODY = (204, 304)
MAX_FIELDS = 512  # names that are kept
JOINED = 1 << 16  # a larger piece of a chunked body is not copied to be written in one


class _Fields(dict[bytes, bytes]):
    """The beginnings of the lines of headers, by their names: `X-A` → `x-a: `."""

    def __missing__(self, name: bytes) -> bytes:
        if not name or HEADER_RE.search(name):
            raise RuntimeError("the name of a header has a byte that none may have")
        field = name.lower() + b": "
        if len(self) < MAX_FIELDS:
            self[name] = field
        return field


_FIELDS = _Fields()


class ResponseCycle(RequestResponseCycle):
    """A request, and its answer as the application sends it. The attributes are uvicorn's, and used as there."""

    async def send(self, message: "ASGISendEvent") -> None:
        """Writes a part of the answer; waits first until the client has received enough of what was written before.

        Raises:
            RuntimeError: the part cannot follow those before it, or is not valid.
        """
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.body" and self.response_started and not self.response_complete:
            self._write(message.get("body", b""), message.get("more_body", False))
        elif message["type"] == "http.response.start" and not self.response_started:
            self.response_started = True
            self.waiting_for_100_continue = False
            self.transport.write(self._head(message["status"], message.get("headers", ())))
        else:
            raise RuntimeError(f"{message['type']} was sent at the wrong time")

    def _head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Status line and headers; notes how the body is framed."""
        lines = [_STATUS_LINE[status]]
        closes = False
        for name, value in (*self.default_headers, *headers):
            field = _FIELDS[name]
            if field in _FRAMING:
                closes |= self._frame(field, value)
            lines.append(field + value)
        lines.append(b"")
        head = b"\r\n".join(lines)
        if head.translate(None, _VALUE_BYTES) != b"\r\n" * (len(lines) - 1):
            raise RuntimeError("the value of a header has a byte that none may have")
        if not self.keep_alive and not closes:
            head += b"connection: close\r\n"
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in _WITHOUT_BODY:
            self.chunked_encoding = True
            head += b"transfer-encoding: chunked\r\n"
        return head + b"\r\n"

    def _frame(self, field: bytes, value: bytes) -> bool:
        """Notes what a header says about the framing of the body; True if it says that the connection closes."""
        if field == _CONNECTION:
            if b"close" not in [token.strip() for token in value.lower().split(b",")]:
                return False
            self.keep_alive = False
            return True
        if field == _CODING:
            if value.lower() == b"chunked":
                self.chunked_encoding, self.expected_content_length = True, 0
        elif self.chunked_encoding is None:
            self.chunked_encoding, self.expected_content_length = False, int(value)
        return False

    def _write(self, body: bytes, more: bool) -> None:
        """Writes a piece of the body; the answer is complete if no `more` follows."""
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            last = b"" if more else b"0\r\n\r\n"
            if len(body) > JOINED:
                self.transport.writelines((b"%x\r\n" % len(body), body, b"\r\n" + last))
            elif body:
                self.transport.write(b"%x\r\n%b\r\n%b" % (len(body), body, last))
            else:
                self.transport.write(last)
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the body is longer than its content-length")
            self.transport.write(body)
        if not more:
            if self.expected_content_length:
                raise RuntimeError("the body is shorter than its content-length")
            self.response_complete = True
            self.message_event.set()
            if not self.keep_alive:
                self.transport.close()
            self.on_response()


def refusal(error: GatewayError, default_headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A whole answer to data that is not a valid request; the connection ends with it."""
    body = error.body()
    headers = [
        *default_headers,
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", new_request_id().encode()),
        *((name.encode(), value.encode()) for name, value in error.headers.items()),
    ]
    head = [STATUS_LINE[error.status], *(b"%b: %b\r\n" % header for header in headers), b"\r\n"]
    return b"".join([*head, body])


def next_cycle(connection: HttpToolsProtocol) -> ResponseCycle:
    """The cycle of the request whose headers the connection has received; completes its scope.

    Raises:
        httptools.HttpParserInvalidURLError: the target of the request is not valid.
    """
    scope, version = connection.scope, connection.parser.get_http_version()
    scope["http_version"], scope["method"] = version, connection.parser.get_method().decode("ascii")
    scope["path"], scope["raw_path"], scope["query_string"] = _target(connection.url)
    return ResponseCycle(
        scope,
        connection.transport,
        connection.flow,
        connection.logger,
        connection.access_logger,
        access_log=False,
        default_headers=connection.server_state.default_headers,
        message_event=asyncio.Event(),
        expect_100_continue=connection.expect_100_continue,
        keep_alive=version != "1.0" and connection.parser.should_keep_alive(),
        on_response=connection.on_response_complete,
    )


@lru_cache(64)
def _target(url: bytes) -> tuple[str, bytes, bytes]:
    """Path, path as it was sent, and query of a request's target: `/v1/a%20b?c=d` → `/v1/a b`, `/v1/a%20b`, `c=d`.

    Raises:
        httptools.HttpParserInvalidURLError: it is not valid.
    """
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""
