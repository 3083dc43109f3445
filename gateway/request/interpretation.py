"""Interprets a parsed chat request before routing: overrides, utility calls, and the query text.

Each step may read the whole conversation, so that large requests are interpreted in a thread.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.bodies.offload import LARGE, offloaded
from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import ChatRequest
from gateway.request.overrides import with_overrides
from gateway.request.utility_calls import mark_utility_call


async def interpret(request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None) -> ChatRequest:
    """Return the request with its overrides and, for a large request, its query; utility calls are marked.

    Args:
        headers: the client's headers, names in lower case.
        calls: how to identify utility calls; None identifies none.

    Raises:
        InvalidRequest: an override is invalid; `param` names its header or field.
    """
    return await offloaded(len(request.body), _interpret, request, headers, calls)


def _interpret(request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None) -> ChatRequest:
    request = mark_utility_call(with_overrides(request, headers), calls)
    return replace(request, cached_query=request.query) if len(request.body) >= LARGE else request
