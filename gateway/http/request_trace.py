"""The trace of one request: collects what is known of its decisions and calls, and becomes spans when the request is over.

Nothing is opened before that, so that no span can stay open. `gateway.http.call_spans` describes the calls.
"""

import time
from collections.abc import Sequence
from typing import Protocol

from starlette.types import Scope

from gateway.answering.attempts import Attempts
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Headers
from gateway.core.errors import GatewayError
from gateway.http.call_spans import (
    Call,
    Common,
    MemberCall,
    answered_calls,
    call_span,
    failed_calls,
    request_attributes,
)
from gateway.http.record_columns import CLIENT_CLOSED, conversation_column
from gateway.http.service import Service
from gateway.record.request_record import Record
from gateway.request.conversation import Conversation
from gateway.request.request import Request
from gateway.routing.decision import Decision
from gateway.telemetry import semconv
from gateway.telemetry.span import Attributes, Labels, Span
from gateway.telemetry.trace_context import TraceContext

MAX_SPANS = 500  # of one request: a batch of prompts may make thousands of calls


Times = tuple[float, float]  # of the clock, seconds


class Traced(Protocol):
    """What the trace reads of a request's log.

    Attributes:
        decided: when the decision began and ended, monotonic seconds; None if there was none.
    """

    request: Request | None
    conversation: Conversation | None
    attempts: Attempts
    open_call: OpenCall | None
    stream: ContinuedStream | None
    decision: Decision | None
    decided: Times | None

    @property
    def member_calls(self) -> Sequence[MemberCall]: ...


class RequestTrace:
    """The trace of one request.

    Args:
        context: its place in the trace.
        path: of its URL.
    """

    __slots__ = ("_calls", "_context", "_decisions", "_path", "_service", "_started")

    def __init__(self, context: TraceContext, path: str, service: Service) -> None:
        self._context = context
        self._path = path
        self._service = service
        self._started = service.clock()
        self._calls: list[Call] = []  # of the prompts of a batch
        self._decisions: list[tuple[Times, Decision | None]] = []

    @property
    def id(self) -> str:
        """The trace id."""
        return self._context.hex_id

    def end_prompt(self, prompt: Traced) -> None:
        """Adds a prompt of a batch that is over, except its failed calls: they are the request's as well."""
        if self._service.telemetry.options is not None and len(self._calls) < MAX_SPANS:
            self._calls += answered_calls(prompt)
            self._decisions += _decision(prompt)

    def close(self, log: Traced, record: Record) -> str | None:
        """The request is over: counts its calls, and exports its spans.

        Returns:
            the trace id, if the spans are exported.
        """
        options = self._service.telemetry.options
        if options is None:
            return None
        answered = self._calls or answered_calls(log)
        calls = sorted([*answered, *failed_calls(log.attempts, answered)], key=lambda call: call.start.at)
        for call in calls:
            self._service.metrics.count_call(call.measured(record.api))
        stand_in = record.served is not None and record.served != record.chosen
        if not (self._context.sampled or record.error is not None or stand_in):
            return None
        offset = record.time - self._started  # from the clock to seconds since the epoch
        attributes = request_attributes(log.request, log.conversation, content=options.content, api=record.api)
        common = Common(record.api, offset, attributes, options.content)
        decisions = [*_decision(log), *self._decisions]
        spans = [_decision_span(*decided, offset, record) for decided in decisions]
        spans += [call_span(call, hop, common) for hop, call in enumerate(calls[:MAX_SPANS])]
        left_out = len(spans) - MAX_SPANS + max(0, len(calls) - MAX_SPANS)
        self._service.telemetry.add(self._context, self._root(record, left_out), spans[:MAX_SPANS])
        return self.id

    def _root(self, record: Record, left_out: int) -> Span:
        labels: Labels = (
            (semconv.HTTP_REQUEST_METHOD, "POST"),
            (semconv.HTTP_ROUTE, self._path),
            (semconv.URL_PATH, self._path),
            (semconv.HTTP_RESPONSE_STATUS_CODE, record.status if record.status != CLIENT_CLOSED else None),
            (semconv.LOCUS_API, record.api),
            (semconv.LOCUS_REQUESTED, record.requested),
            (semconv.LOCUS_CHOSEN, record.chosen),
            (semconv.LOCUS_SERVED, record.served),
            (semconv.LOCUS_POLICY, record.policy),
            (semconv.LOCUS_CACHE, record.cache),
            (semconv.LOCUS_KEY_ID, record.key_id),
            (semconv.LOCUS_KEY_NAME, record.key_name),
            (semconv.LOCUS_TEAM, record.team),
        )
        attributes: Attributes = [(semconv.LOCUS_REQUEST_ID, record.request_id)]
        if record.overhead_ms is not None:
            attributes.append((semconv.LOCUS_OVERHEAD_MS, record.overhead_ms))
        if record.cost_nusd is not None:
            attributes.append((semconv.LOCUS_COST_USD, record.cost_nusd / 1e9))
        if record.simulated:
            attributes.append((semconv.LOCUS_SIMULATED, True))
        if left_out > 0:
            attributes.append((semconv.LOCUS_SPANS_LEFT_OUT, left_out))
        end = record.time + record.latency_ms / 1000
        failed = record.error is not None and not 400 <= record.status < 500  # those are the client's own
        return Span(f"POST {self._path}", "server", record.time, end, labels, attributes, record.error, failed)


def _decision(log: Traced) -> list[tuple[Times, Decision | None]]:
    return [] if log.decided is None else [(log.decided, log.decision)]


def _decision_span(times: Times, decision: Decision | None, offset: float, record: Record) -> Span:
    start, end = times[0] + offset, times[1] + offset
    if decision is None:
        failed = record.error is not None
        return Span("locus.route", "internal", start, end, error=record.error, failed=failed)
    labels: Labels = (
        (semconv.LOCUS_CHOSEN, decision.model),
        (semconv.LOCUS_POLICY, None if decision.policy is None else decision.policy.name),
        (semconv.LOCUS_SWITCH, conversation_column(decision)),
    )
    attributes: Attributes = []
    if (p_correct := decision.p_chosen) is not None:
        attributes.append((semconv.LOCUS_P_CORRECT, p_correct))
    if record.candidates is not None and decision.model == record.chosen:
        attributes.append((semconv.LOCUS_CANDIDATES, record.candidates))
    return Span("locus.route", "internal", start, end, labels, attributes)


def begin_trace(service: Service, scope: Scope, headers: Headers, attempts: Attempts) -> RequestTrace | None:
    """The trace of a request that has arrived; None if it has none.

    Args:
        attempts: of the request; they carry the trace on, if providers are told.
    """
    options, context = service.telemetry.options, service.telemetry.begin(headers, scope["headers"])
    if options is not None and options.propagate:
        attempts.trace = context
    return None if context is None else RequestTrace(context, scope["path"], service)


def trace_refused(service: Service, scope: Scope, error: GatewayError, seconds: float) -> None:
    """Exports the span of a request that was refused before its endpoint had it.

    Such requests cost their sender nothing, so that only some of a flood are exported; the others count as lost.

    Args:
        seconds: since it came.
    """
    if service.telemetry.options is None or not service.telemetry.may_add_refused():
        return
    context = service.telemetry.begin(dict(scope["headers"]), scope["headers"])
    if context is None:
        return
    path, end = scope["path"], time.time()
    identity = scope["state"].get("identity")
    labels: Labels = (
        (semconv.HTTP_REQUEST_METHOD, "POST"),
        (semconv.HTTP_ROUTE, path),
        (semconv.URL_PATH, path),
        (semconv.HTTP_RESPONSE_STATUS_CODE, error.status),
        (semconv.LOCUS_KEY_ID, None if identity is None else identity.id),
        (semconv.LOCUS_KEY_NAME, None if identity is None else identity.name),
        (semconv.LOCUS_TEAM, None if identity is None else identity.team),
    )
    attributes: Attributes = [(semconv.LOCUS_REQUEST_ID, scope["state"]["request_id"])]
    failed = error.status >= 500  # the others are the client's own
    root = Span(f"POST {path}", "server", end - seconds, end, labels, attributes, error.code, failed)
    service.telemetry.add(context, root, [])
