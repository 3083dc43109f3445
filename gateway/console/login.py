"""Login and logout: a key, sent once, becomes a session."""

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console.forms import form_fields
from gateway.console.rendering import page
from gateway.console.sessions import Session, admin_digest
from gateway.console.visitor import COOKIE, sessions_of
from gateway.core.errors import AuthenticationFailed
from gateway.http.auth import is_admin_key
from gateway.http.authentication_failures import AuthenticationFailures
from gateway.http.service import Service

HOME = "/ui"


class Login:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._failures = AuthenticationFailures(service.metrics.authentication_failed)

    def routes(self) -> list[Route]:
        """The routes that need no session."""
        return [
            Route("/ui/login", self.show, methods=["GET"]),
            Route("/ui/login", self.log_in, methods=["POST"]),
            Route("/ui/logout", self.log_out, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        if self._service.in_force.portfolio.settings.admin_key is None:
            return RedirectResponse(HOME, 303)
        return await page(request, "login.html", next=own_path(request.query_params.get("next")), problem="")

    async def log_in(self, request: Request) -> Response:
        """With the admin key, or with a gateway key, which sees its own requests and spending only."""
        fields = await form_fields(request)
        given, onward = fields.get("key", "").strip().encode(), own_path(fields.get("next"))
        try:
            session = await self._session(request, given)
        except AuthenticationFailed as error:
            address = "unknown" if request.client is None else request.client.host
            self._failures.add("gateway", error.reason if given else "missing", address)
            return await page(request, "login.html", 401, next=onward, problem=error.message)
        value = await sessions_of(self._service).open(session)
        answer = RedirectResponse(onward, 303)
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        answer.set_cookie(COOKIE, value, path=HOME, httponly=True, samesite="strict", secure=secure)
        return answer

    async def _session(self, request: Request, given: bytes) -> Session:
        if not given:
            raise AuthenticationFailed("Type a key.")
        settings, keys = self._service.in_force.portfolio.settings, self._service.keys
        if is_admin_key(given, settings):
            return Session(None, admin_digest(given))
        address = "unknown" if request.client is None else request.client.host
        grant = await keys.grant(given, address)
        return Session(grant.identity.id, await keys.digest(given))

    async def log_out(self, request: Request) -> Response:
        if value := request.cookies.get(COOKIE):
            await sessions_of(self._service).close(value)
        answer = RedirectResponse("/ui/login", 303)
        answer.delete_cookie(COOKIE, path=HOME, httponly=True, samesite="strict")
        return answer


def own_path(given: str | None) -> str:
    """The page of the console that a login leads to; the overview for anything that is no page of the console."""
    try:
        parts = urlsplit(given or HOME)
    except ValueError:
        return HOME
    inside = parts.path == HOME or parts.path.startswith(HOME + "/")
    if parts.scheme or parts.netloc or not inside or "\\" in parts.path or parts.path.startswith("/ui/log"):
        return HOME
    return parts.path + (f"?{parts.query}" if parts.query else "")
