"""The requests of the record: newest first, page by page, with filters, and new ones as they come."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from gateway.console.key_names import file_key_names, stored_key_names
from gateway.console.rendering import page
from gateway.console.request_query import RequestQuery, read_query, shown_rows
from gateway.console.visitor import Visitor
from gateway.http.service import Service
from gateway.store.transactions import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.record.reading import RequestFilter


class RequestsPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The page; with the parameter `new`, only the rows that have come since."""
        return [Route("/ui/requests", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """
        Raises:
            InvalidRequest: a parameter is wrong.
            StoreUnavailable: the database cannot be used.
        """
        visitor: Visitor = request.state.visitor
        query = read_query(request.query_params, operator=visitor.operator)
        settings = self._service.in_force.portfolio.settings
        if self._service.database is None or settings.record is None:
            return await page(request, "no_record.html", title="Requests")
        async with reading(self._service.database, "the record") as connection:
            which = query.condition(visitor.key_id, time.time())
            if "new" in request.query_params:
                found = await connection.run_sync(_new, which, request.query_params)
                return await self._new_rows(request, *found)
            values = await connection.run_sync(_page, which, query)
            names = await connection.run_sync(stored_key_names) if visitor.operator else {}
        found_page = values["found"]
        if query.after is not None and found_page.newer is None:
            return RedirectResponse(query.address, 303)  # rather than a first page that is not full
        names |= file_key_names(self._service) if visitor.operator else {}
        values |= {"asked": query, "keys": sorted(names.items(), key=lambda one: one[1].casefold())}
        portfolio = self._service.in_force.portfolio
        values |= {"models": [(name, name) for name in sorted(portfolio.model_names)]}
        values |= {"policies": [(name, name) for name in portfolio.policies], "rows": _listed(found_page.rows)}
        return await page(request, "requests.html", searchable=bool(settings.store_prompts), **values)

    async def _new_rows(self, request: Request, rows: list[dict[str, Any]], last: int, more: bool) -> Response:
        if rows:
            answer: Response = await page(request, "request_rows.html", rows=_listed(rows), fresh=True)
        else:
            answer = Response(status_code=204, headers={"cache-control": "no-store"})
        answer.headers["locus-last"] = str(last)
        if more:
            answer.headers["locus-more"] = "yes"
        return answer


def _listed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the number of calls that failed, deployments that were not called left out."""
    return [row | {"failed_calls": sum(one.get("called", True) for one in row["failover"] or ())} for row in rows]


def _new(
    connection: "Connection", which: "RequestFilter", parameters: Mapping[str, str]
) -> tuple[list[dict[str, Any]], int, bool]:
    from gateway.record.pages import last_id, new_of

    last = last_id(connection)  # read first: what comes between is looked at again
    rows, more = new_of(connection, which, *shown_rows(parameters))
    return rows, last, more


def _page(connection: "Connection", which: "RequestFilter", query: RequestQuery) -> dict[str, Any]:
    from gateway.record import pages

    last = pages.last_id(connection)
    place = query.before if query.after is None else query.after
    found = pages.page_of(connection, which, place, newer=query.after is not None)
    most = pages.MOST_LOOKED if which.words is None else pages.MOST_SEARCHED
    return {"found": found, "last": last, "first": place is None, "most": most}
