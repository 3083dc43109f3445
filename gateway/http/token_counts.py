"""`POST /v1/messages/count_tokens`: the provider's own count if it speaks Messages, else an estimate that is marked as one."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from gateway.api.messages.dialect import Messages
from gateway.bodies.offload import offloaded
from gateway.config.access import Allowed
from gateway.core.errors import NoEligibleModel, ProviderRejected
from gateway.deployments.live import LiveDeployment
from gateway.http.service import Service
from gateway.provider_errors.failures import NO_FAILOVER, UpstreamFailure
from gateway.request.chat_request import ChatRequest
from gateway.request.interpretation import within
from gateway.request.overrides import with_overrides
from gateway.request.prompt_length import with_exact_prompt_tokens
from gateway.request.request import Native, parse_object
from gateway.request.requirements import Requirements
from gateway.upstream.redact import redact
from gateway.upstream.request_headers import provider_model_name

PATH = "/messages/count_tokens"


async def count_tokens(service: Service, body: bytes, headers: Mapping[bytes, bytes], allowed: Allowed) -> Response:
    """Counts the tokens of a request for the model that it names, or that `auto` would choose.

    Args:
        allowed: the models and policies that the key of the request may use.

    Raises:
        GatewayError: the request is invalid.
    """
    fields = await offloaded(len(body), parse_object, body)
    # A Messages request must have an output limit, which this API lacks; its value does not change which model is chosen.
    complete = await offloaded(len(body), orjson.dumps, {"max_tokens": 1} | fields)
    request = await offloaded(len(complete), with_overrides, await Messages().parse(complete, headers), headers)
    request = within(allowed, request)
    assert request.native is not None, "a Messages request has its native form"
    native = Native("messages", body, fields, request.native.headers)
    for live in await _counting_deployments(service, request, headers):
        if live.unavailable() is None and (answer := await _count_at(service, live, native)) is not None:
            return answer
    return estimate(await with_exact_prompt_tokens(request.requirements))


async def _counting_deployments(
    service: Service, request: ChatRequest, headers: Mapping[bytes, bytes]
) -> list[LiveDeployment]:
    """The deployments of the request's model whose provider can count tokens; none if no model can serve the request."""
    routing = service.in_force.routing
    try:
        conversation = await service.find_conversation(request, headers)
        decision = await routing.decide(request, conversation)
    except NoEligibleModel:  # also raised if the prompt is too long, and then the client needs the count most
        return []
    return [live for live in routing.live[decision.chosen].deployments if "messages" in live.apis]


async def _count_at(service: Service, live: LiveDeployment, native: Native) -> Response | None:
    """Returns the count of a deployment, or None if the next deployment should be called.

    Raises:
        ProviderRejected: the request itself is at fault.
    """
    try:
        body = await offloaded(len(native.body), native.upstream_body, provider_model_name(live.spec))
        answer = await service.failover.upstreams.direct.fetch(live.spec, PATH, body, native)
    except UpstreamFailure as failure:
        if failure.cause in NO_FAILOVER:
            await offloaded(len(native.body), redact, failure, live.spec, native.fields)
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        return None
    return Response(answer, media_type="application/json")


def estimate(requirements: Requirements) -> Response:
    """An estimate by cl100k_base, with fixed numbers for images and files; other tokenizers differ by some percent."""
    answer = {"input_tokens": requirements.prompt_tokens, "locus": {"estimated": True}}
    return Response(orjson.dumps(answer), media_type="application/json", headers={"x-locus-estimated": "true"})
