"""Slow, broken and hostile clients, by raw sockets against the real server."""

import asyncio
import contextlib
import resource
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import orjson
import pytest
from starlette.types import Receive, Scope, Send

from gateway.bodies.request_body import read_body
from gateway.config.access import Access
from gateway.config.access_reader import plain_key
from gateway.config.portfolio_file import load_portfolio
from gateway.config.secret import Secret
from gateway.config.settings import LoadSettings, Settings
from gateway.core.client_limits import LIMITS, ClientLimits
from gateway.http.admission import Admission, Admitted
from gateway.http.edge import Edge
from gateway.keys.authentication import Authentication
from gateway.record.metrics import Metrics
from tests.gateway.running import DIALECTS, NO_KEYS, entry, eventually, running, serving, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, chunk, stream

pytestmark = pytest.mark.anyio

QUICK = replace(
    LIMITS, keep_alive_s=0.4, head_s=0.3, surplus_s=0.3, unread_s=0.4, body_idle_s=0.3, body_s=0.6, linger_s=0.05
)
# For tests in which a client must keep within the limits, also on a busy machine.
LONGER = replace(QUICK, keep_alive_s=1.2, surplus_s=1.2, unread_s=1.2, body_idle_s=1.2, body_s=1.2)
PATIENT = replace(LIMITS, linger_s=QUICK.linger_s)  # for tests of something else than time
HELLO = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"
Respond = Callable[[Scope, Receive, Send], Awaitable[None]]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with the path and the body."""
    body = await read_body(receive, 10_000_000)
    await answer(send, orjson.dumps([scope["path"], body.decode("latin-1")]))


async def answer(send: Send, body: bytes, more: bool = False) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter


class Wire:
    """A server, and raw connections to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writers: list[Writer] = []

    async def open(self, data: bytes = b"", limit: int = 1 << 16) -> tuple[Reader, Writer]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=limit)
        self.writers.append(writer)
        writer.write(data)
        return reader, writer


@asynccontextmanager
async def wire(app: Respond = echo, limits: ClientLimits = PATIENT, *keys: str) -> AsyncIterator[Wire]:
    access = Access(tuple(plain_key(Secret(key), i, "") for i, key in enumerate(keys)))
    admitted = Admitted(app, Admission(LoadSettings, Metrics()))
    async with serving(Edge(admitted, Settings, DIALECTS, Authentication(lambda: access)), limits) as (_, url):
        wire = Wire(int(url.rpartition(":")[2]))
        try:
            yield wire
        finally:
            for writer in wire.writers:
                writer.close()


async def response(reader: Reader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer, which has a length."""
    async with asyncio.timeout(60):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        return int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def refusal(reader: Reader) -> tuple[int, str]:
    """Status and code of an error in OpenAI's shape, after which the server closes."""
    status, headers, body = await response(reader)
    error = orjson.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert headers["content-type"] == "application/json"
    assert headers["connection"] == "close"
    assert headers["x-request-id"].startswith("req_")
    await closed(reader)
    return status, error["code"]


async def closed(reader: Reader) -> None:
    """The server closes the connection without another byte."""
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""


# Time


@pytest.mark.parametrize("start", [b"P", b"POST /v1/x HTTP/1.1\r\nhost: a\r\nx-y", HELLO[:-9]])
async def test_headers_must_be_complete_in_time(start: bytes) -> None:
    async with wire(echo, QUICK) as server:
        reader, _ = await server.open(start)
        assert await refusal(reader) == (408, "request_timeout")


async def test_a_byte_now_and_then_does_not_prolong_it() -> None:
    async with wire(echo, QUICK) as server:
        reader, writer = await server.open(b"GET / HTTP/1.1\r\nx: ")

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"y")
                    await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        assert await refusal(reader) == (408, "request_timeout")
        trickling.cancel()


@pytest.mark.parametrize("before", [b"", b"\r\n", HELLO])
async def test_a_silent_connection_is_closed_without_a_word(before: bytes) -> None:
    async with wire(echo, QUICK) as server:
        reader, _ = await server.open(before)
        if before == HELLO:
            assert (await response(reader))[0] == 200
        await closed(reader)


async def test_a_connection_is_used_again_until_then() -> None:
    async with wire(echo, LONGER) as server:
        reader, writer = await server.open()
        for _ in range(6):  # longer than each limit together
            writer.write(HELLO)
            assert (await response(reader))[2] == b'["/v1/x","hello"]'
            await asyncio.sleep(LONGER.keep_alive_s / 4)


async def test_a_body_that_stops_arriving() -> None:
    async with wire(echo, QUICK) as server:
        reader, _ = await server.open(HELLO[:-2])
        assert await refusal(reader) == (408, "request_timeout")


async def test_a_body_that_arrives_too_slowly() -> None:
    async with wire(echo, QUICK) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n")

        async def trickle() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"y")
                    await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        assert await refusal(reader) == (408, "request_timeout")
        trickling.cancel()


async def test_a_late_body_is_in_the_record(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")])
    async with running(load_portfolio(path, {}), limits=replace(QUICK, keep_alive_s=5)) as run:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(run.url.rpartition(":")[2]))
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nx-request-id: late\r\ncontent-length: 9\r\n\r\n{"
        )
        status, headers, _ = await response(reader)
        assert (status, headers["connection"], headers["x-request-id"]) == (408, "close", "late")
        await closed(reader)
        record = (await run.records())[0]
        assert (record["request_id"], record["status"], record["error"]) == ("late", 408, "request_timeout")
        writer.close()


async def test_the_rest_of_a_body_after_an_early_answer() -> None:
    """It is thrown away, so that the answer arrives and the connection can be used again, but not for long."""
    head = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 200000\r\n\r\n"
    async with wire(echo, LONGER, "sk-key") as server:
        reader, writer = await server.open(head + b"x" * 100_000)
        assert (await response(reader))[0] == 401
        writer.write(b"x" * 100_000 + HELLO)
        assert (await response(reader))[0] == 401
        writer.write(head)
        assert (await response(reader))[0] == 401
        await closed(reader)


async def test_who_sends_all_of_a_refused_body_first_still_gets_the_answer() -> None:
    async def small(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive, 1000)

    async with wire(small) as server:
        reader, writer = await server.open(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n")
        for _ in range(80):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert (await response(reader))[0] == 413


async def test_a_body_in_parts_can_be_followed_by_a_long_answer() -> None:
    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive, 1000)
        gone = asyncio.ensure_future(receive())  # as endpoints watch for the client's leaving
        await asyncio.sleep(LONGER.body_s + 0.2)
        assert not gone.done()
        gone.cancel()
        await answer(send, b"late")

    async with wire(slow, LONGER) as server:
        reader, writer = await server.open(HELLO[:-2])
        await asyncio.sleep(0.1)
        writer.write(HELLO[-2:])
        assert (await response(reader))[2] == b"late"


async def test_who_does_not_read_is_dropped_and_the_endpoint_hears_of_it() -> None:
    heard = asyncio.Event()
    sent = 0

    async def flood(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await read_body(receive, 100)
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not gone.done():
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
            sent += 65536
        assert gone.result()["type"] == "http.disconnect"
        heard.set()

    async with wire(flood, QUICK) as server:
        reader, _ = await server.open(HELLO, limit=1)
        await asyncio.wait_for(heard.wait(), 60)
        assert sent < 20_000_000  # what the kernel's buffers hold, and not much more
        del reader


async def test_who_does_not_read_holds_no_call_to_a_provider(tmp_path: Path) -> None:
    endless = stream([chunk("m", {"content": "x" * 50_000})] * 5_000)
    async with ScriptedProvider(endless) as up:
        path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)])
        async with running(load_portfolio(path, {}), limits=replace(QUICK, keep_alive_s=5)) as run:
            body = orjson.dumps(
                {"model": "llama-8b", "stream": True, "messages": [{"role": "user", "content": "go on"}]}
            )
            _, writer = await asyncio.open_connection("127.0.0.1", int(run.url.rpartition(":")[2]), limit=1)
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body
            )
            await eventually(lambda: bool(up.calls))
            await asyncio.wait_for(up.calls[0].closed.wait(), 20)
            record = (await run.records())[0]
            assert record["error"] == "client_disconnected"
            writer.close()


async def test_who_reads_slowly_is_not_dropped() -> None:
    size = 8 << 20

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive, 100)
        await answer(send, b"x" * size)

    async with wire(large, LONGER) as server:
        reader, _ = await server.open(HELLO, limit=1 << 16)
        await reader.readuntil(b"\r\n\r\n")
        for _ in range(8):
            await reader.readexactly(size // 8)
            await asyncio.sleep(LONGER.unread_s / 5)


async def test_a_large_answer_that_no_client_takes_is_dropped() -> None:
    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive, 100)
        await answer(send, b"x" * (16 << 20))

    app = Edge(large, Settings, DIALECTS, NO_KEYS)
    async with serving(app, QUICK) as (server, url):
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=1)
        writer.write(HELLO)
        await eventually(lambda: server.server_state.total_requests == 1)
        await eventually(lambda: not server.server_state.connections)
        writer.close()


# Size and form


@pytest.mark.parametrize("step", [1 << 20, 1000])
@pytest.mark.parametrize(
    "head", [b"x: " + b"y" * 70_000, b"\r\n".join(b"x%d: y" % i for i in range(9_000)), b"/" * 70_000]
)
async def test_headers_that_are_too_large(head: bytes, step: int) -> None:
    start = b"GET " + head + b" HTTP/1.1\r\n" if head.startswith(b"/") else b"GET / HTTP/1.1\r\n" + head
    data = start + b"\r\n\r\n"
    async with wire() as server:
        reader, writer = await server.open()
        for i in range(0, len(data), step):
            writer.write(data[i : i + step])
            await asyncio.sleep(0)
        assert await refusal(reader) == (431, "headers_too_large")


async def test_headers_below_the_limit_before_a_body_above_it() -> None:
    async with wire() as server:
        head = b"POST / HTTP/1.1\r\nx: " + b"y" * 60_000 + b"\r\ncontent-length: 500000\r\n\r\n"
        reader, _ = await server.open(head + b"z" * 500_000)
        assert (await response(reader))[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\n\r\n",
        b"GET http://host HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"POST / HTTP/1.1\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nbad name: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nx: a\rb\r\n\r\n",
    ],
)
async def test_what_is_not_http(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with wire() as server:
        reader, _ = await server.open(data)
        assert await refusal(reader) == (400, "malformed_http")
    assert not caplog.records


async def test_the_answer_is_read_even_while_much_is_still_being_sent() -> None:
    async with wire() as server:
        reader, writer = await server.open(b"nonsense\r\n\r\n")
        for _ in range(20):
            writer.write(b"x" * 100_000)
            await writer.drain()
        assert await refusal(reader) == (400, "malformed_http")


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
async def test_an_upgrade_is_not_taken_up(upgrade: bytes, caplog: pytest.LogCaptureFixture) -> None:
    head = (
        b"POST /v1/x HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: %b\r\nhttp2-settings: a\r\n"
    )
    body = b"content-length: 5\r\n\r\nhello"
    async with wire() as server:
        reader, writer = await server.open(head % upgrade + body + HELLO)
        for _ in range(2):
            assert (await response(reader))[2] == b'["/v1/x","hello"]'
        for part in ((head % upgrade)[:30], (head % upgrade)[30:], body[:-3], body[-3:]):
            writer.write(part)
            await asyncio.sleep(0.02)
        assert (await response(reader))[2] == b'["/v1/x","hello"]'
    assert not caplog.records


async def test_no_proxy() -> None:
    async with wire() as server:
        reader, _ = await server.open(b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert await refusal(reader) == (405, "method_not_allowed")


async def test_however_the_bytes_are_split_the_answers_are_the_same() -> None:
    upgrade = HELLO.replace(b"host: a", b"host: a\r\nconnection: upgrade\r\nupgrade: h2c")
    chunked = b"POST /v1/x HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    data = HELLO + upgrade + chunked

    async def split(server: Wire, at: int) -> None:
        reader, writer = await server.open(data[:at])
        await asyncio.sleep(0.01)
        writer.write(data[at:])
        for _ in range(3):
            assert (await response(reader))[2] == b'["/v1/x","hello"]', at
        writer.close()

    async with wire(echo, LIMITS) as server:
        await asyncio.gather(*(split(server, at) for at in range(1, len(data))))


async def test_requests_sent_ahead_are_answered_in_order() -> None:
    async with wire() as server:
        reader, _ = await server.open(b"".join(HELLO.replace(b"/v1/x", b"/%d" % i) for i in range(20)))
        for i in range(20):
            assert (await response(reader))[2] == b'["/%d","hello"]' % i


async def test_nonsense_sent_ahead_leaves_the_answer_under_way_whole() -> None:
    async with wire() as server:
        reader, _ = await server.open(HELLO + b"nonsense\r\n\r\n")
        status, headers, body = await response(reader)
        assert (status, headers["connection"], body) == (200, "close", b'["/v1/x","hello"]')
        await closed(reader)


async def test_a_flood_of_requests_sent_ahead_is_not_kept() -> None:
    async with wire() as server:
        reader, _ = await server.open(HELLO * 3_000)
        assert (await response(reader))[0] == 200
        await closed(reader)


async def test_who_sends_ahead_and_leaves_is_noticed() -> None:
    begun, heard = asyncio.Event(), asyncio.Event()

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await read_body(receive, 100)
        begun.set()
        assert (await receive())["type"] == "http.disconnect"
        heard.set()

    async with wire(wait) as server:
        _, writer = await server.open(HELLO * 2)
        await asyncio.wait_for(begun.wait(), 60)
        writer.close()
        await asyncio.wait_for(heard.wait(), 60)


async def test_trailers_are_ignored_and_endless_ones_refused() -> None:
    chunked = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"
    async with wire() as server:
        reader, writer = await server.open(chunked + b"x-request-id: later\r\n\r\n")
        assert (await response(reader))[2] == b'["/","hello"]'
        writer.write(chunked)
        with contextlib.suppress(ConnectionError):
            for _ in range(20):
                writer.write(b"x: y\r\n" * 5_000)
                await writer.drain()
        assert await refusal(reader) == (400, "malformed_http")


async def test_expect_100_continue() -> None:
    head = HELLO[:-5].replace(b"host: a", b"host: a\r\nexpect: 100-continue")
    async with wire(echo, PATIENT, "sk-key") as server:
        reader, _ = await server.open(head)
        assert (await response(reader))[0] == 401
        await closed(reader)  # only the client knows whether the body will still come
        reader, writer = await server.open(head.replace(b"host: a", b"host: a\r\nx-api-key: sk-key"))
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"hello")
        assert (await response(reader))[0] == 200


# Number


async def test_two_thousand_idle_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        number = min(2_000, (hard - 300) // 2 if hard != resource.RLIM_INFINITY else 2_000)  # both ends are ours
        async with wire(echo, LIMITS) as server:
            for first in range(0, number, 200):
                await asyncio.gather(*(server.open() for _ in range(first, min(first + 200, number))))
            async with httpx.AsyncClient(timeout=60) as http:
                for _ in range(3):
                    asked = await http.post(f"http://127.0.0.1:{server.port}/v1/x", content="hello", timeout=60)
                    assert asked.json() == ["/v1/x", "hello"]
            reader, writer = await server.open(HELLO)  # and an idle one can still be used
            assert (await response(reader))[0] == 200
            writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_connections_beyond_the_limit_are_told_so() -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    async with wire(echo, replace(PATIENT, connections_share=3.5 / soft)) as server:
        for _ in range(3):
            await server.open()
        reader, _ = await server.open()
        assert await refusal(reader) == (503, "overloaded")
        server.writers[0].close()
        async with asyncio.timeout(60):
            while True:  # until the gateway has heard of it
                reader, _ = await server.open(HELLO)
                if (await response(reader))[0] == 200:
                    break
