"""What is written to a connection for the parts of an answer, and what is not."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.types import Receive, Scope, Send

from gateway.server.response import JOINED
from tests.gateway.server.test_connection import Respond, Wire, closed, wire

pytestmark = pytest.mark.anyio

GET = b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n"
LAST = GET[:-2] + b"connection: close\r\n\r\n"
Header = tuple[bytes, bytes]


def sends(headers: Iterable[Header], *pieces: bytes, status: int = 200) -> Respond:
    """An application that answers every request with these headers and pieces of a body."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        for i, piece in enumerate(pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": i < len(pieces) - 1})

    return app


async def all_of(server: Wire, request: bytes) -> tuple[list[bytes], bytes]:
    """The lines of the answer's head, without date and request id, and what follows it until the connection closes."""
    reader, _ = await server.open(request, limit=1 << 22)
    async with asyncio.timeout(60):
        data = await reader.read(-1)
    head, _, body = data.partition(b"\r\n\r\n")
    return [line for line in head.split(b"\r\n") if not line.startswith((b"date: ", b"x-request-id: "))], body


async def test_the_head_has_all_headers_and_the_length_frames_the_body() -> None:
    headers = [(b"Content-Length", b"5"), (b"x-a", b"tab\there \xe9"), (b"x-a", b""), (b"x-b", b"2")]
    async with wire(sends(headers, b"he", b"llo")) as server:
        lines = [b"HTTP/1.1 200 OK", b"content-length: 5", b"x-a: tab\there \xe9", b"x-a: ", b"x-b: 2"]
        head, body = await all_of(server, GET + LAST)
    assert head == lines
    assert body.startswith(b"helloHTTP/1.1 200 OK\r\n")
    assert body.endswith(b"\r\nconnection: close\r\n\r\nhello")


async def test_without_a_length_the_body_comes_in_chunks() -> None:
    large = b"x" * (JOINED + 1)
    async with wire(sends([], b"hello", b"", large, b"")) as server:
        lines, body = await all_of(server, LAST)
    assert lines == [b"HTTP/1.1 200 OK", b"connection: close", b"transfer-encoding: chunked"]
    assert body == b"5\r\nhello\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)


async def test_the_last_piece_of_a_chunked_body_may_be_large() -> None:
    async with wire(sends([(b"transfer-encoding", b"Chunked")], b"x" * (JOINED + 1))) as server:
        lines, body = await all_of(server, LAST)
    assert lines[1] == b"transfer-encoding: Chunked"
    assert body.startswith(b"10001\r\nxx")
    assert body.endswith(b"xx\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("request_line", "status"), [(b"HEAD /a HTTP/1.1", 200), (b"GET /a HTTP/1.1", 204), (b"GET /a HTTP/1.1", 304)]
)
async def test_an_answer_without_a_body(request_line: bytes, status: int) -> None:
    async with wire(sends([], b"", status=status)) as server:
        lines, body = await all_of(server, LAST.replace(b"GET /a HTTP/1.1", request_line))
    assert lines[0].startswith(b"HTTP/1.1 %d " % status)
    assert b"transfer-encoding: chunked" not in lines
    assert body == b""


async def test_the_application_can_close_the_connection() -> None:
    async with wire(sends([(b"connection", b"x-hop, Close"), (b"content-length", b"2")], b"ok")) as server:
        lines, body = await all_of(server, GET)
    assert lines == [b"HTTP/1.1 200 OK", b"connection: x-hop, Close", b"content-length: 2"]
    assert body == b"ok"


@pytest.mark.parametrize(
    "header",
    [
        (b"x-a", b"1\r\nset-cookie: b=c"),
        (b"x-a", b"1\nset-cookie: b=c"),
        (b"x-a", b"1\r\n\r\nbody"),
        (b"x-a", b"1\x00"),
        (b"x-a", b"1\x7f"),
        (b"x-a: 1\r\nset-cookie", b"b=c"),
        (b"x a", b"1"),
        (b"", b"1"),
    ],
)
async def test_a_header_that_is_not_valid_is_never_written(header: Header) -> None:
    async with wire(sends([(b"content-length", b"2"), header], b"ok")) as server:
        reader, _ = await server.open(GET)
        await closed(reader)


@pytest.mark.parametrize("pieces", [(b"hel",), (b"hel", b"lo!")])
async def test_a_body_of_another_length_than_its_own_closes_the_connection(pieces: tuple[bytes, ...]) -> None:
    async with wire(sends([(b"content-length", b"5")], *pieces)) as server:
        _, body = await all_of(server, GET)
    assert len(body) < 5
