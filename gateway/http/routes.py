"""The routes besides the model endpoints: models, stored responses, routing decisions, token counts, health, metrics, documents."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp

from gateway import __version__
from gateway.bodies.offload import offloaded
from gateway.bodies.request_body import read_body
from gateway.config.access import Allowed, Grant
from gateway.core.key_digest import key_digest
from gateway.ensemble.explanation import explain_ensemble
from gateway.http import stored_responses
from gateway.http.admin_keys import AdminKeys
from gateway.http.admin_models import AdminModels
from gateway.http.admin_onboarding import AdminOnboarding
from gateway.http.admin_replay import AdminReplay
from gateway.http.admin_usage import usage
from gateway.http.admission import Admission, Admitted
from gateway.http.auth import Headers, is_operator
from gateway.http.drift import AdminDrift
from gateway.http.feedback import FeedbackEndpoint
from gateway.http.model_list import model_list, one_model
from gateway.http.openapi.document import document_json
from gateway.http.openapi.page import PAGE_POLICY, document_page
from gateway.http.readiness import readiness
from gateway.http.request_limits import RequestLimits
from gateway.http.service import Service
from gateway.http.token_counts import PATH as COUNT_TOKENS
from gateway.http.token_counts import count_tokens
from gateway.keys.description import own_key
from gateway.limits.left import left_of
from gateway.request.chat_request import parse_chat
from gateway.request.interpretation import at_cost, interpret
from gateway.routing.requested_policy import requested_ensemble
from gateway.routing.route_explanation import explain

Handler = Callable[[Request], Awaitable[Response]]


def routes(handlers: "Handlers", endpoints: Mapping[str, ASGIApp], admission: Admission) -> list[Route]:
    """All routes. Those of the API exist under `/v1` and without a prefix.

    Args:
        endpoints: the model endpoints by path, already behind admission.
        admission: limits those handlers that read a body or much from the store.
    """

    def admitted(handler: Handler) -> ASGIApp:
        return Admitted(request_response(handler), admission)

    api = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()),
        Route("/route", admitted(handlers.route), methods=["POST"]),
        Route(COUNT_TOKENS, admitted(handlers.count_tokens), methods=["POST"]),
        Route("/responses/{response_id}", admitted(handlers.retrieve_response), methods=["GET"]),
        Route("/responses/{response_id}", handlers.delete_response, methods=["DELETE"]),
        Route("/responses/{response_id}/input_items", admitted(handlers.list_input_items), methods=["GET"]),
        Route("/feedback", admitted(FeedbackEndpoint(handlers.service).receive), methods=["POST"]),
        Route("/key", handlers.key, methods=["GET"]),
        Route("/models", handlers.models),
        Route("/models/{name:path}", handlers.model),
    ]
    return [
        *(Route(f"/v1{route.path}", route.endpoint, methods=route.methods) for route in api),
        *api,
        Route("/", handlers.root),
        Route("/openapi.json", handlers.openapi),
        Route("/v1/openapi.json", handlers.openapi),
        Route("/docs", handlers.docs),
        Route("/health/live", handlers.live),
        Route("/health/ready", handlers.ready),
        Route("/metrics", handlers.metrics),
        Route("/admin/usage", handlers.usage, methods=["GET"]),
        *AdminKeys(handlers.service).routes(),
        *AdminOnboarding(handlers.service).routes(),
        *AdminModels(handlers.service).routes(),
        *AdminDrift(handlers.service).routes(),
        *AdminReplay(handlers.service).routes(),
    ]


class Handlers:
    """Answers the requests of these routes from one service."""

    def __init__(self, service: Service) -> None:
        self.service = service

    async def key(self, request: Request) -> Response:
        """What the key of the request may do."""
        grant = _grant(request)
        return _json(
            own_key(grant) | {"left": left_of(await self.service.limiter.current(grant)) if grant.scopes else None}
        )

    async def models(self, request: Request) -> Response:
        anthropic = "anthropic-version" in request.headers
        return _json(model_list(self.service.in_force, _allowed(request), anthropic=anthropic))

    async def model(self, request: Request) -> Response:
        name = request.path_params["name"]
        anthropic = "anthropic-version" in request.headers
        return _json(one_model(self.service.in_force, name, _allowed(request), anthropic=anthropic))

    async def route(self, request: Request) -> Response:
        """The decision that a chat request would get, without calling a model."""
        async with self._admitted(request) as limits:
            return await self._explained(request, limits.cost_factor)

    async def _explained(self, request: Request, cost_factor: float) -> Response:
        service, headers = self.service, _headers(request)
        body = await self._body(request, headers)
        parsed = await offloaded(len(body), parse_chat, body)
        calls = service.in_force.portfolio.settings.utility_calls
        chat = at_cost(cost_factor, await interpret(parsed, headers, calls, _allowed(request)))
        conversation = await service.find_conversation(chat, headers)
        routing = service.in_force.routing
        decision = await routing.decide(chat, conversation)
        ensemble = requested_ensemble(service.in_force.portfolio, chat, decision.policy)
        explained = await explain(routing, chat, conversation, decision)
        return _json(explained | {"ensemble": ensemble and await explain_ensemble(ensemble, chat, decision)})

    async def count_tokens(self, request: Request) -> Response:
        headers = _headers(request)
        async with self._admitted(request):
            return await count_tokens(self.service, await self._body(request, headers), headers, _allowed(request))

    async def retrieve_response(self, request: Request) -> Response:
        return await stored_responses.retrieve(request, self.service.responses, key_digest(_headers(request)))

    async def delete_response(self, request: Request) -> Response:
        return await stored_responses.delete(request, self.service.responses, key_digest(_headers(request)))

    async def list_input_items(self, request: Request) -> Response:
        return await stored_responses.input_items(request, self.service.responses, key_digest(_headers(request)))

    async def root(self, request: Request) -> Response:
        return _json({"name": "Locus Gateway", "version": __version__, "documentation": "/docs"})

    async def openapi(self, request: Request) -> Response:
        return Response(document_json(), media_type="application/json")

    async def docs(self, request: Request) -> Response:
        portfolio = self.service.in_force.portfolio
        keys = bool(portfolio.access.keys) or portfolio.settings.run_time_keys
        page = document_page(str(request.base_url).rstrip("/"), keys=keys)
        return HTMLResponse(page, headers={"content-security-policy": PAGE_POLICY})

    async def live(self, request: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(self, request: Request) -> Response:
        """200 if the gateway is ready, else 503; only the operator gets the details."""
        report = readiness(self.service)
        status = 200 if report["status"] == "ready" else 503
        if not is_operator(request.scope, self.service.in_force.portfolio.settings):
            report = {"status": report["status"]}
        return _json(report, status)

    async def metrics(self, request: Request) -> Response:
        text, media_type = await self.service.metrics.exposition(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": media_type})

    async def usage(self, request: Request) -> Response:
        return await usage(self.service, request)

    @asynccontextmanager
    async def _admitted(self, request: Request) -> AsyncIterator[RequestLimits]:
        """Counts a request that calls no model towards the requests of the key; it costs nothing.

        Raises:
            GatewayError: a limit is reached.
        """
        limits = RequestLimits(self.service, _grant(request))
        await limits.admit()
        try:
            yield limits
        finally:
            limits.settle([])

    async def _body(self, request: Request, headers: Headers) -> bytes:
        limit = self.service.in_force.portfolio.settings.max_body_bytes
        return await read_body(request.receive, limit, headers.get(b"content-encoding", b""))


def _headers(request: Request) -> Headers:
    return dict(request.scope["headers"])


def _grant(request: Request) -> Grant:
    grant: Grant = request.scope["state"]["grant"]
    return grant


def _allowed(request: Request) -> Allowed:
    return _grant(request).allowed


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
