"""One request: its calls in time, the models that were compared, what it cost, and feedback."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console.candidates import finding
from gateway.console.forms import form_fields
from gateway.console.rendering import page
from gateway.console.request_view import view_of
from gateway.console.visitor import Visitor
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.feedback.outcome import source_of_key
from gateway.http.feedback import admitted, keep_feedback, parse_feedback
from gateway.http.service import Service


class OneRequestPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The page, and its form for feedback."""
        path = "/ui/requests/{request_id}"
        return [Route(path, self.show, methods=["GET"]), Route(path, self.give_feedback, methods=["POST"])]

    async def show(self, request: Request) -> Response:
        """
        Raises:
            NotFound: there is no such request, or it is of another key.
        """
        view = await view_of(self._service, request)
        policy = self._service.in_force.portfolio.policies.get(view.row["policy"] or "")
        texts = bool(self._service.in_force.portfolio.settings.store_prompts)
        return await page(
            request,
            "request.html",
            view=view,
            row=view.row,
            finding=finding(view.candidates),
            policy=policy,
            texts=texts,
            thanks="feedback" in request.query_params,
        )

    async def give_feedback(self, request: Request) -> Response:
        """Keeps what the visitor says of the answer, in place of what it said before.

        Raises:
            NotFound: there is no such request, or it is of another key.
            InvalidRequest: a field is wrong, or no model answered.
        """
        visitor: Visitor = request.state.visitor
        given, view = await form_fields(request), await view_of(self._service, request)
        fields: JsonObject = {"request_id": view.row["request_id"]}
        if verdict := given.get("verdict"):
            fields["verdict"] = None if verdict == "none" else verdict
        else:
            fields["score"] = _score(given.get("score", ""))
        fields |= {name: given[name] for name in ("comment", "expected") if given.get(name)}
        async with admitted(self._service, visitor.grant):
            source = source_of_key(visitor.grant.identity.id)
            await keep_feedback(self._service, parse_feedback(fields), view.row["key_id"], source)
        return RedirectResponse(f"{request.url.path}?row={view.row['id']}&feedback=kept#feedback", 303)


def _score(text: str) -> float:
    try:
        return float(text)
    except ValueError as exc:
        raise InvalidRequest("`score` must be a number from 0 to 1.", param="score") from exc
