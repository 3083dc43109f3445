"""Assembles the ASGI application from endpoints, routes and middleware. Holds no logic.

    POST to a model:  Cors -> Edge -> Admitted -> ChatEndpoint
    all else:         Cors -> Starlette -> Edge -> route

`Cors` serves web pages of other origins, `Edge` checks the key and writes errors, `Admitted` limits the requests at once. A
request to a model takes the short way: Starlette's router and middleware would add a tenth to its time. Clients, stores and
tasks are opened and closed by `gateway.http.service.open_service`, so the application itself has no lifespan.
"""

from collections.abc import Mapping
from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.dialect import Dialect
from gateway.config.settings import Settings
from gateway.http.admission import Admission, Admitted
from gateway.http.authentication_failures import AuthenticationFailures
from gateway.http.completions_endpoint import CompletionsEndpoint
from gateway.http.cors import Cors
from gateway.http.dialects import dialects_by_path
from gateway.http.edge import Edge, http_exception
from gateway.http.embeddings_endpoint import EmbeddingsEndpoint
from gateway.http.exchange import ChatEndpoint
from gateway.http.request_trace import trace_refused
from gateway.http.routes import Handlers, routes
from gateway.http.service import Service

PREFIXES = ("/v1", "")


def create_app(service: Service, extra_routes: list[BaseRoute] | None = None) -> ASGIApp:
    """The gateway over an open service.

    Args:
        extra_routes: further routes, such as the controls of the simulated provider.
    """

    def settings() -> Settings:
        return service.in_force.portfolio.settings

    admission = Admission(settings, service.metrics)
    keys = service.keys
    failures = AuthenticationFailures(service.metrics.authentication_failed)
    dialects = dialects_by_path(service.responses)
    endpoints = {path: Admitted(endpoint, admission) for path, endpoint in model_endpoints(service, dialects).items()}
    starlette = Starlette(
        routes=[*routes(Handlers(service), endpoints, admission), *(extra_routes or [])],
        middleware=[Middleware(Edge, settings=settings, dialects=dialects, keys=keys, failures=failures)],
        exception_handlers={HTTPException: partial(http_exception, dialects)},
    )
    direct = {
        f"{prefix}{path}": Edge(app, settings, dialects, keys, failures, partial(trace_refused, service))
        for prefix in PREFIXES
        for path, app in endpoints.items()
    }
    return Cors(_dispatch(direct, starlette), settings)


def model_endpoints(service: Service, dialects: Mapping[str, Dialect]) -> dict[str, ASGIApp]:
    """The endpoints that call models, by their paths without a prefix; all of them take POST."""
    classes = {"/completions": CompletionsEndpoint}
    endpoints: dict[str, ASGIApp] = {
        path: classes.get(path, ChatEndpoint)(service, dialect) for path, dialect in dialects.items()
    }
    return endpoints | {"/embeddings": EmbeddingsEndpoint(service)}


def _dispatch(direct: dict[str, Edge], others: ASGIApp) -> ASGIApp:
    """An application that sends a POST to a path of `direct` there, and all else to `others`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = direct.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (endpoint or others)(scope, receive, send)

    return app
