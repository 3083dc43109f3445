"""The calls of one request to providers, each as a span in the words of OpenTelemetry's GenAI conventions. Pure functions."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from gateway.answering.attempts import CANCELLED, HEDGED, Attempts, CallStart
from gateway.answering.billed_usage import billed_usage
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.config.portfolio import Deployment
from gateway.core.json_types import JsonObject, objects_in
from gateway.core.usage import Usage
from gateway.http.answer_content import answer_text
from gateway.record.genai_metrics import MeasuredCall
from gateway.request.conversation import Conversation
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from gateway.telemetry import semconv
from gateway.telemetry.content import input_messages, split_instructions
from gateway.telemetry.span import MAX_TEXT_CHARS, Attributes, Labels, Span

_OPERATIONS = {"embeddings": "embeddings", "completions": "text_completion"}  # by API; else "chat"
# Fields of a request -> attributes, in the order in which a span has them.
_NUMBERS = {
    "max_tokens": semconv.REQUEST_MAX_TOKENS,
    "max_completion_tokens": semconv.REQUEST_MAX_TOKENS,
    "temperature": semconv.REQUEST_TEMPERATURE,
    "top_p": semconv.REQUEST_TOP_P,
    "top_k": semconv.REQUEST_TOP_K,
    "seed": semconv.REQUEST_SEED,
    "frequency_penalty": semconv.REQUEST_FREQUENCY_PENALTY,
    "presence_penalty": semconv.REQUEST_PRESENCE_PENALTY,
}
_WHOLE = frozenset({semconv.REQUEST_MAX_TOKENS, semconv.REQUEST_SEED})
_MAX_INT = 1 << 62
_MAX_LIST = 16


class Call(NamedTuple):
    """One call to a provider that is over.

    Attributes:
        end: when it ended, monotonic seconds.
        error: why it failed or was given up; None if it did not.
        answered: the answer, if there was one; of a stream perhaps only a part.
        finish_reasons: of an answer that ended.
    """

    candidate: Candidate
    deployment: Deployment
    start: CallStart
    end: float
    stream: bool
    error: str | None = None
    status: int | None = None
    reason: str = ""
    after_content: bool = False
    answered: OpenCall | None = None
    usage: Usage | None = None
    estimated: bool = False
    finish_reasons: tuple[str, ...] = ()

    @property
    def first_chunk_s(self) -> float | None:
        """Seconds until the first content of a stream."""
        return None if self.answered is None or not self.stream else self.answered.answered_at - self.start.at

    @property
    def per_chunk_s(self) -> float | None:
        """Mean seconds from one content of a stream to the next; None if it had fewer than two, or several models wrote it."""
        relay = None if self.answered is None else self.answered.relay
        if self.answered is None or relay is None or len(relay.transcript.models) > 1 or relay.transcript.contents < 2:
            return None
        return max(0.0, self.end - self.answered.answered_at) / (relay.transcript.contents - 1)

    def measured(self, api: str) -> MeasuredCall:
        """The call for the metrics."""
        return MeasuredCall(
            _OPERATIONS.get(api, "chat"),
            _provider(self.deployment),
            _model(self.deployment),
            self.error or "",
            self.end - self.start.at,
            self.first_chunk_s,
            0 if self.usage is None else self.usage.prompt_tokens,
            0 if self.usage is None else self.usage.completion_tokens,
            self.per_chunk_s,
        )


class MemberCall(Protocol):
    """A call of an ensemble, as far as it got."""

    @property
    def opened(self) -> OpenCall | None: ...

    @property
    def stream(self) -> ContinuedStream | None: ...


class Answered(Protocol):
    """What is read of a request's log."""

    request: Request | None
    open_call: OpenCall | None
    stream: ContinuedStream | None

    @property
    def member_calls(self) -> Sequence[MemberCall]: ...


def answered_calls(log: Answered) -> list[Call]:
    """The calls that the answer is from, in order, and those of an ensemble whose answers were not sent.

    A stream that did not end was given up, unless it broke.
    """
    prompt_tokens = 0 if log.request is None else log.request.requirements.prompt_tokens
    calls = [] if log.open_call is None else _calls(log.open_call, log.stream, prompt_tokens)
    for call in log.member_calls:
        if call.opened is not None and call.opened is not log.open_call:
            calls += _calls(call.opened, call.stream, prompt_tokens)
    return calls


def _calls(opened: OpenCall, stream: ContinuedStream | None, prompt_tokens: int) -> list[Call]:
    open_calls = [opened] if stream is None else stream.calls
    calls = []
    for number, open_call in enumerate(open_calls):
        error, status, reason = None, None, ""
        finished: tuple[str, ...] = ()
        if open_call.failure is not None:
            failure = open_call.failure
            error, status, reason = failure.cause.value, failure.status, failure.reason
        elif stream is not None and not stream.ended:
            error = CANCELLED
        elif stream is None:
            finished = _finish_reasons(open_call)
        else:
            finished = tuple(stream.transcript.finish_reasons)
        usage, estimated = billed_usage(open_call, prompt_tokens)
        end = open_call.answered_at if open_call.ended_at is None else open_call.ended_at
        calls.append(
            Call(
                open_call.candidate,
                open_call.live.spec,
                open_call.start,
                end,
                stream is not None,
                error,
                status,
                reason,
                number > 0,
                open_call,
                usage,
                estimated,
                finished,
            )
        )
    return calls


def failed_calls(attempts: Attempts, answered: Iterable[Call]) -> list[Call]:
    """The calls without an answer, in order. Streams that broke are among the answered ones."""
    known = {(call.deployment.id, call.start) for call in answered}
    return [
        Call(
            attempt.candidate,
            live.spec,
            attempt.call,
            attempt.call.at + attempt.elapsed_s,
            False,
            attempt.cause,
            attempt.status,
            attempt.reason,
            attempt.after_content,
        )
        for attempt in attempts.entries
        if attempt.call is not None and (attempt.deployment, attempt.call) not in known
        for live in attempt.candidate.model.deployments
        if live.spec.id == attempt.deployment
    ]


class Common(NamedTuple):
    """What the spans of all calls of a request share.

    Attributes:
        offset: from the clock of the calls to seconds since the epoch.
    """

    api: str
    offset: float
    attributes: Attributes
    content: bool = False


def call_span(call: Call, hop: int, common: Common) -> Span:
    """The span of a call.

    Args:
        hop: the number of the call within its request.
    """
    spec, candidate = call.deployment, call.candidate
    operation, model = _OPERATIONS.get(common.api, "chat"), _model(spec)
    host, port = _server(spec.api_base)
    labels: Labels = (
        (semconv.OPERATION_NAME, operation),
        (semconv.PROVIDER_NAME, _provider(spec)),
        (semconv.REQUEST_MODEL, model),
        (semconv.SERVER_ADDRESS, host),
        (semconv.SERVER_PORT, port),
        (semconv.LOCUS_MODEL, candidate.model.name),
        (semconv.LOCUS_DEPLOYMENT, spec.id),
        (semconv.LOCUS_HOP, hop),
        (semconv.HTTP_RESPONSE_STATUS_CODE, call.status),
    )
    attributes: Attributes = [*common.attributes]
    if candidate.distance is not None:
        attributes.append((semconv.LOCUS_STAND_IN_DISTANCE, candidate.distance))
    if candidate.predicted_loss is not None:
        attributes.append((semconv.LOCUS_PREDICTED_LOSS, candidate.predicted_loss))
    if call.after_content:
        attributes.append((semconv.LOCUS_CONTINUES, True))
    if call.answered is not None:
        _add_answer(attributes, call, call.answered)
        if common.content and (text := answer_text(call.answered, call.finish_reasons)) is not None:
            attributes.append((semconv.OUTPUT_MESSAGES, text))
    failed = call.error not in (None, HEDGED, CANCELLED)
    start, end = call.start.at + common.offset, call.end + common.offset
    name = f"{operation} {model}"
    return Span(name, "client", start, end, labels, attributes, call.error, failed, call.reason, call.start.span_id)


def _add_answer(attributes: Attributes, call: Call, answered: OpenCall) -> None:
    fields = _answer_fields(answered)
    for name, key in ((semconv.RESPONSE_ID, "id"), (semconv.RESPONSE_MODEL, "model")):
        value = fields.get(key)
        if isinstance(value, str) and value:
            attributes.append((name, value[:MAX_TEXT_CHARS]))
    if call.finish_reasons:
        attributes.append((semconv.RESPONSE_FINISH_REASONS, list(call.finish_reasons)))
    if call.first_chunk_s is not None:
        attributes.append((semconv.RESPONSE_TIME_TO_FIRST_CHUNK, call.first_chunk_s))
    usage = call.usage
    if usage is None:
        return
    attributes += [
        (semconv.USAGE_INPUT_TOKENS, usage.prompt_tokens),
        (semconv.USAGE_OUTPUT_TOKENS, usage.completion_tokens),
    ]
    for name, tokens in (
        (semconv.USAGE_CACHE_READ, usage.cached_tokens),
        (semconv.USAGE_CACHE_CREATION, usage.cache_write_5m_tokens + usage.cache_write_1h_tokens),
        (semconv.USAGE_REASONING, usage.reasoning_tokens),
    ):
        if tokens:
            attributes.append((name, tokens))
    if call.estimated:
        attributes.append((semconv.LOCUS_USAGE_ESTIMATED, True))


def request_attributes(
    request: Request | None, conversation: Conversation | None, *, content: bool, api: str
) -> Attributes:
    """The attributes that every call of a request has."""
    if request is None:
        return []
    fields = request.fields
    attributes: Attributes = []
    for key, name in _NUMBERS.items():
        value = fields.get(key)
        if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) < _MAX_INT:
            continue
        attributes.append((name, int(value) if name in _WHOLE else float(value)))
    if stop := fields.get("stop"):
        stops = [stop] if isinstance(stop, str) else stop
        attributes.append((semconv.REQUEST_STOP_SEQUENCES, _texts(stops)))
    if request.choice_count != 1:
        attributes.append((semconv.REQUEST_CHOICE_COUNT, request.choice_count))
    if request.stream:
        attributes.append((semconv.REQUEST_STREAM, True))
    if request.requires_json:
        attributes.append((semconv.OUTPUT_TYPE, "json"))
    if conversation is not None and conversation.name:
        attributes.append((semconv.CONVERSATION_ID, conversation.name[:MAX_TEXT_CHARS]))
    if content and (messages := objects_in(fields.get("messages"))):
        if api in ("messages", "responses"):
            instructions, messages = split_instructions(messages)
            if instructions is not None:
                attributes.append((semconv.SYSTEM_INSTRUCTIONS, instructions))
        attributes.append((semconv.INPUT_MESSAGES, input_messages(messages)))
    return attributes


def _answer_fields(answered: OpenCall) -> JsonObject:
    """The fields of an answer, or of the first chunk of a stream, as the provider sent them."""
    if answered.complete is not None:
        return answered.complete.fields
    return {} if answered.relay is None or answered.relay.first_chunk is None else dict(answered.relay.first_chunk)


def _finish_reasons(answered: OpenCall) -> tuple[str, ...]:
    """The finish reasons of a complete answer in the words of its API format."""
    complete = answered.complete
    if complete is None:
        return ()
    if complete.api in ("messages", "responses"):
        found = [complete.fields.get("stop_reason" if complete.api == "messages" else "status")]
    else:
        found = [choice.get("finish_reason") for choice in objects_in(complete.fields.get("choices"))]
    return tuple(_texts(found))


def _texts(values: object) -> list[str]:
    some = values[:_MAX_LIST] if isinstance(values, list) else []
    return [value[:MAX_TEXT_CHARS] for value in some if isinstance(value, str)]


def _provider(spec: Deployment) -> str:
    return semconv.PROVIDERS.get(spec.provider, spec.provider) or "unknown"


def _model(spec: Deployment) -> str:
    """The model's name as the provider knows it: without litellm's prefix."""
    return spec.upstream_model.removeprefix(f"{spec.provider}/")


@lru_cache(maxsize=4096)
def _server(api_base: str | None) -> tuple[str | None, int | None]:
    """Host and port of a base URL; None if there is none."""
    if api_base is None:
        return None, None
    parts = urlsplit(api_base)
    return parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
