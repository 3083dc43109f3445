"""Everything that is known of one request, as it becomes known; at its end a record, and counted.

What a request costs is in here: the calls that its answer is from, and what those were billed.
"""

import time
from collections.abc import Iterable
from itertools import chain, islice

import orjson

from gateway.errors import GatewayError
from gateway.last_answer import LastAnswer, in_complete, in_transcript
from gateway.need import Api
from gateway.record import Part, Record
from gateway.recovery import RecoveredStream
from gateway.request import ChatRequest
from gateway.routing import Decision
from gateway.served import Served
from gateway.service import InForce, Service
from gateway.session import Conversation
from gateway.trail import CANCELLED, HEDGED, Hop, Trail
from gateway.upstream.answer import Usage

CANDIDATES = 20  # so many of the models that were scored are recorded
MOST_ATTEMPTS = 200  # that are recorded of one request
MOST_VALUES = 20  # of a header that differs among the prompts of a batch
CLIENT_CLOSED = 499  # nginx's number for a client that left; only ever in records
_OF_BATCH = (b"x-locus-model", b"x-locus-policy", b"x-locus-stand-in", b"x-locus-left-out", b"x-locus-simulated")


class Books:
    """The books of one request.

    Attributes:
        served: who began the answer.
        also_told: headers besides those that tell how the answer came about.
        error: code of the error that the client got, or that ended its answer.
    """

    def __init__(self, request_id: str, api: Api, service: Service) -> None:
        self.id = request_id
        self.in_force: InForce = service.in_force
        self.trail = Trail()
        self.request: ChatRequest | None = None
        self.conversation: Conversation | None = None
        self.decision: Decision | None = None
        self.served: Served | None = None
        self.stream: RecoveredStream | None = None
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
        self._first: Books | None = None  # of the prompts of a batch
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

    def answer(self, served: Served) -> list[tuple[bytes, bytes]]:
        """The answer begins now.

        Returns:
            the headers that tell how it came about.
        """
        decision = self.decision
        assert decision is not None
        self._status = 200
        self._first_token_s = self._clock() - self._started
        self._overhead_s = max(0.0, self._first_token_s - self.trail.waited_s)
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
        hop = served.hop
        if hop.stand_in:
            headers.append((b"x-locus-stand-in", hop.model.name.encode()))
        if hop.distance is not None:
            headers.append((b"x-locus-stand-in-distance", b"%.4f" % hop.distance))
        if hop.predicted_loss is not None:
            headers.append((b"x-locus-stand-in-predicted-loss", b"%.4f" % hop.predicted_loss))
        if left_out := _left_out(self.request, served):
            headers.append((b"x-locus-left-out", ", ".join(left_out).encode()))
        if self.in_force.portfolio.simulated:
            headers.append((b"x-locus-simulated", b"true"))
        return headers + self.also_told

    def open_prompt(self) -> "Books":
        """Books for one more prompt of a batch; `close_prompt` must follow."""
        books = Books(self.id, self._api, self._service)
        books.in_force = self.in_force
        self._first = self._first or books
        return books

    def close_prompt(self, books: "Books") -> None:
        """A prompt is over: what it cost is added here. Of the first one all else is kept too."""
        self.trail.attempts += books.trail.attempts
        for part in books._parts():
            key = part.model, part.deployment
            self._sums[key] = part if key not in self._sums else self._sums[key].plus(part)
        self._continued += books._going_on()

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
        before_s = self._first._started - self._started - self.trail.waited_s
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
            self.decision, self.served = self._first.decision or self.decision, self._first.served
        parts = self._parts()
        record = self._record(parts)
        self._service.recorder.add(record)
        self._service.metrics.count(record, parts, self._continued or self._going_on())
        if self.conversation is not None and self.served is not None and self.error is None:
            model = self.served.hop.model.name if self.stream is None else self.stream.model
            tokens = parts[-1].prompt_tokens + parts[-1].completion_tokens if parts else 0
            self._service.sessions.answered(self.conversation, model, tokens, self._last_answer())

    def _last_answer(self) -> LastAnswer:
        """What the client will send back of the answer with the next turn."""
        if self.stream is not None:
            return in_transcript(self.stream.transcript)
        assert self.served is not None
        assert self.served.complete is not None
        return in_complete(self.served.complete)

    def _parts(self) -> list[Part]:
        """The calls that the answer is from, with what they cost, as far as that is known.

        Of one that the client did not wait for, the prompt counts: it was being read.
        """
        if self._first is not None:
            return list(self._sums.values())
        if self.stream is not None:
            return [_part(served.hop, served.deployment, *self.stream.usage(served)) for served in self.stream.served]
        if self.served is not None:
            usage = self.served.usage
            return [] if usage is None else [_part(self.served.hop, self.served.deployment, usage, False)]
        attempts = self.trail.attempts
        if self.request is not None and attempts and attempts[-1].cause == CANCELLED:
            usage = Usage(self.request.need.prompt_tokens, 0)
            return [_part(attempts[-1].hop, attempts[-1].deployment, usage, True)]
        return []

    def _going_on(self) -> list[str]:
        """The models that went on with a broken stream."""
        return [] if self.stream is None else [served.hop.model.name for served in self.stream.served[1:]]

    def _record(self, parts: list[Part]) -> Record:
        """Everything known at the end."""
        request, decision, served, trail = self.request, self.decision, self.served, self.trail
        hop = served.hop if served is not None else None
        for attempt in trail.attempts:
            if attempt.cause not in (HEDGED, CANCELLED):
                self._service.metrics.failed(attempt.deployment, attempt.cause)
        store_prompt = request is not None and self.in_force.portfolio.settings.store_prompts
        return Record(
            request_id=self.id,
            time=self._time,
            requested=request.model if request is not None else None,
            policy=decision.policy.name if decision is not None and decision.policy is not None else None,
            chosen=decision.model if decision is not None else None,
            served=hop.model.name if hop is not None else None,
            deployment=served.deployment if served is not None else None,
            p_correct=decision.p_chosen if decision is not None else None,
            stand_in_distance=hop.distance if hop is not None else None,
            predicted_loss=hop.predicted_loss if hop is not None else None,
            candidates=_candidates(decision),
            failover=_failover(trail),
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


def _left_out(request: ChatRequest | None, served: Served) -> tuple[str, ...]:
    """What of the client's request the deployment was not told."""
    if request is None or (request.native is not None and request.native.api in served.live.apis):
        return served.left_out
    return request.left_out + served.left_out


def _part(hop: Hop, deployment: str, usage: Usage, estimated: bool) -> Part:
    price = hop.model.spec.price
    usd = (usage.prompt_tokens - usage.cached_tokens) * price.usd_per_mtok_in
    usd += usage.cached_tokens * price.usd_per_mtok_cached + usage.completion_tokens * price.usd_per_mtok_out
    return Part(hop.model.name, deployment, usage.prompt_tokens, usage.completion_tokens, usd / 1e6, estimated)


def _prompt(request: ChatRequest) -> str:
    """The messages, or the inputs of an embeddings request, as JSON."""
    fields = request.fields
    return orjson.dumps(fields["messages"] if "messages" in fields else fields.get("input")).decode()


def _candidates(decision: Decision | None) -> str | None:
    if decision is None or not (best := decision.best(CANDIDATES)):
        return None
    rows = [{"model": name, "p_correct": round(p, 4), "price_usd": price} for name, p, price in best]
    return orjson.dumps(rows).decode()


def _failover(trail: Trail) -> str | None:
    if not trail.attempts:
        return None
    return orjson.dumps(
        [
            {
                "model": attempt.hop.model.name,
                "deployment": attempt.deployment,
                "cause": attempt.cause,
                "status": attempt.status,
                "elapsed_ms": round(attempt.elapsed_s * 1000, 1),
                "distance": attempt.hop.distance,
                "predicted_loss": attempt.hop.predicted_loss,
                "after_content": attempt.after_content,
                "reason": attempt.reason or None,
            }
            for attempt in trail.attempts[:MOST_ATTEMPTS]
        ]
    ).decode()
