"""The form of a request that one deployment accepts: its API, its reasoning, and the changes it has asked for. Pure."""

from gateway.answering.adaptation import adapted
from gateway.api.reasoning import SIGNATURES, without_reasoning
from gateway.core.vocabulary import Api
from gateway.deployments.live import LiveDeployment
from gateway.request.conversation import Turn
from gateway.request.request import Request
from gateway.routing.candidate import Candidate


def call_api(live: LiveDeployment, request: Request) -> Api:
    """The client's own format if the deployment speaks it, otherwise the format of the translated request."""
    native = request.native
    return request.api if native is None or native.api not in live.apis else native.api


def prepared(
    request: Request,
    candidate: Candidate,
    live: LiveDeployment,
    last: Turn | None,
    dropped: frozenset[str],
    api: Api,
    output_limit: int | None,
) -> Request:
    """The request as this deployment accepts it; the same object if nothing must change.

    Args:
        last: the conversation's last answer.
        dropped: names of the fields that are left out and of the changes that are made.
        api: the format of the call.
        output_limit: the value for the limits of the answer's length, if `dropped` has `adaptation.LIMIT`.
    """
    request = _with_readable_reasoning(request, candidate, live, last, dropped, api)
    return adapted(request, dropped, output_limit) if dropped and api == request.api else request


def _with_readable_reasoning(
    request: Request,
    candidate: Candidate,
    live: LiveDeployment,
    last: Turn | None,
    dropped: frozenset[str],
    api: Api,
) -> Request:
    """The request without reasoning that this deployment would refuse.

    That is the reasoning of another model, and signatures that a translation to chat keeps for providers that know them.
    """
    if (last is not None and last.model != candidate.model.name) or SIGNATURES in dropped:
        return without_reasoning(request) or request
    if api == "chat" and request.native is not None and live.spec.path == "direct":
        request = without_reasoning(request, plain_text=False) or request
    if last is not None and last.mixed:
        return without_reasoning(request, finished_turns_only=True) or request
    return request
