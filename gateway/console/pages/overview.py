"""The first page: what the gateway did lately, what it cost and saved, and what needs attention."""

import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.config.access_reader import FILE_KEY
from gateway.console.attention import notices
from gateway.console.key_names import file_key_names, names_of_keys
from gateway.console.rendering import page
from gateway.console.time_chart import spending_chart, traffic_chart
from gateway.console.visitor import Visitor
from gateway.http.service import Service
from gateway.store.transactions import reading

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from gateway.record.activity import Activity

PERIODS = {"day": ("24 hours", 1), "week": ("7 days", 7), "month": ("30 days", 30)}


class OverviewPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The page."""
        return [Route("/ui", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        """
        Raises:
            StoreUnavailable: the database cannot be used.
        """
        visitor: Visitor = request.state.visitor
        period = request.query_params.get("period", "day")
        name, days = PERIODS.get(period, PERIODS["day"])
        attention = await notices(self._service, visitor)
        if self._service.database is None:
            return await page(request, "overview.html", found=None, notices=attention)
        async with reading(self._service.database, "the record") as connection:
            found, names = await connection.run_sync(_read, days, visitor.key_id)
        names |= file_key_names(self._service)
        models = [model.name for model in self._service.in_force.portfolio.models]
        ranked = sorted(found.models.items(), key=lambda one: (-one[1]["nusd"], -one[1]["requests"], one[0]))
        return await page(
            request,
            "overview.html",
            found=found,
            notices=attention,
            periods=PERIODS,
            period=period if period in PERIODS else "day",
            period_name=name,
            charts=[traffic_chart(found), spending_chart(found, models)],
            models=ranked,
            keys=[(id, names.get(id, id.removeprefix(FILE_KEY)), sums) for id, sums in found.keys.items()],
            address=str(request.base_url).rstrip("/"),
        )


def _read(connection: "Connection", days: int, key_id: str | None) -> tuple["Activity", dict[str, str]]:
    from gateway.record.activity import Span, activity

    found = activity(connection, Span.until(time.time(), days), key_id)
    return found, names_of_keys(connection, list(found.keys))
