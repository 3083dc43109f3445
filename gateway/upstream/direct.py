"""The direct path: over one pooled HTTP client to whoever speaks the OpenAI protocol, or the client's own format.

Bytes go out and come back as they are.
"""

import asyncio
import errno
import io
import socket
from collections.abc import Awaitable
from typing import Any

import aiohttp
import orjson

from gateway import __version__
from gateway.dialects.dialect import Reader
from gateway.need import Api
from gateway.offload import offloaded
from gateway.portfolio import Deployment
from gateway.request import ChatRequest, Native
from gateway.sse import EventReader
from gateway.upstream.answer import Chunk, ChunkStream, Complete, Usage, check_complete, is_chunk
from gateway.upstream.body import PIECE, StreamMeter, json_object, read_body
from gateway.upstream.failures import Cause, UpstreamFailure, classify, classify_event
from gateway.upstream.formats import FORMATS
from gateway.upstream.proxy import Proxies

KEEP_ALIVE_S = 120.0
WRITTEN_AT_ONCE = 1 << 20  # bytes of a request; more is written in pieces, each when the one before has left
MAX_BAD_EVENTS = 3  # one unreadable event in a healthy stream is skipped; a stream of them is not healthy
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
            connector=connector, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(
        self, deployment: Deployment, request: ChatRequest, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        """One whole answer.

        Args:
            dropped: optional request fields that this deployment has refused.
            api: the format to speak; other than chat it is the request's own.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        data = await self._whole(deployment, self._post(deployment, request, dropped, api))
        fields = await json_object(data)
        if fields.get("error"):
            raise classify_event(fields["error"])
        if api == "chat":
            return Complete(data, check_complete(fields), Usage.read(fields.get("usage")))
        return Complete(data, FORMATS[api].check(fields), FORMATS[api].usage(fields), api)

    async def stream(
        self,
        deployment: Deployment,
        request: ChatRequest,
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
                if response.status == 200 and response.content_type == "text/event-stream":
                    return _DirectStream(response) if api == "chat" else _NativeStream(response, FORMATS[api].reader())
                try:
                    data = await read_body(response, deployment.idle_timeout_s)
                finally:
                    response.release()
        except _CLIENT_ERRORS as exc:
            raise _failure(exc) from exc
        if response.status != 200:
            raise classify(response.status, response.headers, data)
        if error := (await json_object(data)).get("error"):
            raise classify_event(error)
        raise UpstreamFailure(Cause.UNREADABLE, detail=f"content type {response.content_type} in place of a stream")

    async def fetch(self, deployment: Deployment, path: str, body: bytes, native: Native | None = None) -> bytes:
        """The body of a whole answer with status 200, unread.

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
        if response.status != 200:
            raise classify(response.status, response.headers, data)
        return data

    async def _post(
        self, deployment: Deployment, request: ChatRequest, dropped: frozenset[str], api: Api
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
    """Reads the events of one response."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._content = response.content
        self._events = EventReader()
        self._meter = StreamMeter()
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._waiting = False
        self._timer: asyncio.TimerHandle | None = None
        self._bad = 0
        self._failure: UpstreamFailure | None = None
        self._ended = False

    async def read(self, deadline: float) -> list[Chunk] | None:
        while not self._ended:
            if self._failure is not None:
                raise self._failure
            if chunks := self._parse(await self._receive(deadline)):
                return chunks
        if self._failure is not None:
            raise self._failure
        return None

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
            for event in self._events.feed(data) if data else self._events.close():
                if not event.data:  # a comment, or empty data, which is no event either: some providers' keep-alive
                    continue
                if event.data.startswith(b"[DONE]"):
                    self._ended = True
                    break
                fields = _json_or_none(event.data)
                if fields is not None and fields.get("error"):
                    self._failure = classify_event(fields["error"])
                    break
                if fields is not None and is_chunk(fields):
                    if any(choice.get("finish_reason") == "error" for choice in fields["choices"]):
                        self._failure = UpstreamFailure(Cause.SERVER_ERROR, detail="finish reason error")
                        break
                    chunks.append(Chunk(event.raw, fields))
                    continue
                self._bad += 1
                if not data or self._bad >= MAX_BAD_EVENTS:  # at the end it is half an event: the stream was cut
                    self._failure = UpstreamFailure(Cause.UNREADABLE, detail="events that are no chunks")
                    break
        except ValueError:
            self._failure = UpstreamFailure(Cause.UNREADABLE, detail="event too long")
        return chunks

    async def aclose(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # A connection with bytes still to come cannot be used again; closing it tells the provider to stop.
        if self._content.at_eof():
            self._response.release()
        else:
            self._response.close()


class _NativeStream(_DirectStream):
    """Reads the events of a response in another format than chat."""

    def __init__(self, response: aiohttp.ClientResponse, reader: Reader) -> None:
        super().__init__(response)
        self._reader = reader

    def _parse(self, data: bytes) -> list[Chunk]:
        self._ended = not data
        chunks: list[Chunk] = []
        try:
            for event in self._events.feed(data) if data else self._events.close():
                if not event.data:
                    continue
                chunk = self._reader.read(event)
                if chunk is not None:
                    chunks.append(chunk)
                elif not self._reader.ended:
                    self._bad += 1
                    if not data or self._bad >= MAX_BAD_EVENTS:
                        self._failure = UpstreamFailure(Cause.UNREADABLE, detail="events of another format")
                        break
                if self._reader.ended:
                    self._ended = True
                    break
        except UpstreamFailure as failure:
            self._failure = failure
        except ValueError:
            self._failure = UpstreamFailure(Cause.UNREADABLE, detail="event too long")
        return chunks


def _json_or_none(data: bytes) -> dict[str, Any] | None:
    try:
        fields = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return fields if isinstance(fields, dict) else None


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
