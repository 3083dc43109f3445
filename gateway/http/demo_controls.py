"""`POST /demo/stop/{model}` and `/demo/start/{model}`: take a simulated model down, to see which model stands in for it.

They exist in demo mode alone, and this machine alone may use them.
"""

from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.core.errors import UnknownModel
from gateway.demo.provider import SimulatedProvider
from gateway.http.auth import check_this_machine


def demo_routes(provider: SimulatedProvider) -> list[BaseRoute]:
    """The routes for one provider."""

    async def stop(request: Request) -> Response:
        return await overrides(request, provider.stop)

    async def start(request: Request) -> Response:
        return await overrides(request, provider.start)

    async def overrides(request: Request, action: Callable[[str], Awaitable[None]]) -> Response:
        check_this_machine(request.scope)
        name = request.path_params["model"]
        try:
            await action(name)
        except KeyError as exc:
            raise UnknownModel(f"There is no simulated model `{name}`; there are {', '.join(known())}.") from exc
        running = {model: model in provider.running for model in known()}
        return Response(orjson.dumps({"running": running}), media_type="application/json")

    def known() -> list[str]:
        return list(provider.base_urls)

    return [Route("/demo/stop/{model}", stop, methods=["POST"]), Route("/demo/start/{model}", start, methods=["POST"])]
