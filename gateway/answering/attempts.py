"""The attempts to answer one request, and the error for the client if all of them failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from gateway.core.errors import ContextTooLong, GatewayError, ProviderRejected, UpstreamsFailed
from gateway.deployments.live import LiveDeployment
from gateway.provider_errors.error_body import one_line
from gateway.provider_errors.failures import NEEDS_OPERATOR, REQUEST_FAULTS, Cause, UpstreamFailure
from gateway.routing.candidate import Candidate, none_callable, unavailable_reasons
from gateway.telemetry.trace_context import TraceContext, new_span_id

HEDGED = "hedged"  # another call answered first
CANCELLED = "cancelled"  # the client left, or the gateway stopped
MAX_RETRY_AFTER_S = 300  # in the response to a client
_UNAVAILABLE = NEEDS_OPERATOR | {Cause.REFUSED, Cause.OVERLOADED, Cause.RATE_LIMITED, Cause.LOCAL}
_OWN_ACCESS = frozenset({401, 402, 403, 407, 429})  # a client would read these as being about its access to the gateway
_OF_REQUEST = re.compile(
    r"\b(?:images?|files?|urls?|downloads?|documents?|requests?|prompts?|tools?|max_tokens|blocked)\b"
)
_SUM = re.compile(r"(\d{1,9}) ?\+ ?(\d{1,9}) ?> ?(\d{1,9})")
_WINDOW = re.compile(r"(?:context|maximum|limit|window)\D{0,40}?(\d{1,3}(?:,\d{3}){1,2}|\d{3,9})\b", re.IGNORECASE)
_NUMBER = re.compile(r"\b\d{1,3}(?:,\d{3}){1,2}\b|\b\d{3,9}\b")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that failed, was cancelled, or broke off; or a deployment that was not called, since it was out of service.

    Attributes:
        cause: a `Cause`, `HEDGED` or `CANCELLED`; of a deployment that was not called also `no_key`.
        after_content: the client already had a part of the answer.
        reason: the provider's own words in one line, without the deployment's secrets.
        call: None if no call was under way, because the deployment was waited for before a retry.
    """

    candidate: Candidate
    deployment: str
    cause: str
    status: int | None
    elapsed_s: float
    after_content: bool = False
    reason: str = ""
    called: bool = True
    call: "CallStart | None" = None


class CallStart(NamedTuple):
    """One call to a provider.

    Attributes:
        at: when it began, monotonic seconds.
        span_id: of its span in the trace that the provider was told; 0 if it was told none.
    """

    at: float
    span_id: int = 0

    @classmethod
    def at_time(cls, now: float, trace: TraceContext | None) -> "CallStart":
        """A call that begins now; with a span of its own if the provider is told of the trace."""
        return cls(now) if trace is None else cls(now, new_span_id())


@dataclass(slots=True)
class Attempts:
    """The calls for one request that did not succeed, and the time they took.

    Attributes:
        entries: the calls that failed or were cancelled, in order.
        failures: the failures among them.
        skipped: the deployments of the chosen model that were not called, since no call could be made then.
        waited_s: seconds spent on upstreams and between retries; the rest of a request is the gateway's own time.
        own_s: seconds in which a call waited for the gateway itself, before it was sent; not part of `waited_s`.
        paused_s: the part of `waited_s` spent between retries.
        calling: the call under way; of calls side by side each has attempts of its own.
        refusal: why a limit of the key or team refused a call; None if none did.
        trace: the trace context that calls carry on; None if providers are told none.
    """

    entries: list[Attempt] = field(default_factory=list)
    failures: list[UpstreamFailure] = field(default_factory=list)
    skipped: list[Attempt] = field(default_factory=list)
    waited_s: float = 0.0
    own_s: float = 0.0
    paused_s: float = 0.0
    calling: CallStart | None = None
    refusal: GatewayError | None = None
    trace: TraceContext | None = None

    def not_called(self) -> list[Attempt]:
        """Those of `skipped` that were not called later either."""
        called = {attempt.deployment for attempt in self.entries}
        return [skipped for skipped in self.skipped if skipped.deployment not in called]

    def stand_in_cause(self) -> str | None:
        """Why a stand-in answers: the last failure of the chosen model, or why its deployments were not called."""
        of_chosen = [attempt for attempt in self.entries if not attempt.candidate.stand_in]
        why = of_chosen[-1:] or self.skipped[:1]
        return why[0].cause if why else None


def all_failed(attempts: Attempts, candidates: Iterable[Candidate]) -> GatewayError:
    """The error if no model answered: its status, what was tried, by public names, and when the client should retry.

    If every model refused the request itself, the error is the first refusal. If one of them had an outage, the error is that
    outage, even if another model refused: clients retry after an outage, and give up after a refusal.

    Args:
        candidates: every model that might have answered.
    """
    failures = attempts.failures
    if attempts.refusal is not None and not failures:
        return attempts.refusal
    if failures and (failures[0].cause is Cause.CONTEXT_LENGTH or all(map(_is_refusal, failures))):
        return _refusal(failures[0], attempts.entries)
    candidates = list(candidates)
    barred = [candidate for candidate in candidates if candidate.barred]
    asked = [live for candidate in candidates if not candidate.barred for live in candidate.model.deployments]
    outages = [failure for failure in failures if not _is_refusal(failure)]
    causes = {failure.cause for failure in outages}
    usable = [live for live in asked if not live.needs_operator]
    if not causes and usable and all(live.at_limit for live in usable):
        causes = {Cause.RATE_LIMITED}
    if causes == {Cause.RATE_LIMITED}:
        status = 429
    elif causes == {Cause.TIMEOUT}:
        status = 504
    else:
        status = 503 if barred or causes <= _UNAVAILABLE or _unreachable(asked, causes) else 502
    if asked and not attempts.entries and all(live.spec.missing_key is not None for live in asked):
        return none_callable(asked)
    sentences = [
        _tried(attempts)
        or f"No deployment of a model that can serve this request is available now{unavailable_reasons(asked)}."
    ]
    if barred:
        names = ", ".join(f"{candidate.model.name} ({candidate.predicted_loss or 0.0:.3f})" for candidate in barred)
        sentences.append(f"The policy's max_predicted_loss forbids the stand-ins that are left: {names}.")
    alone = candidates[0].permission if candidates else None
    if alone is not None and (refusal := alone.refusal()) is not None:
        sentences.append(refusal)
    again = not causes or not causes <= NEEDS_OPERATOR
    return UpstreamsFailed(status, " ".join(sentences), retry_after_s=_retry_after(outages, asked), retryable=again)


def _unreachable(asked: Iterable[LiveDeployment], causes: set[Cause]) -> bool:
    """Return True if no deployment's server accepts connections now."""
    usable = [live for live in asked if not live.needs_operator]
    return causes <= NEEDS_OPERATOR | {Cause.CONNECTION} and all(live.unreachable is not None for live in usable)


def _is_refusal(failure: UpstreamFailure) -> bool:
    """Return True if the request is at fault. A 401, 402 or 403 must name a part of the request, a 404 what is missing."""
    if failure.cause is not Cause.REFUSED:
        return failure.cause in REQUEST_FAULTS
    if failure.status in _OWN_ACCESS:
        return _OF_REQUEST.search(failure.client_message.lower()) is not None
    return not failure.has_no_reason


def _refusal(failure: UpstreamFailure, attempts: Iterable[Attempt]) -> GatewayError:
    """The error for the client that stands for a provider's refusal of the request."""
    if failure.cause is Cause.CONTEXT_LENGTH:
        window = next(a.candidate.model.spec.context_window for a in attempts if a.cause == failure.cause.value)
        message = one_line(failure.client_message) or "The prompt is longer than the model's context window."
        tokens, window = overrun(message, window)
        return ContextTooLong(message, tokens=tokens, window=window)
    status = failure.status or 400
    if failure.cause is Cause.TOO_LARGE:
        status = 413
    elif not 400 <= status < 500 or status in _OWN_ACCESS:
        status = 400
    return ProviderRejected(status, failure.error or {}, failure.cause.value)


def overrun(message: str, window: int) -> tuple[int, int]:
    """Tokens of a prompt that is too long, and the tokens that fit, as far as the provider's message has them.

    `overrun("maximum context length is 8192 tokens, however you requested 9001 tokens", 8192)` is `(9001, 8192)`.

    Args:
        window: the model's context window, for a message that does not have it.
    """
    if (sum_ := _SUM.search(message)) is not None:
        prompt, answer, window = map(int, sum_.groups())
        return prompt + answer, window
    numbers = _numbers(message)
    if len(numbers) > 1:
        said = stated_window(message)
        return numbers[-1], said if said is not None and said < numbers[-1] else numbers[-2]
    tokens = max(numbers, default=0)
    return (tokens, window) if tokens > window else (window + 1, window)


def stated_window(message: str) -> int | None:
    """The context window in a provider's message that a prompt is too long; None if it has none."""
    if (sum_ := _SUM.search(message)) is not None:
        return int(sum_.group(3))
    if (window := _WINDOW.search(message)) is not None:
        return _number(window.group(1))
    numbers = _numbers(message)
    return numbers[-2] if len(numbers) > 1 else None


def _numbers(message: str) -> list[int]:
    """The numbers of tokens in a message, ascending."""
    return sorted({_number(number) for number in _NUMBER.findall(message)})


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _tried(attempts: Attempts) -> str:
    """Names each model that was tried, with the causes of its failures and its provider's last message."""
    tried: dict[str, list[str]] = {}
    reasons: dict[str, str] = {}
    for attempt in attempts.entries:
        tried.setdefault(attempt.candidate.model.name, []).append(attempt.cause)
        if attempt.reason:
            reasons[attempt.candidate.model.name] = attempt.reason
    each = []
    for model, causes in tried.items():
        said = f" ({reasons[model]})" if model in reasons else ""
        each.append(f"{model}: {', '.join(dict.fromkeys(causes))}{said}")
    return f"Every model that was tried failed. {'; '.join(each)}." if each else ""


def _retry_after(failures: Iterable[UpstreamFailure], asked: Iterable[LiveDeployment]) -> int:
    """Seconds until a retry may succeed: the shortest Retry-After of a provider, otherwise the shortest wait for a deployment."""
    waits = [failure.retry_after_s for failure in failures if failure.retry_after_s is not None]
    waits = waits or [wait for live in asked if (wait := live.wait_s()) is not None]
    return min(max(1, ceil(min(waits, default=1.0))), MAX_RETRY_AFTER_S)
