"""`POST /v1/messages/count_tokens`: the provider's own count where it speaks Messages, else an estimate that says so."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from gateway.api.messages.dialect import Messages
from gateway.bodies.offload import offloaded
from gateway.core.errors import NoEligibleModel, ProviderRejected
from gateway.deployments.live import LiveDeployment
from gateway.http.service import Service
from gateway.provider_errors.failures import FOR_CLIENT, UpstreamFailure
from gateway.request.chat_request import ChatRequest
from gateway.request.overrides import with_overrides
from gateway.request.prompt_length import counted
from gateway.request.request import Native, parse_object
from gateway.request.requirements import Requirements
from gateway.upstream.direct import bare_name
from gateway.upstream.redact import redact

PATH = "/messages/count_tokens"


async def count_tokens(service: Service, body: bytes, headers: Mapping[bytes, bytes]) -> Response:
    """The tokens of a request: counted for the model that it names, or that `auto` would choose for it.

    Raises:
        GatewayError: the request is wrong.
    """
    fields = await offloaded(len(body), parse_object, body)
    # The API has no output limit here, which a Messages request must have: it does not change who answers.
    whole = await offloaded(len(body), orjson.dumps, {"max_tokens": 1} | fields)
    request = await offloaded(len(whole), with_overrides, await Messages().parse(whole, headers), headers)
    assert request.native is not None, "a Messages request has its native form"
    native = Native("messages", body, fields, request.native.headers)
    for live in await _counting(service, request, headers):
        if live.unavailable() is None and (answer := await _ask(service, live, native)) is not None:
            return answer
    return _estimate(await counted(request.requirements))


async def _counting(service: Service, request: ChatRequest, headers: Mapping[bytes, bytes]) -> list[LiveDeployment]:
    """The deployments of the request's model whose provider counts."""
    routing = service.in_force.routing
    try:
        conversation = await offloaded(len(request.body), service.sessions.find, request, headers)
        decision = await routing.decide(request, conversation)
    except (
        NoEligibleModel
    ):  # as where the prompt is longer than every window: a client that counts wants to know just that
        return []
    return [live for live in routing.live[decision.chosen].deployments if "messages" in live.apis]


async def _ask(service: Service, live: LiveDeployment, native: Native) -> Response | None:
    """A deployment's answer; None where the next one should be asked."""
    try:
        body = await offloaded(len(native.body), native.outgoing, bare_name(live.spec))
        answer = await service.failover.upstreams.direct.fetch(live.spec, PATH, body, native)
    except UpstreamFailure as failure:
        if failure.cause in FOR_CLIENT:
            await offloaded(len(native.body), redact, failure, live.spec, native.fields)
            raise ProviderRejected(failure.status or 400, failure.error or {}, failure.cause.value) from failure
        return None
    return Response(answer, media_type="application/json")


def _estimate(requirements: Requirements) -> Response:
    """By cl100k_base, and by fixed numbers for images and files; other tokenizers differ by some percent."""
    answer = {"input_tokens": requirements.prompt_tokens, "locus": {"estimated": True}}
    return Response(orjson.dumps(answer), media_type="application/json", headers={"x-locus-estimated": "true"})
