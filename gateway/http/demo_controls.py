"""`POST /demo/stop/{model}` and `/demo/start/{model}`: stop a simulated model, to see which model answers in its place.

These routes exist only in demo mode, and only programs of the same machine may call them.
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
    """The routes that control one simulated provider."""

    async def stop(request: Request) -> Response:
        return await control(request, provider.stop)

    async def start(request: Request) -> Response:
        return await control(request, provider.start)

    async def control(request: Request, action: Callable[[str], Awaitable[None]]) -> Response:
        check_this_machine(request.scope)
        name = request.path_params["model"]
        try:
            await action(name)
        except KeyError as exc:
            raise UnknownModel(f"There is no simulated model `{name}`; there are {', '.join(model_names())}.") from exc
        running = {model: model in provider.running for model in model_names()}
        return Response(orjson.dumps({"running": running}), media_type="application/json")

    def model_names() -> list[str]:
        return list(provider.base_urls)

    return [Route("/demo/stop/{model}", stop, methods=["POST"]), Route("/demo/start/{model}", start, methods=["POST"])]
