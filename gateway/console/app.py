"""The console's application at /ui, beside the gateway's own.

/ui/static, /ui/login:  everyone
/ui/api/PATH:           PATH of the gateway, with the rights of the session
/ui and the rest:       pages, of `gateway.console.pages`
"""

import logging
import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.console.guard import HEADERS, check_same_origin
from gateway.console.login import Login
from gateway.console.pages.all_pages import page_routes
from gateway.console.rendering import page, serve_static
from gateway.console.visitor import NotLoggedIn, visitor_of
from gateway.core.errors import GatewayError, InternalError, NotFound
from gateway.core.safe_logging import log_exception
from gateway.http.auth import SessionAccess
from gateway.http.service import Service

log = logging.getLogger("locus.console")

API = "/ui/api"
_OPEN = ("/ui/static/", "/ui/login", "/ui/logout")


def with_console(service: Service, gateway: ASGIApp) -> ASGIApp:
    """The gateway's application, with the console at /ui. Browsers that open / are sent there."""
    console = Console(service, gateway)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and (path == "/ui/" or (path == "/" and _wants_html(scope))):
            await RedirectResponse("/ui", 307)(scope, receive, send)
        elif path == "/ui" or path.startswith("/ui/"):
            await console(scope, receive, send)
        else:
            await gateway(scope, receive, send)

    return app


class Console:
    """Checks the session of each request, and answers errors as pages."""

    def __init__(self, service: Service, gateway: ASGIApp) -> None:
        self._service = service
        self._gateway = gateway
        routes = [
            Route("/ui/static/{digest}/{name:path}", serve_static, methods=["GET"]),
            *Login(service).routes(),
            *page_routes(service),
        ]
        self._pages = Router(routes, redirect_slashes=False, default=_no_page)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        began, started = time.perf_counter(), False

        async def timed_send(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                took = f"app;dur={1000 * (time.perf_counter() - began):.1f}"
                message["headers"] = [*message.get("headers", ()), (b"server-timing", took.encode())]
            await send(message)

        try:
            check_same_origin(request.method, request.headers)
            if not request.url.path.startswith(_OPEN):
                request.state.visitor = await visitor_of(scope, self._service, request.cookies)
            if request.url.path.startswith(API + "/"):
                await self._call_api(scope, receive, send)
                return
            await self._pages(scope, receive, timed_send)
        except ConnectionResetError:
            log.debug("the client left before its request was complete")
        except GatewayError as error:
            await (await _refusal(request, error))(scope, receive, timed_send)
        except Exception as exc:
            log_exception(log, f"the page {scope['path']} failed", exc)
            if started:
                raise
            internal = InternalError("The page failed; the log of the gateway has the details.")
            await (await _refusal(request, internal))(scope, receive, timed_send)

    async def _call_api(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on to the gateway itself, with the rights of the session in place of a key."""
        visitor = scope["state"]["visitor"]
        path = scope["path"].removeprefix(API)
        headers = [
            pair for pair in scope["headers"] if pair[0] not in (b"cookie", b"origin", b"authorization", b"x-api-key")
        ]
        inner = dict(scope) | {"path": path, "raw_path": quote(path).encode(), "headers": headers}
        inner["state"] = {name: value for name, value in scope["state"].items() if name != "visitor"}
        inner["state"]["session"] = SessionAccess(visitor.operator, visitor.grant)
        await self._gateway(inner, receive, send)


async def _refusal(request: Request, error: GatewayError) -> Response:
    """An error as a page, as a sentence if htmx asks for a part, or as JSON to scripts; without a session, the page to log in."""
    if request.url.path.startswith(API + "/"):
        return Response(error.body(), error.status, {**HEADERS, **error.headers}, media_type="application/json")
    part = request.headers.get("hx-request") == "true"
    if isinstance(error, NotLoggedIn):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        target = f"/ui/login?next={quote(asked)}"
        return Response(status_code=401, headers={"hx-redirect": target}) if part else RedirectResponse(target, 303)
    return await page(request, "problem.html" if part else "error.html", error.status, error=error)


async def _no_page(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is no page at {scope['path']}.")


def _wants_html(scope: Scope) -> bool:
    accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
    return b"text/html" in accept
