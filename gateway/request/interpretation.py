"""From a parsed request to one that is understood: what it asks of the gateway, whether it is a utility call, its query.

What takes long for a large request runs in a thread, since all of it reads the whole conversation.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.bodies.offload import LARGE, offloaded
from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import ChatRequest
from gateway.request.overrides import with_overrides
from gateway.request.utility_calls import mark_utility_call


async def interpret(request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None) -> ChatRequest:
    """The request with all that can be read from it before it is routed.

    Args:
        headers: the client's, names in lower case.
        calls: which requests are utility calls.

    Raises:
        InvalidRequest: as `controlled`.
    """
    return await offloaded(len(request.body), _interpret, request, headers, calls)


def _interpret(request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None) -> ChatRequest:
    request = mark_utility_call(with_overrides(request, headers), calls)
    return replace(request, cached_query=request.query) if len(request.body) >= LARGE else request
