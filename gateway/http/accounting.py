"""The log of one request: everything that becomes known of it, and at its end one record, the metrics and the cost.

The cost of a request is the sum over the calls that its answer is from, as the providers billed them.
"""

import time
from collections.abc import Iterable, Sequence

from gateway.answering.attempts import CANCELLED, HEDGED, Attempts
from gateway.answering.billed_parts import abandoned_parts, answered_parts
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.answering.transcript import in_transcript
from gateway.cache.entry import Entry, Origin
from gateway.config.access import Grant
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api
from gateway.ensemble.calls import Call
from gateway.ensemble.outcome import Outcome
from gateway.http.answer_headers import (
    RawHeaders,
    answer_headers,
    batch_headers,
    cached_headers,
    header_fields,
    lasting_headers,
)
from gateway.http.grading import grade_answer
from gateway.http.in_force import InForce
from gateway.http.record_columns import (
    CLIENT_CLOSED,
    from_cache,
    predictions_of,
)
from gateway.http.record_of import record_of
from gateway.http.request_limits import RequestLimits
from gateway.http.request_trace import RequestTrace
from gateway.http.service import Service
from gateway.keys.authentication import WITHOUT_KEY
from gateway.provider_errors.failures import NOT_CALLED
from gateway.record.request_line import log_request
from gateway.record.request_record import Part, Record, total_cost
from gateway.request.chat_request import ChatRequest
from gateway.request.conversation import Conversation
from gateway.request.last_answer import LastAnswer, answer_in_response
from gateway.request.request import Request
from gateway.routing.decision import Decision

_NOT_FAILED = (HEDGED, CANCELLED, *(cause.value for cause in NOT_CALLED))


class RequestLog:
    """The data of one request, collected while it runs. The endpoint closes it at the end of the request.

    Attributes:
        grant: what the key of the request may do.
        limits: those of its key and team.
        open_call: the call that began the answer.
        stream: the answer, if it is streamed.
        complete: the answer, if it is not streamed.
        ensemble: how several models found the answer; None if one was asked.
        member_calls: the calls of an ensemble, whether it has found an answer or not.
        extra_headers: for the answer, besides those that describe how it was made.
        error: the code of the error that the client received, or that ended its answer.
        cached: the stored answer that the client gets.
        trace: becomes the spans of the request; None if it has none.
        decided: when the decision began and ended, by the service's clock; None if there was none.
        api: the API format of the request.
        time: of its arrival, seconds since the epoch.
        started: the same by the service's clock.
        status: of the answer.
        first_token_s: from the arrival to the first content, seconds; None before.
        overhead_s: the gateway's own time until the answer began, seconds; None before.
        cache: what the cache did; None if it was not used.
        body: the whole body of the request; None before it has arrived.
    """

    def __init__(self, request_id: str, api: Api, service: Service, grant: Grant = WITHOUT_KEY) -> None:
        self.id = request_id
        self.grant = grant
        self.in_force: InForce = service.in_force
        self.attempts = Attempts()
        self.request: Request | None = None
        self.conversation: Conversation | None = None
        self.decision: Decision | None = None
        self.open_call: OpenCall | None = None
        self.stream: ContinuedStream | None = None
        self.complete: Complete | None = None
        self.ensemble: Outcome | None = None
        self.member_calls: Sequence[Call] = ()
        self.extra_headers: RawHeaders = []
        self.limits = RequestLimits(service, grant)
        self.error: str | None = None
        self.cached: Entry | None = None
        self.trace: RequestTrace | None = None
        self.decided: tuple[float, float] | None = None
        self.api = api
        self._service = service
        self._clock = service.clock
        self.time = time.time()
        self.started = self._clock()
        self.status = CLIENT_CLOSED
        self.first_token_s: float | None = None
        self.overhead_s: float | None = None
        self._first_prompt: RequestLog | None = None  # of a batch
        self._prompt_parts: dict[tuple[str, str], Part] = {}  # sums by deployment: a batch may make thousands of calls
        self._prompt_continuations: list[str] = []
        self._headers: RawHeaders = []
        self.cache: str | None = None
        self.body: bytes | None = None

    @property
    def answer_started(self) -> bool:
        """True once an answer or an error answer has begun."""
        return self.status != CLIENT_CLOSED

    def answer_with_error(self, error: GatewayError) -> None:
        """The client receives an error instead of an answer."""
        self.error = error.recorded
        self.status = error.status

    def start_answer(self, open_call: OpenCall) -> RawHeaders:
        """The answer begins now; returns the headers that describe how it was made."""
        decision = self.decision
        assert decision is not None
        self.status = 200
        self.first_token_s = self._clock() - self.started
        self.overhead_s = max(0.0, self.first_token_s - self.attempts.waited_s)
        left_out = _left_out(self.request, open_call)
        simulated = self.in_force.portfolio.simulated
        self._headers = answer_headers(
            decision,
            open_call.candidate,
            left_out,
            self.overhead_s,
            simulated=simulated,
            stand_in_cause=self.attempts.stand_in_cause(),
            ensemble=self.ensemble,
        )
        return self._headers + self.extra_headers + self.limits.headers()

    def locus_fields(self, headers: RawHeaders, *, always: bool = False) -> JsonObject | None:
        """The `locus` object of the answer, since many client libraries hide headers; None if the chosen model simply answers.

        Args:
            headers: from `start_answer`.
            always: the client got no headers.
        """
        stand_in = self.open_call is not None and self.open_call.candidate.stand_in
        if not (always or stand_in or self.ensemble is not None):
            return None
        fields = header_fields(headers)
        if self.ensemble is not None and isinstance(self.request, ChatRequest):
            fields["ensemble"] = self.ensemble.fields(self.request)
        return fields

    def missed_cache(self) -> None:
        """The cache has no answer that the request may get."""
        self.cache = "miss"
        self.extra_headers.append((b"x-locus-cache", b"miss"))

    def start_cached_answer(self, entry: Entry, age_s: float) -> RawHeaders:
        """The client gets a stored answer; returns its headers."""
        self.cached, self.cache = entry, "hit"
        self.status = 200
        self.first_token_s = self._clock() - self.started
        self.overhead_s = max(0.0, self.first_token_s - self.attempts.waited_s)
        return cached_headers(entry.origin.headers, self.overhead_s, age_s) + self.limits.headers()

    def origin(self) -> Origin | None:
        """How the finished answer was made; None if the chosen model did not write all of it."""
        open_call, decision = self.open_call, self.decision
        if open_call is None or decision is None or open_call.candidate.stand_in or _continuations(self.stream):
            return None
        ensemble = self.ensemble
        if ensemble is not None and ensemble.incomplete:
            return None
        parts = self._parts()
        return Origin(
            model=decision.model if ensemble is None else ensemble.model,
            policy=None if decision.policy is None else decision.policy.name,
            p_correct=decision.p_chosen if ensemble is None else ensemble.p_correct,
            headers=lasting_headers(self._headers),
            tokens=(parts[0].prompt_tokens, parts[0].completion_tokens) if parts else None,
            cost_nusd=total_cost(parts),
            last_answer=_last_answer(self.stream, self.complete),
        )

    def start_prompt(self) -> "RequestLog":
        """The log of one more prompt of a batch; `end_prompt` must follow."""
        prompt_log = RequestLog(self.id, self.api, self._service, self.grant)
        prompt_log.in_force = self.in_force
        prompt_log.limits = self.limits.part()
        prompt_log.attempts.trace = self.attempts.trace
        self._first_prompt = self._first_prompt or prompt_log
        return prompt_log

    def end_prompt(self, prompt_log: "RequestLog") -> None:
        """Adds the attempts and the cost of a prompt that is over."""
        self.attempts.entries += prompt_log.attempts.entries
        self.attempts.skipped = self.attempts.skipped or prompt_log.attempts.skipped
        parts = prompt_log._parts()
        prompt_log.limits.settle(parts)
        prompt_log._count_ensemble(parts)
        for part in parts:
            key = part.model, part.deployment
            self._prompt_parts[key] = part if key not in self._prompt_parts else self._prompt_parts[key].plus(part)
        self._prompt_continuations += _continuations(prompt_log.stream)
        if self.trace is not None:
            self.trace.end_prompt(prompt_log)

    def start_batch_answer(self, of_prompts: Iterable[RawHeaders], overhead_s: float) -> RawHeaders:
        """The answer to several prompts begins now; returns its headers.

        Args:
            of_prompts: the headers of the answers to these prompts.
            overhead_s: the gateway's own time for these prompts, seconds.
        """
        assert self._first_prompt is not None
        self.status = 200
        self.first_token_s = self._clock() - self.started
        before_prompts_s = self._first_prompt.started - self.started - self.attempts.waited_s
        self.overhead_s = max(0.0, before_prompts_s) + overhead_s
        return batch_headers(of_prompts, self.overhead_s) + self.extra_headers + self.limits.headers()

    def close(self) -> None:
        """The request is over: writes its record, updates the metrics, and notes in the conversation which model answered."""
        if self._first_prompt is not None:
            self.decision = self._first_prompt.decision or self.decision
            self.open_call, self.ensemble = self._first_prompt.open_call, self._first_prompt.ensemble
        for attempt in self.attempts.entries:
            if attempt.cause not in _NOT_FAILED:
                self._service.metrics.attempt_failed(attempt.deployment, attempt.cause)
        parts = self._parts()
        self.limits.settle(parts if self._first_prompt is None else [])  # each prompt of a batch is settled already
        record = record_of(self, parts, self._clock() - self.started)
        if self.cached is not None:
            record = from_cache(record, self.cached.origin)
            self._service.metrics.saved_by_cache(self.cached.origin.model, self.cached.origin.cost_nusd or 0)
        predictions = predictions_of(self.decision, self.request, self.in_force.router.encoder.text_dim)
        body = self.body if self.in_force.portfolio.settings.store_prompts == "full" else None
        self._service.recorder.add(record, parts, predictions, self.limits.lease, body)
        of_one = self._first_prompt is None and (self.ensemble is None or self.ensemble.of_one)
        if (graders := self._service.graders) is not None and of_one:
            tags = self.grant.identity.tags
            grade_answer(graders, self.request, self.open_call, self.stream, record, predictions, tags)
        log_request(record, self.attempts.stand_in_cause())
        exported = None if self.trace is None else self.trace.close(self, record)
        continued = self._prompt_continuations or _continuations(self.stream)
        self._service.metrics.count_request(record, parts, continued, exported)
        if self._first_prompt is None:
            self._count_ensemble(parts)
        self._count_trial(record)
        self._note_answer(parts)

    def _count_ensemble(self, parts: Sequence[Part]) -> None:
        """Counts an answer that several models found."""
        if self.ensemble is None or self.decision is None or self.decision.policy is None:
            return
        result, calls = self.ensemble.result, len(self.ensemble.made)
        self._service.metrics.ensemble_answered(self.decision.policy.name, result, calls, total_cost(parts))

    def _count_trial(self, record: Record) -> None:
        """Counts an answer of a model on trial that a policy chose."""
        served = record.served
        if served is None or record.policy is None or self.cached is not None or self.error is not None:
            return
        if self.in_force.standings[served].trial is not None:
            self._service.trials.served(served)

    def _note_answer(self, parts: list[Part]) -> None:
        """Notes in the conversation which model answered."""
        if self.conversation is None or self.error is not None:
            return
        if self.cached is not None:
            origin = self.cached.origin
            model, tokens, answer = origin.model, sum(origin.tokens or ()), origin.last_answer
        elif self.open_call is not None:
            model = self.open_call.candidate.model.name if self.stream is None else self.stream.model
            last = parts[0 if self.stream is None else len(self.stream.calls) - 1]
            tokens = last.prompt_tokens + last.completion_tokens
            answer = _last_answer(self.stream, self.complete)
        else:
            return
        self._service.conversations.record_answer(self.conversation, model, tokens, answer)

    def _parts(self) -> list[Part]:
        """The calls that the request is billed for, with their cost if it is known: those that the answer is from come first."""
        if self._first_prompt is not None:
            return list(self._prompt_parts.values())
        if self.request is None:
            return []
        request = self.request
        if self.ensemble is not None and isinstance(request, ChatRequest):
            answered = self.ensemble.parts(request)
        else:
            answered = answered_parts(request, self.stream, self.open_call)
            answered += [part for call in self.member_calls for part in call.parts(request)]
        return answered + abandoned_parts(request, self.attempts.entries)


def _left_out(request: Request | None, open_call: OpenCall) -> tuple[str, ...]:
    """The fields of the client's request that the deployment was not sent."""
    if request is None or (request.native is not None and request.native.api in open_call.live.apis):
        return open_call.left_out
    return request.left_out + open_call.left_out


def _continuations(stream: ContinuedStream | None) -> list[str]:
    """The models that continued a broken stream."""
    return [] if stream is None else [call.candidate.model.name for call in stream.calls[1:]]


def _last_answer(stream: ContinuedStream | None, complete: Complete | None) -> LastAnswer:
    """The answer as the client will send it back with the next turn."""
    if stream is not None:
        return in_transcript(stream.transcript)
    assert complete is not None
    return answer_in_response(complete)
