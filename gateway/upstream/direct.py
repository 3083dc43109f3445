"""The direct path: over one pooled HTTP client to servers that speak the OpenAI protocol, or the client's own format.

Bytes go out and come back as they are.
"""

import asyncio
import codecs
import errno
import io
import socket
from collections.abc import Awaitable
from typing import Any

import aiohttp

from gateway import __version__
from gateway.api.chat.reader import ChatReader, assembled, check_complete
from gateway.api.chat.wellformed import ChunkMender
from gateway.api.dialect import Reader
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import LARGE, offloaded
from gateway.bodies.sse import MAX_EVENT_BYTES, Event, EventReader
from gateway.config.portfolio import Deployment
from gateway.core.answer import Chunk, ChunkStream, Complete, Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify, classify_event
from gateway.request.request import Native, Request
from gateway.upstream.body import COUNTED, PIECE, StreamMeter, check_cost, lenient_object, read_body
from gateway.upstream.formats import FORMATS
from gateway.upstream.proxy import Proxies

KEEP_ALIVE_S = 120.0
WRITTEN_AT_ONCE = 1 << 20  # bytes of a request; more is written in pieces, each when the one before has left
MAX_BAD_EVENTS = 3  # one torn event in a healthy stream is skipped; so many in a row are no healthy stream
MAX_HEADER_BYTES = 64 << 10  # of one header of an answer; proxies add long ones
MAX_HEADERS = 1_000
# What cannot be read had a part of the answer, if one of these is in it. They may be keys within a text, so no quote behind them.
# Torn events may have other quotes than JSON.
_TEXT_MARKS = (b"choices", b'"delta', b'"text', b'"content', b'"chat.completion', b'"response.', b'"message_')
_EVENT_LINES = (b"data:", b"event:", b":", b"id:", b"retry:")
ANTHROPIC = "anthropic/"  # litellm's prefix, which stays on the names of models that it translates for
ANTHROPIC_VERSION = "2023-06-01"
USER_AGENT = f"locus-gateway/{__version__}"


class DirectUpstream:
    """Calls `POST {api_base}/chat/completions` and its like. Owns its connection pool: use as an async context manager.

    Args:
        proxies: those of the environment; by default none.
    """

    def __init__(self, proxies: Proxies | None = None) -> None:
        self._proxies = proxies or Proxies({})
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "DirectUpstream":
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(
        self, deployment: Deployment, request: Request, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        """One whole answer.

        Args:
            dropped: optional request fields that this deployment has refused.
            api: the format to speak; other than chat it is the request's own.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        data = await self._whole(deployment, self._post(deployment, request, dropped, api))
        return await offloaded(len(data), _complete, data, api)

    async def stream(
        self,
        deployment: Deployment,
        request: Request,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "chat",
    ) -> ChunkStream:
        """An open stream; nothing but its status has been read. The caller closes it.

        Args:
            deadline: until when the provider must answer, by the event loop's clock.
            dropped: optional request fields that this deployment has refused.
            api: the format to speak; other than chat it is the request's own.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._post(deployment, request, dropped, api)
                if _is_success(response):
                    return _DirectStream(response, api, request.choices)
                try:
                    data = await read_body(response, deployment.idle_timeout_s)
                finally:
                    response.release()
        except _CLIENT_ERRORS as exc:
            raise _failure(exc) from exc
        raise classify(response.status, response.headers, data)

    async def fetch(self, deployment: Deployment, path: str, body: bytes, native: Native | None = None) -> bytes:
        """The body of a whole answer with a status of success, unread.

        Args:
            native: whose headers go along.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        return await self._whole(deployment, self._send(deployment, path, body, _headers(deployment, native)))

    async def _whole(self, deployment: Deployment, call: Awaitable[aiohttp.ClientResponse]) -> bytes:
        try:
            async with asyncio.timeout(deployment.timeout_s):
                response = await call
                try:
                    data = await read_body(response, deployment.idle_timeout_s)
                finally:
                    response.release()
        except _CLIENT_ERRORS as exc:
            raise _failure(exc) from exc
        if not _is_success(response):
            raise classify(response.status, response.headers, data)
        return data

    async def _post(
        self, deployment: Deployment, request: Request, dropped: frozenset[str], api: Api
    ) -> aiohttp.ClientResponse:
        if api == "chat":
            body = await offloaded(len(request.body), request.outgoing, deployment.upstream_model, dropped)
            return await self._send(deployment, "/chat/completions", body, _headers(deployment))
        native = request.native
        assert native is not None, "only a request's own format is spoken besides chat"
        body = await offloaded(len(native.body), native.outgoing, bare_name(deployment))
        return await self._send(deployment, FORMATS[api].path, body, _headers(deployment, native))

    def _send(
        self, deployment: Deployment, path: str, body: bytes, headers: dict[str, str]
    ) -> Awaitable[aiohttp.ClientResponse]:
        assert self._session is not None, "use as an async context manager"
        base = deployment.native_base or deployment.api_base
        assert base is not None, "the direct path needs an address"
        proxy = self._proxies.of(base)
        if proxy is not None and base.startswith(
            "http:"
        ):  # the request itself goes to the proxy, not a CONNECT before it
            headers |= proxy.headers
        return self._session.post(
            f"{base}{path}",
            proxy=None if proxy is None else proxy.url,
            proxy_headers=None if proxy is None else proxy.headers,
            data=body if len(body) < WRITTEN_AT_ONCE else io.BytesIO(body),
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=deployment.connect_timeout_s),
        )


def bare_name(deployment: Deployment) -> str:
    """The model's name as the provider knows it."""
    return deployment.upstream_model.removeprefix(ANTHROPIC)


def _headers(deployment: Deployment, native: Native | None = None) -> dict[str, str]:
    """With the client's own headers of a format; credentials are the deployment's alone."""
    headers = {"content-type": "application/json", "user-agent": USER_AGENT}
    if native is not None:
        headers |= native.headers
        if native.api == "messages":
            headers.setdefault("anthropic-version", ANTHROPIC_VERSION)
    if deployment.api_key is not None:
        key = deployment.api_key.reveal()
        if deployment.upstream_model.startswith(ANTHROPIC):
            headers["x-api-key"] = key
        else:
            headers["authorization"] = f"Bearer {key}"
    for name, value in deployment.headers.items():
        headers[name] = value.reveal()
    return headers


class _DirectStream:
    """Reads the events of one response, or the whole answer that came in their place."""

    def __init__(self, response: aiohttp.ClientResponse, api: Api, choices: int) -> None:
        self._response = response
        self._content = response.content
        self._api = api
        self._reader: Reader = ChatReader(choices=choices) if api == "chat" else FORMATS[api].reader()
        self._mender = ChunkMender()  # of chunks that another format's reader makes
        self._events = EventReader()
        self._meter = StreamMeter()
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._head: bytes | None = b""  # until it is known what it is; None then
        self._body: bytearray | None = None  # of a whole answer
        self._torn = 0  # events in a row
        self.size = 0
        self._failure: UpstreamFailure | None = None
        self._ended = False

    async def read(self, deadline: float) -> list[Chunk] | None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return None
        data = await self._receive(deadline)
        size = self.size = self._events.held + len(self._body or b"") + len(data)
        chunks = self._parse(data) if size < LARGE else await offloaded(size, self._parse, data)
        if not chunks and self._failure is not None:
            raise self._failure
        return None if self._ended and not chunks else chunks

    async def _receive(self, deadline: float) -> bytes:
        self._deadline = deadline
        if self._timer is None or deadline < self._timer.when():
            self._watch()
        self._waiting = True
        try:
            data = await self._content.read(PIECE)
            await self._meter.took(len(data), self._events.held)
        except _CLIENT_ERRORS as exc:
            raise _failure(exc) from exc
        finally:
            self._waiting = False
        return data

    def _watch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look)

    def _look(self) -> None:
        """Ends a silence beyond its limit. One timer serves many reads: to set one for each would be a third of their cost."""
        self._timer = None
        if not self._waiting:
            return  # the next read sets it again
        if self._loop.time() < self._deadline:
            self._watch()
        else:
            self._content.set_exception(TimeoutError())

    def _parse(self, data: bytes) -> list[Chunk]:
        """The chunks in these bytes. What fails after some of them is raised by the next read, so that none is lost."""
        self._ended = not data
        chunks: list[Chunk] = []
        try:
            if self._head is not None:
                data = self._begin(data)
            if self._body is not None:
                return self._whole(data)
            if self._head is None:
                for event in self._events.feed(data) if data else self._events.close():
                    if len(event.raw) > COUNTED:
                        check_cost(event.raw)
                    if event.data and (chunk := self._chunk(event, last=not data)) is not None:
                        chunks.append(chunk)
        except UpstreamFailure as failure:
            self._failure = failure
        except ValueError:
            self._failure = UpstreamFailure(Cause.UNREADABLE, detail="event too long")
        return chunks

    def _chunk(self, event: Event, *, last: bool) -> Chunk | None:
        """The chunk of an event; None for a sign of life, and for one torn event in a healthy stream.

        Args:
            last: the stream ended in it, without a blank line.

        Raises:
            UpstreamFailure: an error; or so torn that some of the answer is lost.
        """
        reader = self._reader
        if self._ended and reader.ended:  # a few servers report the usage behind the end
            return self._late(event)
        try:
            chunk = reader.read(event)
        except (ValueError, RecursionError) as exc:
            self._tear(event.data or b"", last=last)
            if event.kind == b"error":
                raise UpstreamFailure(Cause.SERVER_ERROR, detail="an error event") from exc
            return None
        if reader.ended:
            self._ended = True
        if chunk is None:
            if event.kind == b"error":
                raise classify_event(lenient_object(event.data or b"")[0])
            return None
        self._torn = 0
        if chunk.api != "chat":
            chunk = chunk._replace(fields=self._mender.mended(chunk.fields, strict=bool(chunk.raw)))
        return chunk

    def _late(self, event: Event) -> Chunk | None:
        try:
            chunk = self._reader.read(event)
        except (ValueError, RecursionError, UpstreamFailure):
            return None
        return chunk if chunk is not None and chunk.fields.get("usage") and not chunk.fields["choices"] else None

    def _tear(self, data: bytes, *, last: bool) -> None:
        """Notes an event that cannot be read.

        Raises:
            UpstreamFailure: something of the answer is lost, or the stream was cut within it, or there are too many.
        """
        lost = any(mark in data for mark in _TEXT_MARKS)
        if not lost and not data.lstrip().startswith((b"{", b"[")):
            return  # a clock, a word: a server's way to keep the connection open
        self._torn += 1
        if lost or last or self._torn >= MAX_BAD_EVENTS:
            raise UpstreamFailure(Cause.UNREADABLE, detail="events that are no chunks")

    def _begin(self, data: bytes) -> bytes:
        """Finds out whether events come or a whole answer, whatever the content type says; gives the bytes so far."""
        assert self._head is not None
        self._head += data
        if len(self._head) > MAX_HEADER_BYTES:
            raise UpstreamFailure(Cause.UNREADABLE, detail="a stream of blanks")
        start = self._head.removeprefix(codecs.BOM_UTF8).lstrip()
        if not start and data:
            return b""
        if start.startswith((b"{", b"[")):
            self._body = bytearray()
        elif self._response.content_type != "text/event-stream" and not start.startswith(_EVENT_LINES):
            if data and any(line.startswith(start) for line in _EVENT_LINES):
                return b""
            kind = self._response.content_type
            raise UpstreamFailure(Cause.UNREADABLE, detail=f"content type {kind} in place of a stream")
        data, self._head = self._head, None
        return data

    def _whole(self, data: bytes) -> list[Chunk]:
        assert self._body is not None
        self._body += data
        if len(self._body) > MAX_EVENT_BYTES:
            raise ValueError("the answer is too long")
        if not self._ended:
            return []
        if isinstance(self._reader, ChatReader):
            check_cost(bytes(self._body))
            return [self._reader.whole(bytes(self._body))]
        form = FORMATS[self._api]
        events = form.events(form.check(_answer(bytes(self._body), self._api)[0]))
        read = [self._reader.read(Event(b"", dumps(event))) for event in events]
        return [chunk for chunk in read if chunk is not None]

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # A connection with bytes still to come cannot be used again; closing it tells the provider to stop.
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _is_success(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300


def _complete(data: bytes, api: Api) -> Complete:
    """A whole answer in the form that it must have.

    Raises:
        UpstreamFailure: as `_answer`, or it has not what an answer must have.
    """
    fields, strict = _answer(data, api)
    checked = check_complete(fields) if api == "chat" else FORMATS[api].check(fields)
    usage = Usage.read(checked.get("usage")) if api == "chat" else FORMATS[api].usage(checked)
    return Complete(data if strict and checked is fields else dumps(checked), checked, usage, api)


def _answer(data: bytes, api: Api) -> tuple[dict[str, Any], bool]:
    """A whole answer, and whether its bytes may be handed on.

    Raises:
        UpstreamFailure: it is none, or an error.
    """
    if api == "chat" and data.removeprefix(codecs.BOM_UTF8).lstrip().startswith(_EVENT_LINES):
        check_cost(data)
        return assembled(data), False
    fields, strict = lenient_object(data)
    if fields is None:
        raise UpstreamFailure(Cause.UNREADABLE, detail="not a JSON object")
    if fields.get("error"):
        raise classify_event(fields["error"])
    return fields, strict


def why_unreachable(exc: OSError) -> str:
    """Why no connection could be opened, without the address."""
    match exc:
        case socket.gaierror():
            return "unknown host name"
        case ConnectionRefusedError():
            return "connection refused"
        case _:
            return (exc.strerror or type(exc).__name__).lower()


# What this machine lacks for a connection: ports, descriptors, memory. Says nothing about the provider.
_LOCAL_FAULTS = frozenset(
    {errno.EADDRNOTAVAIL, errno.EADDRINUSE, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN}
)
_CLIENT_ERRORS = (aiohttp.ClientError, OSError)  # TimeoutError is an OSError


def _failure(exc: Exception) -> UpstreamFailure:
    """The client library's exception as ours. Its text may carry a URL, so only its class name goes on."""
    match exc:
        case aiohttp.ConnectionTimeoutError():
            return UpstreamFailure(Cause.CONNECTION, detail="connect timeout", reason="no connection in time")
        case OSError(errno=number) if number in _LOCAL_FAULTS:
            return UpstreamFailure(Cause.LOCAL, detail=errno.errorcode[number])
        case aiohttp.ClientConnectorError():
            reason = why_unreachable(exc.os_error)
            return UpstreamFailure(Cause.CONNECTION, detail=type(exc).__name__, reason=reason)
        case TimeoutError():
            return UpstreamFailure(Cause.TIMEOUT, detail="silent beyond the limit")
        case aiohttp.ClientPayloadError():
            return UpstreamFailure(Cause.UNREADABLE, detail="truncated body")
        case _:
            return UpstreamFailure(Cause.CONNECTION, detail=type(exc).__name__)
