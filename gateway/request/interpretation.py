"""Interprets a parsed chat request before routing: overrides, what its key allows, utility calls, and the query text.

Each step may read the whole conversation, so that large requests are interpreted in a thread.
"""

from collections.abc import Mapping
from dataclasses import replace

from gateway.bodies.offload import LARGE, offloaded
from gateway.config.access import EVERYTHING, Allowed
from gateway.config.settings import UtilityCalls
from gateway.request.chat_request import ChatRequest
from gateway.request.overrides import with_overrides
from gateway.request.utility_calls import mark_utility_call


async def interpret(
    request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None, allowed: Allowed
) -> ChatRequest:
    """Return the request with its overrides and, for a large request, its query; utility calls are marked.

    Args:
        headers: the client's headers, names in lower case.
        calls: how to identify utility calls; None identifies none.
        allowed: the models and policies that the key of the request may use.

    Raises:
        InvalidRequest: an override is invalid; `param` names its header or field.
    """
    return await offloaded(len(request.body), _interpret, request, headers, calls, allowed)


def _interpret(
    request: ChatRequest, headers: Mapping[bytes, bytes], calls: UtilityCalls | None, allowed: Allowed
) -> ChatRequest:
    request = mark_utility_call(within(allowed, with_overrides(request, headers)), calls)
    return replace(request, cached_query=request.query) if len(request.body) >= LARGE else request


def at_cost(factor: float, request: ChatRequest) -> ChatRequest:
    """Return the request with what money counts to its policy, in place of 1."""
    if factor == 1.0:
        return request
    return replace(request, overrides=replace(request.overrides, cost_factor=factor))


def within(allowed: Allowed, request: ChatRequest) -> ChatRequest:
    """Return the request with the models and policies that its key may use."""
    if allowed == EVERYTHING:
        return request
    return replace(request, overrides=replace(request.overrides, allowed=allowed))
