"""The middleware around every request: gives it an id, checks its key, and turns errors into answers in the API's format.

Plain ASGI, so it does not buffer streams.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.dialect import Dialect
from gateway.config.access import Grant
from gateway.config.addresses import is_loopback
from gateway.config.settings import Settings
from gateway.core.errors import (
    AuthenticationFailed,
    Forbidden,
    GatewayError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    Stopped,
)
from gateway.core.key_digest import with_owner
from gateway.core.request_ids import new_request_id
from gateway.core.safe_logging import log_exception
from gateway.http.auth import Headers, SessionAccess, check_local, check_operator, given_key, is_admin_key
from gateway.http.authentication_failures import AuthenticationFailures, Key
from gateway.http.dialects import dialect_of
from gateway.keys.authentication import WITHOUT_KEY, Authentication
from gateway.keys.key_format import PREFIX

log = logging.getLogger("locus.edge")

OPEN_PATHS = (
    frozenset(  # need no key: health checks of an orchestrator, and documents that are the same for every gateway
        {"/health/live", "/health/ready", "/", "/docs", "/openapi.json", "/v1/openapi.json"}
    )
)
ADMIN_PATHS = ("/metrics", "/admin")  # and everything below them
ADMIN_KEY_GIVEN = (
    "This is the admin key, which is for /admin and /metrics. Send a gateway key: one of `keys` in the portfolio file, or one made "
    "by `locus key create`."
)
_MESSAGE_ID = b"x-openwebui-message-id"  # with which its thumbs can be imported as feedback
_CLIENT_ID = re.compile(rb"(?!\.{1,2}\Z)[A-Za-z0-9._:-]{1,128}\Z")  # browsers and clients remove . and .. from paths


class Edge:
    """Checks that `/v1` gets a gateway key and that admin paths get the admin key; neither key is valid for the other.

    Args:
        settings: gives the settings in force.
        dialects: the API formats by path; they write the errors.
        keys: finds the gateway keys.
        failures: counts and logs requests without a valid key.
        refused: called with each request that gets an error before its endpoint has it, the error, and the seconds since it came.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Callable[[], Settings],
        dialects: Mapping[str, Dialect],
        keys: Authentication,
        failures: AuthenticationFailures | None = None,
        refused: Callable[[Scope, GatewayError, float], None] | None = None,
    ) -> None:
        self._app = app
        self._settings = settings
        self._dialects = dialects
        self._keys = keys
        self._failures = failures
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: Headers = dict(scope["headers"])
        given = headers.get(b"x-request-id") or headers.get(_MESSAGE_ID, b"")
        request_id = given.decode() if _CLIENT_ID.match(given) else new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        path: str = scope["path"]
        began = time.monotonic()
        started: Message | None = None
        complete = False

        async def watched_send(message: Message) -> None:
            nonlocal started, complete
            if started is None:
                started = message
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if dialect_of(path, self._dialects).api == "messages":  # the header that Anthropic's clients read
                    message["headers"].append((b"request-id", request_id.encode()))
            else:
                complete = not message.get("more_body")
            await send(message)

        try:
            await self._check(scope, headers)
            await self._app(scope, receive, watched_send)
        except GatewayError as error:
            if self._refused is not None:
                self._refused(scope, error, time.monotonic() - began)
            await error_response(error, dialect_of(path, self._dialects), request_id)(scope, receive, watched_send)
        except ConnectionResetError:
            log.debug("the client of request %s left before its request was complete", request_id)
        except asyncio.CancelledError:  # only the server cancels, when the grace period of a stop is over
            if started is None:
                await error_response(Stopped(), dialect_of(path, self._dialects), request_id)(
                    scope, receive, watched_send
                )
            elif not complete:
                if not _is_stream(started):
                    raise
                await watched_send(
                    {"type": "http.response.body", "body": dialect_of(path, self._dialects).error_event(Stopped())}
                )
        except Exception as exc:
            log_exception(log, f"request {request_id} failed", exc)
            if started is not None:
                raise
            internal = InternalError("The gateway failed; its log has the details.")
            await error_response(internal, dialect_of(path, self._dialects), request_id)(scope, receive, watched_send)

    async def _check(self, scope: Scope, headers: Headers) -> None:
        """Checks the key that the path needs. In a client's request, its owner then replaces the key itself.

        Raises:
            AuthenticationFailed: the key is missing or wrong.
            Forbidden: the gateway has no keys, and the request may come from another machine.
        """
        settings = self._settings()
        path: str = scope["path"]
        admin = path.startswith(ADMIN_PATHS)
        session: SessionAccess | None = scope["state"].pop("session", None)
        if session is not None:
            if admin and not session.operator:
                raise Forbidden("This is for the operator.")
            self._admit(scope, session.grant)
            return
        try:
            if admin:
                check_operator(headers, settings)
            if path in OPEN_PATHS or (admin and settings.admin_key is not None):
                return
            grant = await self._grant(scope, headers, settings)
        except AuthenticationFailed as error:
            self._count_failure(scope, headers, "admin" if admin else "gateway", error)
            raise
        self._admit(scope, grant)

    def _admit(self, scope: Scope, grant: Grant) -> None:
        scope["state"]["grant"], scope["state"]["identity"] = grant, grant.identity
        scope["headers"] = with_owner(scope["headers"], grant.identity.id)

    async def _grant(self, scope: Scope, headers: Headers, settings: Settings) -> Grant:
        """What a client's request may do. A gateway on a loopback address that has no keys in its file needs none."""
        given = given_key(headers)
        needed = bool(self._keys.file_keys) or not is_loopback(settings.host)
        if not needed and not given.startswith(PREFIX):
            check_local(headers, settings.cors_origins)
            return WITHOUT_KEY
        if not given:
            raise AuthenticationFailed("No key: send a gateway key as `Authorization: Bearer <key>`.")
        try:
            return await self._keys.grant(given, _address(scope))
        except AuthenticationFailed as error:
            if is_admin_key(given, settings):
                raise AuthenticationFailed(ADMIN_KEY_GIVEN) from error
            raise

    def _count_failure(self, scope: Scope, headers: Headers, key: Key, error: AuthenticationFailed) -> None:
        if self._failures is not None:
            reason = error.reason if given_key(headers) else "missing"
            self._failures.add(key, reason, _address(scope))


def _address(scope: Scope) -> str:
    """The client's."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _is_stream(start: Message) -> bool:
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream") for name, value in start["headers"]
    )


def error_response(error: GatewayError, dialect: Dialect, request_id: str) -> Response:
    """The error as an HTTP response."""
    body = dialect.error(error, request_id)
    return Response(body, error.status, error.headers, media_type="application/json")


async def http_exception(dialects: Mapping[str, Dialect], request: Request, exc: Exception) -> Response:
    """Answers what Starlette refuses: 404 and 405 as the gateway's errors, and `OPTIONS` on every path with 204."""
    assert isinstance(exc, HTTPException)
    target = f"{request.method} {request.url.path}"
    error: GatewayError
    if exc.status_code == 405:
        allow = {"allow": ", ".join(_allowed(request))}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        error = MethodNotAllowed(f"{target} is not possible; allowed: {allow['allow']}.", headers=allow)
    else:
        error = NotFound(f"There is nothing at {target}.")
    return error_response(error, dialect_of(request.scope["path"], dialects), request.state.request_id)


def _allowed(request: Request) -> list[str]:
    """The methods of all routes that match the path of the request."""
    routes = [r for r in request.app.routes if isinstance(r, Route) and r.matches(request.scope)[0] is not Match.NONE]
    return sorted({"OPTIONS"}.union(*(route.methods or () for route in routes)))
