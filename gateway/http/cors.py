"""Cross-origin requests: which web pages may use the gateway in a browser (WHATWG Fetch, 3.2). Off by default.

Outermost, around the edge: a preflight brings no key, and a page must be able to read errors too.
"""

from collections.abc import Callable

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.config.portfolio import Settings

METHODS = ("GET", "HEAD", "POST", "DELETE")


class Cors:
    """Adds the headers that browsers ask for, by the origins in force; without any it is one look at the settings.

    Args:
        settings: in force; asked for every request, so a reload changes them.
    """

    def __init__(self, app: ASGIApp, settings: Callable[[], Settings]) -> None:
        self._app = app
        self._settings = settings
        self._origins: tuple[str, ...] = ()
        self._allowing = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origins = self._settings().cors_origins
        if origins != self._origins:
            self._origins = origins
            self._allowing = _allow(self._app, origins) if origins else self._app
        await self._allowing(scope, receive, send)


def _allow(app: ASGIApp, origins: tuple[str, ...]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=["*"],  # each client library has some of its own
        allow_credentials=False,  # a key is sent by the page itself, never by the browser
        allow_private_network=True,  # a page of the internet, a gateway on the desk
        expose_headers=["*"],  # all of ours are for the client
    )
