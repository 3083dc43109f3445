"""The floor: the least that a pass-through proxy can do on this stack, with Starlette and without. No checks, no records.

UPSTREAM=http://127.0.0.1:9000/v1 uvicorn benchmarks.floor:starlette      # or benchmarks.floor:bare
"""

import contextlib
import os
from collections.abc import AsyncIterator

import aiohttp
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

HEADERS = {"content-type": "application/json", "authorization": "Bearer sk-bench"}
_EVENTS = "text/event-stream"


def _client() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=120)
    return aiohttp.ClientSession(connector=connector, auto_decompress=False)


async def _call(client: aiohttp.ClientSession, body: bytes) -> aiohttp.ClientResponse:
    return await client.post(os.environ["UPSTREAM"] + "/chat/completions", data=body, headers=HEADERS)


def _give_back(response: aiohttp.ClientResponse) -> None:
    if response.content.at_eof():
        response.release()
    else:
        response.close()


async def _chat(request: Request) -> Response:
    response = await _call(request.app.state.client, await request.body())
    kind = response.headers.get("content-type", "application/json")
    if not kind.startswith(_EVENTS):
        return Response(await response.read(), response.status, media_type=kind)

    async def relay() -> AsyncIterator[bytes]:
        try:
            async for piece in response.content.iter_any():
                yield piece
        finally:
            _give_back(response)

    return StreamingResponse(relay(), response.status, media_type=kind)


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    async with _client() as app.state.client:
        yield


starlette = Starlette(routes=[Route("/v1/chat/completions", _chat, methods=["POST"])], lifespan=_lifespan)


class _Bare:
    """The same without Starlette."""

    _session: aiohttp.ClientSession

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        response = await _call(self._session, body)
        kind = response.headers.get("content-type", "application/json")
        headers = [(b"content-type", kind.encode())]
        if kind.startswith(_EVENTS):
            try:
                await send({"type": "http.response.start", "status": response.status, "headers": headers})
                async for piece in response.content.iter_any():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
            finally:
                _give_back(response)
            return
        data = await response.read()
        headers.append((b"content-length", b"%d" % len(data)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with _client() as self._session:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


bare = _Bare()
