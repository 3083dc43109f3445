"""A box for each operation of the API description, which sends a request to this gateway and shows the whole answer."""

import asyncio
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console.rendering import page
from gateway.console.stored_request import CHAT, load_request, loading
from gateway.console.visitor import Visitor
from gateway.core.errors import NotFound
from gateway.core.json_types import JsonObject
from gateway.http.edge import ADMIN_PATHS
from gateway.http.openapi.document import METHODS, document, resolved
from gateway.http.service import Service


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation.

    Attributes:
        place: "path", "query" or "header".
        example: a value; empty if the description has none.
    """

    name: str
    place: str
    required: bool
    description: str
    example: str


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of the API description.

    Attributes:
        id: its `operationId`.
        tag: the group that it belongs to.
        body: an example of its JSON body; None if it has no body.
        operator: it needs the rights of the operator.
    """

    id: str
    tag: str
    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    body: str | None
    operator: bool


@cache
def operations() -> dict[str, Operation]:
    """All operations by id, in the order of the description."""
    whole = document()
    found: dict[str, Operation] = {}
    for path, methods in whole["paths"].items():
        for method in METHODS:
            if (operation := methods.get(method)) is not None:
                one = _operation(whole, path, method, operation, methods.get("parameters", []))
                found[one.id] = one
    return found


def _operation(whole: JsonObject, path: str, method: str, operation: JsonObject, shared: list[JsonObject]) -> Operation:
    parameters = tuple(
        Parameter(p["name"], p["in"], bool(p.get("required")), p.get("description", ""), str(p.get("example", "")))
        for p in (resolved(whole, one) for one in [*shared, *operation.get("parameters", [])])
    )
    return Operation(
        operation["operationId"],
        operation.get("tags", [""])[0],
        method.upper(),
        path,
        operation.get("summary", ""),
        parameters,
        _example(whole, operation),
        path.startswith(ADMIN_PATHS),
    )


def _example(whole: JsonObject, operation: JsonObject) -> str | None:
    """The example of the operation's JSON body; `{}` if it has a body without an example."""
    media: JsonObject | None = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media is None:
        return None
    examples = [resolved(whole, one).get("value") for one in media.get("examples", {}).values()]
    value: Any = media.get("example") or next(iter(examples), {})
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


class TryPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The pages of all operations."""
        return [
            Route("/ui/try", self.first, methods=["GET"]),
            Route("/ui/try/{operation}", self.show, methods=["GET"]),
        ]

    async def first(self, request: Request) -> Response:
        """The page of the operation that the list of all operations sends; at first the one for chat."""
        one = await _named(request.query_params.get("operation", CHAT))
        return RedirectResponse(f"/ui/try/{one.id}", 303)

    async def show(self, request: Request) -> Response:
        """The page of an operation; with `?request=ID`, the stored body of the request with this id is loaded into it."""
        visitor: Visitor = request.state.visitor
        one = await _named(request.path_params["operation"])
        if one.operator:
            visitor.need_operator()
        note = ""
        if loads := loading(request):
            stored = await load_request(self._service, request)
            note, loads = stored.note, "" if stored.body is None else loads
        shown = [other for other in operations().values() if visitor.operator or not other.operator]
        tags: dict[str, list[Operation]] = {}
        for other in shown:
            tags.setdefault(other.tag, []).append(other)
        portfolio = self._service.in_force.portfolio
        shown_of_gateway: JsonObject = {"keys": portfolio.has_keys, "simulated": portfolio.simulated}
        return await page(request, "try.html", operation=one, tags=tags, loads=loads, note=note, **shown_of_gateway)


async def _named(name: str) -> Operation:
    """An operation; the description is read in a thread.

    Raises:
        NotFound: there is no such operation.
    """
    found = (await asyncio.to_thread(operations)).get(name)
    if found is None:
        raise NotFound(f"The API has no operation `{name[:100]}`: /docs lists them.")
    return found
