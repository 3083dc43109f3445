"""The edge of every request: an id, its key, and errors in the shape of the path's API. Plain ASGI, so streams stay streams."""

import asyncio
import hmac
import logging
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.defects import log_defect
from gateway.dialects.messages.errors import error_body as messages_error_body
from gateway.dialects.messages.errors import error_object as messages_error_object
from gateway.errors import (
    AuthenticationFailed,
    Forbidden,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Stopped,
)
from gateway.need import Api
from gateway.portfolio import Secret, Settings, is_loopback
from gateway.protocol import new_request_id
from gateway.sse import encode

log = logging.getLogger("locus.edge")

Headers = dict[bytes, bytes]

OPEN_PATHS = frozenset(  # what an orchestrator asks without a key, and what is the same for every gateway
    {"/health/live", "/health/ready", "/", "/docs", "/openapi.json", "/v1/openapi.json"}
)
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
        path: str = scope["path"]
        started: Message | None = None
        complete = False

        async def watched_send(message: Message) -> None:
            nonlocal started, complete
            if started is None:
                started = message
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if api_of(path) == "messages":  # where Anthropic's clients look for it
                    message["headers"].append((b"request-id", request_id.encode()))
            else:
                complete = not message.get("more_body")
            await send(message)

        try:
            self._check(path, headers)
            await self._app(scope, receive, watched_send)
        except GatewayError as error:
            await error_response(error, path, request_id)(scope, receive, watched_send)
        except ConnectionResetError:
            log.debug("the client of request %s left before its request was complete", request_id)
        except asyncio.CancelledError:  # by the server alone: the grace period of a stop is over
            if started is None:
                await error_response(Stopped(), path, request_id)(scope, receive, watched_send)
            elif not complete:
                if not _is_stream(started):
                    raise
                await watched_send({"type": "http.response.body", "body": error_event(Stopped(), path)})
        except Exception as exc:
            log_defect(log, f"request {request_id} failed", exc)
            if started is not None:
                raise
            internal = InternalError("The gateway failed; its log has the details.")
            await error_response(internal, path, request_id)(scope, receive, watched_send)

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


def api_of(path: str) -> Api:
    """The API whose clients ask for a path, which say in what shape they read errors.

    `api_of("/v1/messages/count_tokens")` is `"messages"`; what belongs to none is `"chat"`, which has OpenAI's shape.
    """
    first = path.removeprefix("/v1").removeprefix("/").partition("/")[0]
    return "messages" if first == "messages" else "responses" if first == "responses" else "chat"


def error_body(error: GatewayError, path: str, request_id: str) -> bytes:
    """The body of an error answer, in the shape of the path's API."""
    return messages_error_body(error, request_id) if api_of(path) == "messages" else error.body()


def error_event(error: GatewayError, path: str) -> bytes:
    """The last event of a stream that ends early, in the shape of the path's API."""
    match api_of(path):
        case "messages":
            return b"event: error\ndata: " + orjson.dumps(messages_error_object(error)) + b"\n\n"
        case "responses":
            flat = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
            return b"event: error\n" + encode(flat | {"sequence_number": 0})
        case _:
            return encode(error.envelope())


def error_response(error: GatewayError, path: str, request_id: str) -> Response:
    """The answer that an error stands for."""
    body = error_body(error, path, request_id)
    return Response(body, error.status, error.headers, media_type="application/json")


async def http_exception(request: Request, exc: Exception) -> Response:
    """Starlette's own 404 and 405 as our errors; and what `OPTIONS` asks of every path."""
    assert isinstance(exc, HTTPException)
    where = f"{request.method} {request.url.path}"
    error: GatewayError
    if exc.status_code == 405:
        allow = {"allow": ", ".join(_allowed(request))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        error = MethodNotAllowed(f"{where} is not possible; allowed: {allow['allow']}.", headers=allow)
    else:
        error = NotFound(f"There is nothing at {where}.")
    return error_response(error, request.scope["path"], request.state.request_id)


def _allowed(request: Request) -> list[str]:
    """The methods of a path, of all the routes that it has."""
    routes = [r for r in request.app.routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE]
    return sorted({"OPTIONS"}.union(*(route.methods or () for route in routes)))
