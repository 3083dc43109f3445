"""The edge of every request: an id, the gateway key, and errors in OpenAI's shape. Plain ASGI, so streams stay streams."""

import hmac
import logging
import re
import secrets
from collections.abc import Callable, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import AuthenticationFailed, GatewayError, InternalError, MethodNotAllowed, NotFound
from gateway.portfolio import Secret

log = logging.getLogger("locus.edge")

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})  # what an orchestrator asks without a key
_CLIENT_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")


class Edge:
    """Outermost middleware.

    Args:
        keys: the gateway keys in force; empty admits everybody.
    """

    def __init__(self, app: ASGIApp, keys: Callable[[], Sequence[Secret]]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _CLIENT_ID.match(given) else f"req_{secrets.token_hex(16)}"
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            if not started:
                started = True
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            keys = self._keys()
            if keys and scope["path"] not in OPEN_PATHS:
                check_key(headers, keys)
            await self._app(scope, receive, watched_send)
        except GatewayError as error:
            await error_response(error)(scope, receive, watched_send)
        except ConnectionResetError:
            log.debug("the client of request %s left before its request was complete", request_id)
        except Exception:
            log.exception("request %s failed", request_id)
            if started:
                raise
            internal = InternalError("The gateway failed; its log has the details.")
            await error_response(internal)(scope, receive, watched_send)


def check_key(headers: dict[bytes, bytes], keys: Sequence[Secret]) -> None:
    """Compares the request's key with every gateway key, in constant time.

    Raises:
        AuthenticationFailed: missing or wrong; the message does not repeat it.
    """
    value = headers.get(b"authorization", b"")
    scheme, _, token = value.partition(b" ")
    given = token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    if not given:
        raise AuthenticationFailed("No key: send a gateway key as `Authorization: Bearer <key>`.")
    known = [hmac.compare_digest(given, key.reveal().encode()) for key in keys]  # all of them, whichever fits
    if not any(known):
        raise AuthenticationFailed("The key is not one of this gateway's keys.")


def error_response(error: GatewayError) -> Response:
    """The answer that an error stands for."""
    return Response(error.body(), error.status, error.headers, media_type="application/json")


async def http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405 in OpenAI's shape."""
    assert isinstance(exc, HTTPException)
    where = f"{request.method} {request.url.path}"
    error: GatewayError
    if exc.status_code == 405:
        allowed = (exc.headers or {}).get("Allow", "")
        error = MethodNotAllowed(f"{where} is not possible; allowed: {allowed}.", headers=exc.headers)
    else:
        error = NotFound(f"There is nothing at {where}.")
    return error_response(error)
