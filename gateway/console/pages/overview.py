"""The first page: what the gateway did lately, and what needs attention."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.console.rendering import page
from gateway.http.service import Service


class OverviewPage:
    """Answers the requests of these routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """The page."""
        return [Route("/ui", self.show, methods=["GET"])]

    async def show(self, request: Request) -> Response:
        return await page(request, "overview.html", models=len(self._service.in_force.portfolio.models))
