"""Everything that is known of one request, as it becomes known; at its end a record, and counted.

What a request costs is in here: the calls that its answer is from, and what those were billed.
"""

import time
from collections.abc import Iterable
from itertools import chain, islice

import orjson

from gateway.answering.attempts import CANCELLED, HEDGED, Attempts
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.answering.transcript import in_transcript
from gateway.core.answer import Usage
from gateway.core.errors import GatewayError
from gateway.core.vocabulary import Api
from gateway.http.service import InForce, Service
from gateway.record.request_record import Part, Record
from gateway.request.conversation import Conversation
from gateway.request.last_answer import LastAnswer, in_complete
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from gateway.routing.decision import Decision

CANDIDATES = 20  # so many of the models that were scored are recorded
MOST_ATTEMPTS = 200  # that are recorded of one request
MOST_VALUES = 20  # of a header that differs among the prompts of a batch
CLIENT_CLOSED = 499  # nginx's number for a client that left; only ever in records
_OF_BATCH = (b"x-locus-model", b"x-locus-policy", b"x-locus-stand-in", b"x-locus-left-out", b"x-locus-simulated")


class RequestLog:
    """The books of one request.

    Attributes:
        open_call: the call that began the answer.
        also_told: headers besides those that tell how the answer came about.
        error: code of the error that the client got, or that ended its answer.
    """

    def __init__(self, request_id: str, api: Api, service: Service) -> None:
        self.id = request_id
        self.in_force: InForce = service.in_force
        self.attempts = Attempts()
        self.request: Request | None = None
        self.conversation: Conversation | None = None
        self.decision: Decision | None = None
        self.open_call: OpenCall | None = None
        self.stream: ContinuedStream | None = None
        self.also_told: list[tuple[bytes, bytes]] = []
        self.error: str | None = None
        self._api = api
        self._service = service
        self._clock = service.clock
        self._time = time.time()
        self._started = self._clock()
        self._status = CLIENT_CLOSED
        self._first_token_s: float | None = None
        self._overhead_s: float | None = None
        self._first: RequestLog | None = None  # of the prompts of a batch
        self._sums: dict[tuple[str, str], Part] = {}  # of the calls for them, which may be thousands, by deployment
        self._continued: list[str] = []

    @property
    def answered(self) -> bool:
        """Whether an answer has begun, be it an error."""
        return self._status != CLIENT_CLOSED

    @property
    def own_s(self) -> float:
        """The gateway's own time up to the first byte of the answer, seconds."""
        return self._overhead_s or 0.0

    def refuse(self, error: GatewayError) -> None:
        """The client gets an error instead of an answer."""
        self.error = error.recorded
        self._status = error.status

    def answer(self, open_call: OpenCall) -> list[tuple[bytes, bytes]]:
        """The answer begins now.

        Returns:
            the headers that tell how it came about.
        """
        decision = self.decision
        assert decision is not None
        self._status = 200
        self._first_token_s = self._clock() - self._started
        self._overhead_s = max(0.0, self._first_token_s - self.attempts.waited_s)
        headers = [
            (b"x-locus-model", decision.model.encode()),
            (b"x-locus-overhead-ms", b"%.2f" % (self._overhead_s * 1000)),
        ]
        if decision.policy is not None:
            headers.append((b"x-locus-policy", decision.policy.name.encode()))
        if decision.p_chosen is not None:
            headers.append((b"x-locus-p-correct", b"%.4f" % decision.p_chosen))
        if decision.switch is not None:
            headers.append((b"x-locus-conversation", b"kept" if decision.kept else b"switched"))
        candidate = open_call.candidate
        if candidate.stand_in:
            headers.append((b"x-locus-stand-in", candidate.model.name.encode()))
        if candidate.distance is not None:
            headers.append((b"x-locus-stand-in-distance", b"%.4f" % candidate.distance))
        if candidate.predicted_loss is not None:
            headers.append((b"x-locus-stand-in-predicted-loss", b"%.4f" % candidate.predicted_loss))
        if left_out := _left_out(self.request, open_call):
            headers.append((b"x-locus-left-out", ", ".join(left_out).encode()))
        if self.in_force.portfolio.simulated:
            headers.append((b"x-locus-simulated", b"true"))
        return headers + self.also_told

    def open_prompt(self) -> "RequestLog":
        """Books for one more prompt of a batch; `close_prompt` must follow."""
        request_log = RequestLog(self.id, self._api, self._service)
        request_log.in_force = self.in_force
        self._first = self._first or request_log
        return request_log

    def close_prompt(self, request_log: "RequestLog") -> None:
        """A prompt is over: what it cost is added here. Of the first one all else is kept too."""
        self.attempts.entries += request_log.attempts.entries
        for part in request_log._parts():
            key = part.model, part.deployment
            self._sums[key] = part if key not in self._sums else self._sums[key].plus(part)
        self._continued += request_log._going_on()

    def answer_batch(self, told: Iterable[list[tuple[bytes, bytes]]], own_s: float) -> list[tuple[bytes, bytes]]:
        """The answer to several prompts begins now.

        Args:
            told: the headers that tell how the answers to these prompts came about.
            own_s: the gateway's own time for them, seconds.

        Returns:
            those that tell it of all: a value that differs among the prompts is a list.
        """
        assert self._first is not None
        self._status = 200
        self._first_token_s = self._clock() - self._started
        before_s = self._first._started - self._started - self.attempts.waited_s
        self._overhead_s = max(0.0, before_s) + own_s
        values: dict[bytes, dict[bytes, None]] = {name: {} for name in _OF_BATCH}
        for name, value in chain.from_iterable(told):
            if name in values:
                values[name][value] = None
        overhead = (b"x-locus-overhead-ms", b"%.2f" % (self._overhead_s * 1000))
        lists = [(name, b", ".join(islice(each, MOST_VALUES))) for name, each in values.items() if each]
        return [overhead, *lists, *self.also_told]

    def close(self) -> None:
        """The request is over: it is recorded and counted, and its conversation remembers who answered."""
        if self._first is not None:
            self.decision, self.open_call = self._first.decision or self.decision, self._first.open_call
        parts = self._parts()
        record = self._record(parts)
        self._service.recorder.add(record)
        self._service.metrics.count(record, parts, self._continued or self._going_on())
        if self.conversation is not None and self.open_call is not None and self.error is None:
            model = self.open_call.candidate.model.name if self.stream is None else self.stream.model
            tokens = parts[-1].prompt_tokens + parts[-1].completion_tokens if parts else 0
            self._service.sessions.answered(self.conversation, model, tokens, self._last_answer())

    def _last_answer(self) -> LastAnswer:
        """What the client will send back of the answer with the next turn."""
        if self.stream is not None:
            return in_transcript(self.stream.transcript)
        assert self.open_call is not None
        assert self.open_call.complete is not None
        return in_complete(self.open_call.complete)

    def _parts(self) -> list[Part]:
        """The calls that the answer is from, with what they cost, as far as that is known.

        Of one that the client did not wait for, the prompt counts: it was being read.
        """
        if self._first is not None:
            return list(self._sums.values())
        if self.stream is not None:
            return [
                _part(open_call.candidate, open_call.deployment, *self.stream.usage(open_call))
                for open_call in self.stream.calls
            ]
        if self.open_call is not None:
            usage = self.open_call.usage
            return [] if usage is None else [_part(self.open_call.candidate, self.open_call.deployment, usage, False)]
        attempts = self.attempts.entries
        if self.request is not None and attempts and attempts[-1].cause == CANCELLED:
            usage = Usage(self.request.requirements.prompt_tokens, 0)
            return [_part(attempts[-1].candidate, attempts[-1].deployment, usage, True)]
        return []

    def _going_on(self) -> list[str]:
        """The models that went on with a broken stream."""
        return [] if self.stream is None else [open_call.candidate.model.name for open_call in self.stream.calls[1:]]

    def _record(self, parts: list[Part]) -> Record:
        """Everything known at the end."""
        request, decision, open_call, attempts = self.request, self.decision, self.open_call, self.attempts
        candidate = open_call.candidate if open_call is not None else None
        for attempt in attempts.entries:
            if attempt.cause not in (HEDGED, CANCELLED):
                self._service.metrics.failed(attempt.deployment, attempt.cause)
        store_prompt = request is not None and self.in_force.portfolio.settings.store_prompts
        return Record(
            request_id=self.id,
            time=self._time,
            requested=request.model if request is not None else None,
            policy=decision.policy.name if decision is not None and decision.policy is not None else None,
            chosen=decision.model if decision is not None else None,
            served=candidate.model.name if candidate is not None else None,
            deployment=open_call.deployment if open_call is not None else None,
            p_correct=decision.p_chosen if decision is not None else None,
            stand_in_distance=candidate.distance if candidate is not None else None,
            predicted_loss=candidate.predicted_loss if candidate is not None else None,
            candidates=_candidates(decision),
            failover=_failover(attempts),
            parts=orjson.dumps([part._asdict() for part in parts]).decode() if len(parts) > 1 else None,
            stream=request.stream if request is not None else False,
            status=self._status,
            error=self.error,
            prompt_tokens=sum(part.prompt_tokens for part in parts) if parts else None,
            completion_tokens=sum(part.completion_tokens for part in parts) if parts else None,
            usage_estimated=any(part.estimated for part in parts),
            cost_usd=sum(part.cost_usd for part in parts) if parts else None,
            latency_ms=(self._clock() - self._started) * 1000,
            first_token_ms=None if self._first_token_s is None else self._first_token_s * 1000,
            overhead_ms=None if self._overhead_s is None else self._overhead_s * 1000,
            prompt=_prompt(request) if store_prompt and request else None,
            api=self._api,
            conversation=None
            if decision is None or decision.switch is None
            else "kept"
            if decision.kept
            else "switched",
            simulated=self.in_force.portfolio.simulated,
        )


def _left_out(request: Request | None, open_call: OpenCall) -> tuple[str, ...]:
    """What of the client's request the deployment was not told."""
    if request is None or (request.native is not None and request.native.api in open_call.live.apis):
        return open_call.left_out
    return request.left_out + open_call.left_out


def _part(candidate: Candidate, deployment: str, usage: Usage, estimated: bool) -> Part:
    price = candidate.model.spec.price
    usd = (usage.prompt_tokens - usage.cached_tokens) * price.usd_per_mtok_in
    usd += usage.cached_tokens * price.usd_per_mtok_cached + usage.completion_tokens * price.usd_per_mtok_out
    return Part(candidate.model.name, deployment, usage.prompt_tokens, usage.completion_tokens, usd / 1e6, estimated)


def _prompt(request: Request) -> str:
    """The messages, or the inputs of an embeddings request, as JSON."""
    fields = request.fields
    return orjson.dumps(fields["messages"] if "messages" in fields else fields.get("input")).decode()


def _candidates(decision: Decision | None) -> str | None:
    if decision is None or not (best := decision.best(CANDIDATES)):
        return None
    rows = [{"model": name, "p_correct": round(p, 4), "price_usd": price} for name, p, price in best]
    return orjson.dumps(rows).decode()


def _failover(attempts: Attempts) -> str | None:
    if not attempts.entries:
        return None
    return orjson.dumps(
        [
            {
                "model": attempt.candidate.model.name,
                "deployment": attempt.deployment,
                "cause": attempt.cause,
                "status": attempt.status,
                "elapsed_ms": round(attempt.elapsed_s * 1000, 1),
                "distance": attempt.candidate.distance,
                "predicted_loss": attempt.candidate.predicted_loss,
                "after_content": attempt.after_content,
                "reason": attempt.reason or None,
            }
            for attempt in attempts.entries[:MOST_ATTEMPTS]
        ]
    ).decode()
