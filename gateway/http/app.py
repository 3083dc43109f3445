"""Assembles the ASGI application: routes and middleware. Holds no logic."""

from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway import __version__
from gateway.api.chat.dialect import Chat
from gateway.api.messages.dialect import Messages
from gateway.api.responses.dialect import Responses
from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Settings
from gateway.core.key_digest import key_digest
from gateway.deployments.live import LiveModel
from gateway.http import stored_responses
from gateway.http.admission import Admission, Admitted
from gateway.http.auth import is_operator
from gateway.http.completions_endpoint import CompletionsEndpoint
from gateway.http.cors import Cors
from gateway.http.edge import Edge, http_exception
from gateway.http.embeddings_endpoint import EmbeddingsEndpoint
from gateway.http.exchange import ModelEndpoint
from gateway.http.model_list import model_list, one_model
from gateway.http.openapi.document import document_json
from gateway.http.openapi.page import PAGE_POLICY, document_page
from gateway.http.refused_keys import RefusedKeys
from gateway.http.service import Service
from gateway.http.token_counts import PATH as COUNT_TOKENS
from gateway.http.token_counts import count_tokens
from gateway.record import metrics
from gateway.request.chat_request import parse_chat, read_body
from gateway.request.interpretation import understood
from gateway.routing.explanation import explain

PREFIXES = ("/v1", "")


def create_app(service: Service, extra: list[BaseRoute] | None = None) -> ASGIApp:
    """The gateway over an open service.

    Requests to models go straight to their endpoint: Starlette's router and middleware would be a tenth of what one costs.

    Args:
        extra: further routes, such as the controls of the simulated provider.
    """

    def settings() -> Settings:
        return service.in_force.portfolio.settings

    admission = Admission(lambda: settings().load, service.metrics)
    refused = RefusedKeys(service.metrics.key_refused)
    responses = Responses(service.responses, key_digest)
    endpoints = {
        "/chat/completions": Admitted(ModelEndpoint(service, Chat(responses)), admission),
        "/messages": Admitted(ModelEndpoint(service, Messages()), admission),
        "/responses": Admitted(ModelEndpoint(service, responses), admission),
        "/embeddings": Admitted(EmbeddingsEndpoint(service), admission),
        "/completions": Admitted(CompletionsEndpoint(service), admission),
    }

    async def models(request: Request) -> Response:
        return _json(model_list(service.in_force, anthropic="anthropic-version" in request.headers))

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        return _json(one_model(service.in_force, name, anthropic="anthropic-version" in request.headers))

    async def route(request: Request) -> Response:
        headers = dict(request.scope["headers"])
        body = await read_body(request.receive, settings().max_body_bytes, headers.get(b"content-encoding", b""))
        parsed = await offloaded(len(body), parse_chat, body)
        asked = await understood(parsed, headers, settings().utility_calls)
        conversation = await offloaded(len(body), service.sessions.find, asked, headers)
        return _json(await explain(service.in_force.routing, asked, conversation))

    async def count(request: Request) -> Response:
        headers = dict(request.scope["headers"])
        body = await read_body(request.receive, settings().max_body_bytes, headers.get(b"content-encoding", b""))
        return await count_tokens(service, body, headers)

    async def retrieve_response(request: Request) -> Response:
        return await stored_responses.retrieve(request, service.responses, key_digest(dict(request.scope["headers"])))

    async def delete_response(request: Request) -> Response:
        return await stored_responses.delete(request, service.responses, key_digest(dict(request.scope["headers"])))

    async def list_input_items(request: Request) -> Response:
        return await stored_responses.input_items(
            request, service.responses, key_digest(dict(request.scope["headers"]))
        )

    async def root(request: Request) -> Response:
        return _json({"name": "Locus Gateway", "version": __version__, "documentation": "/docs"})

    async def openapi(request: Request) -> Response:
        return Response(document_json(), media_type="application/json")

    async def docs(request: Request) -> Response:
        return HTMLResponse(document_page(), headers={"content-security-policy": PAGE_POLICY})

    async def live(request: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(request: Request) -> Response:
        report = _readiness(service)
        status = 200 if report["status"] == "ready" else 503
        if not is_operator(request.scope, settings()):
            report = {"status": report["status"]}
        return _json(report, status)

    async def prometheus(request: Request) -> Response:
        return Response(await service.metrics.exposition(), media_type=metrics.CONTENT_TYPE)

    api: list[BaseRoute] = [
        *(Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()),
        Route("/route", Admitted(request_response(route), admission), methods=["POST"]),
        Route(COUNT_TOKENS, Admitted(request_response(count), admission), methods=["POST"]),
        Route("/responses/{response_id}", Admitted(request_response(retrieve_response), admission), methods=["GET"]),
        Route("/responses/{response_id}", delete_response, methods=["DELETE"]),
        Route(
            "/responses/{response_id}/input_items",
            Admitted(request_response(list_input_items), admission),
            methods=["GET"],
        ),
        Route("/models", models),
        Route("/models/{name:path}", model),
    ]
    others = Starlette(
        routes=[
            *(Route(f"/v1{r.path}", r.endpoint, methods=r.methods) for r in api if isinstance(r, Route)),
            *api,
            Route("/", root),
            Route("/openapi.json", openapi),
            Route("/v1/openapi.json", openapi),
            Route("/docs", docs),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/metrics", prometheus),
            *(extra or []),
        ],
        middleware=[Middleware(Edge, settings=settings, refused=refused)],
        exception_handlers={HTTPException: http_exception},
    )
    straight = {
        f"{prefix}{path}": Edge(endpoint, settings, refused)
        for prefix in PREFIXES
        for path, endpoint in endpoints.items()
    }

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = straight.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        await (endpoint or others)(scope, receive, send)

    return Cors(app, settings)


def _readiness(service: Service) -> dict[str, Any]:
    """Ready where at least one chat model can be called; names what cannot, and why."""
    in_force = service.in_force
    models = {name: _availability(live) for name, live in in_force.fleet.models.items()}
    ready = any(model["available"] for model in models.values())
    return {
        "status": "ready" if ready else "no model available",
        "simulated": in_force.portfolio.simulated,
        "portfolio_since": in_force.since.isoformat(),
        "reload_error": service.reload_error,
        "models": models,
        "embedding_models": {name: _availability(live) for name, live in in_force.fleet.embedding_models.items()},
    }


def _availability(live: LiveModel) -> dict[str, Any]:
    deployments = {d.spec.id: d.unavailable() or "available" for d in live.deployments}
    return {"available": live.unavailable() is None, "deployments": deployments}


def _json(value: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
