"""The calls that a request is billed for. Pure functions of what is known of the request at its end."""

from collections.abc import Iterable

from gateway.answering.attempts import CANCELLED, HEDGED, Attempt
from gateway.answering.billed_usage import billed_usage
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.config.portfolio import Deployment
from gateway.config.price import Price
from gateway.core.extras import Extras
from gateway.core.usage import Usage
from gateway.record.request_record import Part
from gateway.request.request import Request

_NO_EXTRAS = Extras()


def billed_part(
    model: str, deployment: Deployment, usage: Usage, *, estimated: bool, extras: Extras = _NO_EXTRAS
) -> Part:
    """A call with its tokens and its cost by the deployment's price.

    Args:
        estimated: the provider did not report the usage.
    """
    price = None if deployment.price is None else deployment.price.of_service(extras.service_tier)
    # A price of LiteLLM's table has no rate for images, or one by the piece beside tokens that are the same images.
    cost_nusd = None
    if price is not None and not (_of_table(deployment) and (extras.has_images or _searches_unknown(price, extras))):
        cost_nusd = price.cost_nusd(usage, extras.web_searches)
    return Part(
        model, deployment.id, *usage[:2], cost_nusd, estimated, *usage[2:], extras.service_tier, extras.web_searches
    )


def _of_table(deployment: Deployment) -> bool:
    return deployment.price is not None and deployment.price.of_table


def _searches_unknown(price: Price, extras: Extras) -> bool:
    return bool(extras.web_searches) and price.search_nusd is None


def answered_parts(request: Request, stream: ContinuedStream | None, open_call: OpenCall | None) -> list[Part]:
    """The calls that the answer is from, in order.

    Args:
        stream: the answer, if it is streamed.
        open_call: the call that began the answer; None without an answer.
    """
    if stream is not None:
        calls = [(call, *stream.usage(call)) for call in stream.calls]
    elif open_call is not None:
        calls = [(open_call, *billed_usage(open_call, request.requirements.prompt_tokens))]
    else:
        return []
    return [
        billed_part(call.candidate.model.name, call.live.spec, usage, estimated=estimated, extras=call.extras)
        for call, usage, estimated in calls
    ]


def abandoned_parts(request: Request, attempts: Iterable[Attempt]) -> list[Part]:
    """The calls that were given up while they ran: another one answered first, or the client left.

    Their prompts count, since the providers were reading them.
    """
    usage = Usage(request.requirements.prompt_tokens, 0)
    parts = []
    for attempt in attempts:
        if attempt.cause in (HEDGED, CANCELLED) and attempt.call is not None:
            model = attempt.candidate.model
            called = next(live.spec for live in model.deployments if live.spec.id == attempt.deployment)
            parts.append(billed_part(model.name, called, usage, estimated=True))
    return parts
