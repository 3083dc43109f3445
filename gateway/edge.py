"""The edge of every request: an id, its key, and errors in OpenAI's shape. Plain ASGI, so streams stay streams."""

import asyncio
import hmac
import logging
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.defects import log_defect
from gateway.errors import (
    AuthenticationFailed,
    Forbidden,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Stopped,
)
from gateway.portfolio import Secret, Settings, is_loopback
from gateway.protocol import new_request_id
from gateway.sse import encode

log = logging.getLogger("locus.edge")

Headers = dict[bytes, bytes]

OPEN_PATHS = frozenset({"/health/live", "/health/ready"})  # what an orchestrator asks without a key
ADMIN_PATHS = ("/metrics", "/admin")  # and everything below them
_CLIENT_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}\Z")
_FORWARDED = (b"forwarded", b"x-forwarded-for", b"x-real-ip")


class Edge:
    """Outermost middleware. `/v1` takes a gateway key, admin paths the admin key, and neither takes the other's.

    Args:
        settings: in force.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given.decode() if _CLIENT_ID.match(given) else new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        started: Message | None = None
        complete = False

        async def watched_send(message: Message) -> None:
            nonlocal started, complete
            if started is None:
                started = message
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            else:
                complete = not message.get("more_body")
            await send(message)

        try:
            self._check(scope["path"], headers)
            await self._app(scope, receive, watched_send)
        except GatewayError as error:
            await error_response(error)(scope, receive, watched_send)
        except ConnectionResetError:
            log.debug("the client of request %s left before its request was complete", request_id)
        except asyncio.CancelledError:  # by the server alone: the grace period of a stop is over
            if started is None:
                await error_response(Stopped())(scope, receive, watched_send)
            elif not complete:
                if not _is_stream(started):
                    raise
                await watched_send({"type": "http.response.body", "body": encode(Stopped().envelope())})
        except Exception as exc:
            log_defect(log, f"request {request_id} failed", exc)
            if started is not None:
                raise
            internal = InternalError("The gateway failed; its log has the details.")
            await error_response(internal)(scope, receive, watched_send)

    def _check(self, path: str, headers: Headers) -> None:
        settings = self._settings()
        admin = path.startswith(ADMIN_PATHS)
        if admin:
            check_operator(headers, settings)
        if path in OPEN_PATHS or (admin and settings.admin_key is not None):
            return
        if settings.keys:
            check_key(headers, settings.keys)
        else:
            check_local(headers, settings.cors_origins)


def check_key(headers: Headers, keys: Sequence[Secret]) -> None:
    """Compares the request's key with every gateway key, in constant time.

    Raises:
        AuthenticationFailed: missing or wrong; the message does not repeat it.
    """
    given = _given_key(headers)
    if not given:
        raise AuthenticationFailed("No key: send a gateway key as `Authorization: Bearer <key>`.")
    if not _is_one_of(given, keys):
        raise AuthenticationFailed("The key is not one of this gateway's keys.")


def check_local(headers: Headers, origins: Sequence[str] = ()) -> None:
    """Without keys only this machine is served, and not the web pages of others that its browser shows.

    Such a page can send requests here, under its own origin or, by a name that it lets point to this machine, to its own host.

    Args:
        origins: of the web pages that may.

    Raises:
        Forbidden: `Host` or `Origin` names something else than this machine.
    """
    name = _foreign(headers)
    if name == "origin" and headers[b"origin"].decode("latin-1") in origins:
        return
    if name is not None:
        more = ", or allow the web page by `cors_origins`" if name == "origin" else ""
        raise Forbidden(
            f"Without gateway keys only this machine is served, and `{name}` names another: set `keys` under `gateway` in "
            f"the portfolio file{more}."
        )


def _foreign(headers: Headers) -> str | None:
    """The header by which a request comes from elsewhere than a program or a page of this machine."""
    for name in (b"host", b"origin"):
        value = headers.get(name)
        if value is not None and not _is_local(value):
            return name.decode()
    return None


@lru_cache(1024)
def _is_local(value: bytes) -> bool:
    """Does a Host or Origin header (RFC 9110, 7.2; RFC 6454, 6.2) name this machine, or none that the world could name?"""
    text = value.decode("latin-1")
    try:
        host = urlsplit(text if "://" in text else f"//{text}").hostname
    except ValueError:
        return False
    if host is None or host == "null":  # a sandboxed page's or a file's origin
        return False
    return is_loopback(host) or not set(host) & {".", ":"}


def check_operator(headers: Headers, settings: Settings) -> None:
    """Is this request the operator's? By the admin key; without one, whatever this machine asks of its own address is,
    but not the web pages of others that its browser shows, whatever else they may.

    Raises:
        AuthenticationFailed: the admin key is missing or wrong.
        Forbidden: there is none, and others than this machine can reach the gateway.
    """
    if settings.admin_key is not None:
        given = _given_key(headers)
        if not given or not _is_one_of(given, [settings.admin_key]):
            raise AuthenticationFailed("This needs the admin key, as `Authorization: Bearer <key>`.")
    elif not is_loopback(settings.host) or any(name in headers for name in _FORWARDED) or _foreign(headers):
        raise Forbidden("This is for the operator: set `admin_key` under `gateway` in the portfolio file, and send it.")


def is_operator(scope: Scope, settings: Settings) -> bool:
    """May this request see what only the operator shall?"""
    try:
        check_operator(dict(scope["headers"]), settings)
    except GatewayError:
        return False
    return True


def _given_key(headers: Headers) -> bytes:
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    return token.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")


def _is_one_of(given: bytes, keys: Sequence[Secret]) -> bool:
    # An environment that is not UTF-8 is read with surrogates, which give its bytes back.
    known = [hmac.compare_digest(given, key.reveal().encode(errors="surrogateescape")) for key in keys]
    return any(known)  # after all of them, whichever fits


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"]
    )


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
