"""`POST /v1/messages/count_tokens`: right, by the provider of the model itself, or absent. An estimate would pass for a count."""

from collections.abc import Mapping

import orjson
from starlette.responses import Response

from gateway.control import controlled
from gateway.dialects.messages.dialect import Messages
from gateway.errors import NotFound, ProviderRejected, UpstreamsFailed
from gateway.fleet import LiveDeployment
from gateway.request import Native, parse_object
from gateway.service import Service
from gateway.upstream.direct import bare_name
from gateway.upstream.failures import FOR_CLIENT, UpstreamFailure
from gateway.upstream.redact import redacted

PATH = "/messages/count_tokens"


async def count_tokens(service: Service, body: bytes, headers: Mapping[bytes, bytes]) -> Response:
    """The provider's own count.

    Raises:
        GatewayError: the request is wrong; nobody counts for its model, or whoever does cannot be reached.
    """
    fields = parse_object(body)
    # The API has no output limit here, which a Messages request must have: it does not change who answers.
    request = controlled(await Messages().parse(orjson.dumps({"max_tokens": 1} | fields), headers), headers)
    routing = service.in_force.routing
    decision = await routing.decide(request, service.sessions.find(request, headers))
    assert request.native is not None, "a Messages request has its native form"
    native = Native("messages", body, fields, request.native.headers)
    counting = [live for live in routing.live[decision.chosen].deployments if "messages" in live.apis]
    if not counting:
        raise NotFound(f"Nobody counts tokens for {decision.model}: no deployment of it speaks the Messages API.")
    for live in counting:
        if live.unavailable() is not None:
            continue
        answer = await _ask(service, live, native)
        if answer is not None:
            return answer
    raise UpstreamsFailed(502, f"No deployment of {decision.model} that counts tokens could be reached.")


async def _ask(service: Service, live: LiveDeployment, native: Native) -> Response | None:
    """A deployment's answer; None where the next one should be asked."""
    try:
        body = native.outgoing(bare_name(live.spec))
        answer = await service.failover.direct.fetch(live.spec, PATH, body, native)
    except UpstreamFailure as failure:
        if failure.cause in FOR_CLIENT:
            error = redacted(failure.error or {}, live.spec)
            raise ProviderRejected(failure.status or 400, error, failure.cause.value) from failure
        return None
    return Response(answer, media_type="application/json")
