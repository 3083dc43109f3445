"""Questions that the gateway asks a model by itself: to onboard it, to notice that it has changed, to grade another answer.

A question goes to one of the model's own deployments, through the same calls as a client's request, with its retries and without
stand-ins. It is recorded as a request of the API "probe" and booked in the ledger under the id of its caller, which is no key. It
counts neither in the usual times nor in the output lengths of the model, since clients ask other questions.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import orjson

from gateway.answering.attempts import Attempts
from gateway.answering.billed_parts import abandoned_parts, answered_parts
from gateway.answering.call_columns import failover_column, parts_column, usage_columns
from gateway.answering.call_context import RequestContext, Resources
from gateway.answering.call_order import CallOrder
from gateway.answering.call_request import CallRequest
from gateway.answering.open_call import OpenCall
from gateway.answering.retry_loop import RetryLoop
from gateway.api.answer_text import content_text
from gateway.config.portfolio import Portfolio
from gateway.core.errors import Stopped
from gateway.core.json_types import JsonObject, objects_in
from gateway.core.request_ids import new_request_id
from gateway.deployments.live import LiveModel
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.record.recorder import Recorder
from gateway.record.request_record import Part, Record
from gateway.request.chat_request import ChatRequest, parse_chat
from gateway.routing.candidate import Candidate
from gateway.routing.permission import Permission

Caller = Literal["system:onboarding", "system:drift", "system:grader", "system:audit"]
API = "probe"  # of the records
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0  # between two looks at deployments that may not be called yet
STOPPED_STATUS = 499  # of the record of a question that was given up, as of a client that disconnected
UNANSWERED_STATUS = 502  # if the provider sent no status
ALONE = Permission("never", "a probe asks one deployment")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        text: the user message.
        max_tokens: the most tokens of the answer.
        tools: in OpenAI's form.
        system: the system message; "" for none.
        messages: sent in place of both, if there are any.
    """

    text: str
    max_tokens: int
    tools: tuple[JsonObject, ...] = ()
    system: str = ""
    messages: tuple[JsonObject, ...] = ()

    def chat_request(self, model: str) -> ChatRequest:
        """The request for a model, at temperature 0."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        messages = list(self.messages) or [*system, {"role": "user", "content": self.text}]
        fields: JsonObject = {"model": model, "messages": messages}
        fields |= {"temperature": 0, "max_tokens": self.max_tokens}
        if self.tools:
            fields["tools"] = list(self.tools)
        return parse_chat(orjson.dumps(fields))


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        tool_calls: in OpenAI's form.
        finish_reason: None if the provider states none.
        deployment: the id of the one that answered.
        part: what was billed.
        response_model: the name of the model in the answer; None if there is none.
        fingerprint: `system_fingerprint` of the answer; None if there is none.
    """

    text: str
    tool_calls: list[JsonObject]
    finish_reason: str | None
    deployment: str
    part: Part
    response_model: str | None = None
    fingerprint: str | None = None


class ProbeFailed(Exception):
    """No answer.

    Attributes:
        cause: the value of a `Cause`, or "no_key" or "at_limit" if no deployment could be called.
        reason: the provider's own words in one line, without secrets.
    """

    def __init__(self, cause: str, reason: str) -> None:
        super().__init__(f"{cause}: {reason}" if reason else cause)
        self.cause = cause
        self.reason = reason


@dataclass(slots=True)
class _Course:
    """What is known of one question."""

    request: ChatRequest
    attempts: Attempts
    opened: OpenCall | None = None
    parts: list[Part] = field(default_factory=list)
    status: int = STOPPED_STATUS
    error: str | None = Stopped.code


class ProbeCalls:
    """Asks questions.

    Args:
        resources: those of client requests.
        portfolio: the one in force.
        billed: called with each billed call, for the metrics.
        sleep: injected, so that tests control time.
    """

    def __init__(
        self,
        resources: Resources,
        recorder: Recorder,
        portfolio: Callable[[], Portfolio],
        billed: Callable[[Part], None] = lambda part: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._resources = resources
        self._recorder = recorder
        self._portfolio = portfolio
        self._billed = billed
        self._sleep = sleep

    async def ask(
        self, model: LiveModel, question: Question, caller: Caller, *, deployment: str | None = None
    ) -> Reply:
        """Asks one deployment of a model, once its limits allow a call.

        Args:
            deployment: the id of the one to ask; None: one that may be called, by the weights.

        Raises:
            ProbeFailed: it gave no answer.
        """
        if deployment is not None:
            model = LiveModel(model.spec, [live for live in model.deployments if live.spec.id == deployment])
        self._resources.retries.count_request()
        request = question.chat_request(model.name)
        while True:
            await self._until_callable(model)
            if (reply := await self._call(model, request, caller)) is not None:
                return reply

    async def _call(self, model: LiveModel, request: ChatRequest, caller: Caller) -> Reply | None:
        """The answer; None if the store of limits did not let the call begin.

        Raises:
            ProbeFailed: it gave no answer.
        """
        resources, portfolio, candidate = self._resources, self._portfolio(), Candidate(model, permission=ALONE)
        order = CallOrder(request, [candidate], resources.clock, resources.rng)
        target, attempts = next(order, None), Attempts()
        order.close()
        if target is None:
            why = order.skipped[0]
            raise ProbeFailed(why.cause, why.reason)
        context = RequestContext(resources, request, portfolio.settings, order, None, None, None, own=True)
        course, began, at = _Course(request, attempts), resources.clock(), time.time()
        try:
            course.opened = opened = await RetryLoop(context).call(*target, attempts, CallRequest(request))
            course.status, course.error = 200, None
            return _reply(course, opened)
        except UpstreamFailure as failure:
            if failure.cause is Cause.AT_LIMIT:
                return None
            course.status, course.error = failure.status or UNANSWERED_STATUS, failure.cause.value
            raise ProbeFailed(failure.cause.value, failure.reason or str(failure)) from failure
        finally:
            if course.opened is not None:
                await course.opened.aclose()
            if course.opened is not None or course.attempts.entries:
                self._book(course, caller, at, began)

    async def _until_callable(self, model: LiveModel) -> None:
        """Waits until a limit or a cool-down ends; not for what only an operator can change."""
        while model.unavailable() is not None:
            waits = [
                wait_s
                for live in model.deployments
                if not live.needs_operator and (wait_s := live.wait_s()) is not None
            ]
            if not waits:
                return
            await self._sleep(min(max(min(waits), SHORTEST_WAIT_S), LONGEST_WAIT_S))

    def _book(self, course: _Course, caller: Caller, at: float, began: float) -> None:
        """Adds the record of the question and what it was billed.

        Args:
            at, began: when the call began, seconds since the epoch and by the clock of the calls.
        """
        elapsed_s = self._resources.clock() - began
        model, opened = course.request.model, course.opened
        if opened is None:
            course.parts = abandoned_parts(course.request, course.attempts.entries)
        record = Record(
            request_id=new_request_id(),
            time=at,
            requested=model,
            policy=None,
            chosen=model,
            served=None if opened is None else model,
            deployment=None if opened is None else opened.deployment,
            p_correct=None,
            stand_in_distance=None,
            predicted_loss=None,
            candidates=None,
            failover=failover_column(course.attempts, answered=opened is not None, started=began),
            parts=parts_column(course.parts),
            stream=False,
            status=course.status,
            error=course.error,
            latency_ms=elapsed_s * 1000,
            first_token_ms=None,
            overhead_ms=None,
            prompt=None,
            api=API,
            simulated=self._portfolio().simulated,
            key_id=caller,
            **usage_columns(course.parts),
        )
        self._recorder.add(record, course.parts)
        for part in course.parts:
            self._billed(part)


def _reply(course: _Course, opened: OpenCall) -> Reply:
    complete = opened.complete
    assert complete is not None, "questions are not streamed"
    course.parts = answered_parts(course.request, None, opened)
    choices = objects_in(complete.fields.get("choices"))
    choice = choices[0] if choices else {}
    message = choice.get("message") or {}
    return Reply(
        content_text(message.get("content")),
        objects_in(message.get("tool_calls")),
        choice.get("finish_reason"),
        opened.deployment,
        course.parts[0],
        _text(complete.fields.get("model")),
        _text(complete.fields.get("system_fingerprint")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
