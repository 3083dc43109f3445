"""One answer from several models: members answer -> vote -> the judge where votes cannot decide -> the author's answer."""

import asyncio
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import orjson

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Dispatch
from gateway.answering.open_call import OpenCall
from gateway.answering.written_answer import written_answer
from gateway.api.chat.envelope import ANSWER
from gateway.api.dialect import Writer
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.errors import GatewayError
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.ensemble.calls import Call, Calls
from gateway.ensemble.fuse import fuse_request
from gateway.ensemble.judge import comparisons, winner
from gateway.ensemble.member_call import MemberCall
from gateway.ensemble.merged_json import merged_json
from gateway.ensemble.outcome import Outcome, Result
from gateway.ensemble.plan import Plan
from gateway.ensemble.poll import Poll
from gateway.ensemble.recorded_stream import RecordedStream
from gateway.ensemble.total_usage import usage_in
from gateway.ensemble.vote import tally
from gateway.request.chat_request import parse_chat
from gateway.request.response_schema import response_schema

JUDGE_TOKENS = 1_024  # of a judgement
COMPARISONS = 2  # calls of the judge: the two answers in both orders


class EnsembleAnswer:
    """The answer of an ensemble to one request. The owner closes it.

    Args:
        plan: with at least two members.
        writer: writes the stream, if the answer is streamed.
        usd: what a model is expected to cost for this request; None if its price is not known.

    Attributes:
        outcome: None before there is an answer.
        opened: the call that wrote the answer.
        stream: the answer, if it is streamed.
        complete: the answer, if it is not streamed.
    """

    def __init__(self, plan: Plan, calls: Calls, writer: Writer, usd: Callable[[str], float | None]) -> None:
        self.outcome: Outcome | None = None
        self.opened: OpenCall | None = None
        self.stream: ContinuedStream | None = None
        self.complete: Complete | None = None
        self._ensemble = plan.ensemble
        self._calls = calls
        self._poll = Poll(plan, calls)
        self._writer = writer
        self._usd = usd
        self._judge: list[Call] = []
        self._dispatch: Dispatch | None = None  # of the judge that writes the answer

    @property
    def asked(self) -> frozenset[str]:
        """The names of the models that were asked."""
        return frozenset(one.member.name for one in self._poll.asked)

    async def answer(self) -> None:
        """Asks the members and finds the answer. There is none if no member has answered.

        Raises:
            GatewayError: no member has answered, and the provider of one said that the request itself is at fault.
        """
        began = self._calls.clock()
        try:
            await self._poll.run()
            if self._poll.answered:
                await self._find()
                return
            refused = [one.error for one in self._poll.asked if one.error is not None and not one.replaceable]
            if refused:
                raise refused[0]
        finally:
            self._calls.end(began)

    async def aclose(self) -> None:
        """Ends all calls."""
        if self._dispatch is not None:
            self._dispatch.close()
        for call in self._calls.made:
            await call.aclose()

    async def _find(self) -> None:
        """Finds the author, and makes its answer the one that the client gets."""
        counted, votes = self._poll.counted or self._poll.answered, tally(self._poll.ballots())
        author = next((one for one in counted if one.place == votes.author), None)
        author = author or max(counted, key=lambda one: one.member.p_correct)
        result, text, author = await self._result(author, counted, votes.agreed)
        made = tuple(self._calls.made)
        self.outcome = Outcome(result, tuple(self._poll.asked), votes, author, tuple(self._judge), made)
        if result != "fused":
            self._release(author, text)

    async def _result(
        self, author: MemberCall, counted: list[MemberCall], agreed: int
    ) -> tuple[Result, str | None, MemberCall]:
        """How the answer is found, the text that replaces the author's, and the author.

        Args:
            author: by the vote.
            counted: the members whose answers count.
            agreed: how many gave the author's answer.
        """
        fuses = self._ensemble.aggregate == "fuse"
        if len(counted) == 1:
            return "alone", None, author
        if agreed > 1 and not (fuses and agreed < len(counted)):
            return "agreed", None, author
        if fuses and await self._fuse(counted):
            return "fused", None, author
        if author.key is None:
            better = await self._compare(author, counted)
            return ("not_voted", None, author) if better is None else ("judged", None, better)
        if (text := await self._merged(counted)) is not None:
            return "merged", text, author
        return "agreed" if agreed > 1 else "weighed", None, author

    async def _merged(self, counted: list[MemberCall]) -> str | None:
        """The JSON of each field's most votes; None if the answers are not JSON, or no valid JSON comes of it."""
        texts = [
            (one.answer.text, one.member.weight)
            for one in counted
            if one.key is not None and one.key.kind == "json" and one.answer is not None
        ]
        if len(texts) < len(counted):
            return None
        return await offloaded(
            sum(len(text) for text, _ in texts), merged_json, texts, response_schema(self._calls.request)
        )

    async def _compare(self, author: MemberCall, counted: list[MemberCall]) -> MemberCall | None:
        """The better of two answers, as the judge sees them in both orders; None if it does not decide."""
        others = [one for one in counted if one is not author]
        other = max(others, key=lambda one: (one.member.weight, one.member.p_correct))
        judge, usd = self._ensemble.judge, self._usd(self._ensemble.judge or "")
        if judge is None or not self._calls.affordable(None if usd is None else COMPARISONS * usd, COMPARISONS):
            return None
        assert author.answer is not None
        assert other.answer is not None
        asked = comparisons(self._calls.request.query, author.answer.text, other.answer.text)
        async with asyncio.TaskGroup() as both:  # which waits for both to end, also if the client leaves
            tasks = [both.create_task(self._ask_judge(judge, usd, *prompts)) for prompts in asked]
        replies = [reply for task in tasks if (reply := task.result()) is not None]
        better = winner(replies)
        return None if better is None else (author, other)[better]

    async def _ask_judge(self, judge: str, usd: float | None, system: str, user: str) -> str | None:
        """The reply of the judge; None if it did not answer."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        fields = {"model": judge, "messages": messages, "temperature": 0, "max_tokens": JUDGE_TOKENS}
        call, request = self._begin(judge, usd), parse_chat(orjson.dumps(fields))
        dispatch = self._calls.dispatch(call, request, None)
        try:
            async with asyncio.timeout(self._calls.silence_s(judge, request)):
                call.opened = await dispatch.answer()
        except (GatewayError, TimeoutError):
            return None
        finally:
            dispatch.close()
        await call.aclose()
        assert call.opened.complete is not None
        return written_answer(call.opened.complete).text

    async def _fuse(self, counted: list[MemberCall]) -> bool:
        """Lets the judge write the answer; returns False if the limits do not allow it, or it did not answer."""
        judge, usd = self._ensemble.judge, self._usd(self._ensemble.judge or "")
        if judge is None or not self._calls.affordable(usd):
            return False
        texts = [one.answer.text for one in counted if one.answer is not None]
        request = await offloaded(sum(map(len, texts)), fuse_request, self._calls.request, texts)
        call = self._begin(judge, usd)
        dispatch = self._calls.dispatch(call, request, self._writer if request.stream else None)
        try:
            async with asyncio.timeout(self._calls.silence_s(judge, request)):
                self.opened = call.opened = await dispatch.answer()
        except (GatewayError, TimeoutError):
            dispatch.close()
            return False
        self._dispatch = dispatch  # continues the stream if it breaks
        if self.opened.complete is not None:
            self.complete = self._with_usage(self.opened.complete)
            return True
        settings, tokens = self._calls.settings, request.requirements.prompt_tokens
        self.stream = call.stream = ContinuedStream(
            self.opened,
            dispatch,
            settings.stream_recovery,
            call.attempts,
            prompt_tokens=tokens,
            others=self._usage(call),
        )
        return True

    def _begin(self, judge: str, usd: float | None) -> Call:
        call = self._calls.begin(judge, usd)
        self._judge.append(call)
        return call

    def _release(self, author: MemberCall, text: str | None) -> None:
        """Makes the answer of the author, or a text in its place, the one that the client gets."""
        self.opened = author.call.opened
        assert self.opened is not None
        stream = author.call.stream
        if isinstance(stream, RecordedStream):
            stream.release(self._writer, self._usage(author.call), text)
            self.stream = stream
        else:
            assert self.opened.complete is not None
            complete = self.opened.complete if text is None else _composed(text, author.member.name)
            self.complete = self._with_usage(complete)

    def _usage(self, writer: Call) -> Usage:
        """The tokens of all calls but those that wrote the answer."""
        total = Usage()
        for call in self._calls.made:
            if call is not writer:
                for _, usage, _ in call.usages(self._calls.request):
                    total = total.plus(usage)
        return total

    def _with_usage(self, complete: Complete) -> Complete:
        """The answer with the usage of all calls; as it is if its provider reported none."""
        if self.opened is None or self.opened.usage is None:
            return complete
        writer = next(call for call in self._calls.made if call.opened is self.opened)
        usage = self.opened.usage.plus(self._usage(writer))
        fields: JsonObject = {**complete.fields, "usage": usage_in(complete.api, usage.in_chat())}
        return replace(complete, body=dumps(fields), fields=fields, usage=usage)


def _composed(text: str, model: str) -> Complete:
    """A chat completion with a text that no model wrote as a whole."""
    message = {"role": "assistant", "content": text}
    fields: JsonObject = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": ANSWER,
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
    }
    return Complete(dumps(fields), fields, None)
