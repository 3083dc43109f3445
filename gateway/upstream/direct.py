"""The direct path: calls servers that speak the OpenAI protocol, or the client's own format, over one pool of connections.

The bytes of the client's request and of the provider's answer are passed on unchanged if possible.
"""

import asyncio
import io
from collections.abc import Awaitable
from functools import lru_cache

import aiohttp

from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Deployment
from gateway.core.answer import ChunkStream, Complete
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import classify
from gateway.request.request import Native, Request
from gateway.upstream.complete_answer import read_complete
from gateway.upstream.connection_failure import CLIENT_ERRORS, connection_failure
from gateway.upstream.direct_stream import DirectStream
from gateway.upstream.formats import FORMATS
from gateway.upstream.proxy import Proxies
from gateway.upstream.request_headers import provider_model_name, request_headers
from gateway.upstream.response_body import read_response_body

KEEP_ALIVE_S = 120.0
WRITTEN_AT_ONCE = 1 << 20  # bytes; a longer request body is written in pieces, each after the one before
MAX_HEADER_BYTES = 64 << 10  # of one response header; proxies add long ones
MAX_HEADERS = 1_000


class DirectUpstream:
    """Calls `POST {api_base}/chat/completions`, or the path of another format.

    Owns its connection pool; use as an async context manager.

    Args:
        proxies: the proxies that providers are called through; none by default.
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
        """See `Upstream.complete`."""
        data = await self._body_of(deployment, self._post(deployment, request, dropped, api))
        return await offloaded(len(data), read_complete, data, api)

    async def stream(
        self,
        deployment: Deployment,
        request: Request,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "chat",
    ) -> ChunkStream:
        """See `Upstream.stream`."""
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._post(deployment, request, dropped, api)
                if _is_success(response):
                    return DirectStream(response, api, request.choice_count)
                try:
                    data = await read_response_body(response, deployment.idle_timeout_s)
                finally:
                    response.release()
        except CLIENT_ERRORS as exc:
            raise connection_failure(exc) from exc
        raise classify(response.status, response.headers, data)

    async def fetch(
        self, deployment: Deployment, path: str, body: bytes | None = None, native: Native | None = None
    ) -> bytes:
        """The body of a successful answer, unchanged.

        Args:
            body: posted; without one the request is a GET.
            native: the client's request, whose forwarded headers are sent too.

        Raises:
            UpstreamFailure: the call failed, for any reason; the reason is classified.
        """
        return await self._body_of(deployment, self._send(deployment, path, body, request_headers(deployment, native)))

    async def _body_of(self, deployment: Deployment, call: Awaitable[aiohttp.ClientResponse]) -> bytes:
        try:
            async with asyncio.timeout(deployment.timeout_s):
                response = await call
                try:
                    data = await read_response_body(response, deployment.idle_timeout_s)
                finally:
                    response.release()
        except CLIENT_ERRORS as exc:
            raise connection_failure(exc) from exc
        if not _is_success(response):
            raise classify(response.status, response.headers, data)
        return data

    async def _post(
        self, deployment: Deployment, request: Request, dropped: frozenset[str], api: Api
    ) -> aiohttp.ClientResponse:
        if api == "chat":
            body = await offloaded(len(request.body), request.upstream_body, deployment.upstream_model, dropped)
            return await self._send(deployment, "/chat/completions", body, request_headers(deployment))
        native = request.native
        assert native is not None, "besides chat, a call has the request's own format"
        body = await offloaded(len(native.body), native.upstream_body, provider_model_name(deployment))
        return await self._send(deployment, FORMATS[api].path, body, request_headers(deployment, native))

    def _send(
        self, deployment: Deployment, path: str, body: bytes | None, headers: dict[str, str]
    ) -> Awaitable[aiohttp.ClientResponse]:
        assert self._session is not None, "use as an async context manager"
        base = deployment.native_base or deployment.api_base
        assert base is not None, "the direct path needs an address"
        proxy = self._proxies.proxy_for(base)
        if proxy is not None and base.startswith(
            "http:"
        ):  # the proxy gets the request itself, without a CONNECT before it
            headers |= proxy.headers
        return self._session.request(
            "GET" if body is None else "POST",
            f"{base}{path}",
            proxy=None if proxy is None else proxy.url,
            proxy_headers=None if proxy is None else proxy.headers,
            data=body if body is None or len(body) < WRITTEN_AT_ONCE else io.BytesIO(body),
            headers=headers,
            allow_redirects=False,
            timeout=_timeout(deployment.connect_timeout_s),
        )


@lru_cache(64)
def _timeout(connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=connect_s)


def _is_success(response: aiohttp.ClientResponse) -> bool:
    return 200 <= response.status < 300
