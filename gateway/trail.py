"""The way of one request: whom it may be sent to, what was tried, and what the client is told where nobody answered."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from gateway.errors import GatewayError, ProviderRejected, UpstreamsFailed
from gateway.fleet import LiveDeployment, LiveModel
from gateway.upstream.failures import TAKEN_OUT, Cause, UpstreamFailure

HEDGED = "hedged"  # another call began first
CANCELLED = "cancelled"  # the client left, or the gateway stopped


@dataclass(frozen=True, slots=True)
class Hop:
    """A model to ask.

    Attributes:
        stand_in: it is not the chosen model.
        distance: a stand-in's embedding distance to the chosen model; None where one of them has no embedding.
        predicted_loss: p_correct of the chosen model minus that of this one, for this query; None likewise.
        named: the client asked for it: whatever is known of what it can do, its provider shall say.
        barred: the policy's `max_predicted_loss` forbids it.
    """

    model: LiveModel
    stand_in: bool = False
    distance: float | None = None
    predicted_loss: float | None = None
    barred: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that did not serve the request, or not to its end.

    Attributes:
        cause: a `Cause`, `HEDGED` or `CANCELLED`.
        after_content: the client had some of its answer already.
    """

    hop: Hop
    deployment: str
    cause: str
    status: int | None
    elapsed_s: float
    after_content: bool = False


@dataclass(slots=True)
class Trail:
    """What happened on the way to an answer.

    Attributes:
        waited_s: on upstreams and between retries: everything that is not the gateway's own time.
    """

    attempts: list[Attempt] = field(default_factory=list)
    failures: list[UpstreamFailure] = field(default_factory=list)
    waited_s: float = 0.0


def exhausted(trail: Trail, hops: Iterable[Hop]) -> GatewayError:
    """The error where nobody answered: the truest status, what was tried by public names, and when to come back.

    Args:
        hops: every model that came into question.
    """
    for failure in trail.failures:
        if failure.cause is Cause.CONTEXT_LENGTH:
            return ProviderRejected(
                failure.status or 400,
                {"code": "context_length_exceeded"} | dict(failure.error or {}),
                failure.cause.value,
            )
    hops = list(hops)
    barred = [hop for hop in hops if hop.barred]
    asked = [live for hop in hops if not hop.barred for live in hop.model.deployments]
    causes = {failure.cause for failure in trail.failures}
    if not causes and asked and all(live.limited for live in asked if not live.needs_operator):
        causes = {Cause.RATE_LIMITED}
    if causes == {Cause.RATE_LIMITED}:
        status = 429
    elif causes == {Cause.TIMEOUT}:
        status = 504
    else:
        status = 503 if barred or causes <= TAKEN_OUT or _unreachable(asked, causes) else 502
    sentences = [_tried(trail.attempts) or "No deployment of a model that can serve this request is available now."]
    if barred:
        names = ", ".join(f"{hop.model.name} ({hop.predicted_loss or 0.0:.3f})" for hop in barred)
        sentences.append(f"The policy's max_predicted_loss forbids the stand-ins that are left: {names}.")
    return UpstreamsFailed(status, " ".join(sentences), retry_after_s=_retry_after(trail.failures, asked))


def _unreachable(asked: Iterable[LiveDeployment], causes: set[Cause]) -> bool:
    """Do the servers of all deployments not accept connections, or not yet?"""
    usable = [live for live in asked if not live.needs_operator]
    return causes <= TAKEN_OUT | {Cause.CONNECTION} and all(live.unreachable is not None for live in usable)


def _tried(attempts: Iterable[Attempt]) -> str:
    tried: dict[str, list[str]] = {}
    for attempt in attempts:
        tried.setdefault(attempt.hop.model.name, []).append(attempt.cause)
    what = "; ".join(f"{model}: {', '.join(dict.fromkeys(causes))}" for model, causes in tried.items())
    return what and f"Every model that was tried failed. {what}."


def _retry_after(failures: Iterable[UpstreamFailure], asked: Iterable[LiveDeployment]) -> int:
    """Whole seconds until it is worth asking again: the shortest that a provider asked for, else that a limit lasts."""
    waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
    waits = waits or [wait for live in asked if (wait := live.wait_s()) is not None]
    return max(1, ceil(min(waits, default=1.0)))
