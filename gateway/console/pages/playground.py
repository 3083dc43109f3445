"""The playground: one request to several models side by side, with the decision before it is sent."""

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console import formats
from gateway.console.guard import HEADERS
from gateway.console.rendering import page
from gateway.console.stored_request import CHAT, body_answer, find_request, load_request, loading
from gateway.console.visitor import OPERATOR, PLAYGROUND, Visitor
from gateway.http.model_list import list_models
from gateway.http.service import Service
from gateway.routing.decision import AUTO


class PlaygroundPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The page, the body of a stored request, and what is known of a request that the page has sent."""
        return [
            Route("/ui/playground", self.show, methods=["GET"]),
            Route("/ui/playground/body", self.body, methods=["GET"]),
            Route("/ui/playground/result", self.result, methods=["GET"]),
        ]

    async def show(self, request: Request) -> Response:
        """The page; with `?request=ID`, the request with this id is loaded into it."""
        visitor: Visitor = request.state.visitor
        portfolio, note = self._service.in_force.portfolio, ""
        if loads := loading(request):
            stored = await load_request(self._service, request)
            if stored.operation not in ("", CHAT):
                return RedirectResponse(f"/ui/try/{stored.operation}?{loads}", 303)
            note, loads = stored.note, "" if stored.body is None else loads
        entries = [one for one in list_models(self._service.in_force, visitor.grant.allowed) if one["mode"] == "chat"]
        names = [str(one["id"]) for one in entries]
        policies = [name for name in names if name == AUTO or name.startswith(f"{AUTO}:")]
        return await page(
            request,
            "playground.html",
            policies=policies,
            models=[name for name in names if name not in policies],
            loads=loads,
            note=note,
            key=None if visitor.grant is OPERATOR else visitor.grant.identity.name,
            playground_key=PLAYGROUND,
            simulated=portfolio.simulated,
            keys=portfolio.has_keys,
            recorded=self._service.database is not None and portfolio.settings.record is not None,
        )

    async def body(self, request: Request) -> Response:
        """The body of a stored request, byte for byte."""
        return body_answer(await load_request(self._service, request))

    async def result(self, request: Request) -> Response:
        """What the record says of a request that the page has sent, such as its cost; null before it is written."""
        found = await find_request(self._service, request, request.query_params.get("request", ""))
        known = found and {
            "row": found["id"],
            "cost": "unknown" if found["cost_nusd"] is None else formats.usd(found["cost_nusd"]),
            "estimated": bool(found["usage_estimated"]),
            "has_answer": found["error"] is None and found["served"] is not None,
        }
        return Response(orjson.dumps(known), headers=HEADERS, media_type="application/json")
