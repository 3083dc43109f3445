"""Cross-origin requests: allows the web pages of some origins to use the gateway in a browser (WHATWG Fetch, 3.2).

Off by default. This middleware is the outermost, since a preflight request has no key, and a page must be able to read errors.
"""

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.settings import Settings

METHODS = ("GET", "HEAD", "POST", "DELETE")


class Cors:
    """Adds CORS headers for the origins in force; without any origin it only passes requests on.

    Args:
        settings: gives the settings in force; called for each request, so a reload changes them.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings
        self._origins: tuple[str, ...] = ()
        self._app_for_origins = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = self._settings().cors_origins
        if origins != self._origins:
            self._origins = origins
            self._app_for_origins = _with_cors(self._app, origins) if origins else self._app
        await self._app_for_origins(scope, receive, send)


def _with_cors(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["*"],  # each client library sends headers of its own
        allow_credentials=False,  # the page itself sends the key, never the browser
        allow_private_network=True,  # a page from the internet may call a gateway on the user's machine
        expose_headers=["*"],  # all headers of the gateway are meant for the client
    )
