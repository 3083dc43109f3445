"""The call of one member, from its beginning until its whole answer is known."""

from dataclasses import dataclass

from gateway.answering.written_answer import written_answer
from gateway.bodies.offload import offloaded
from gateway.core.errors import GatewayError
from gateway.ensemble.answer_key import abstains, answer_key
from gateway.ensemble.calls import Call, Calls
from gateway.ensemble.key import Key
from gateway.ensemble.plan import Member
from gateway.ensemble.recorded_stream import ChunkRecorder, RecordedStream
from gateway.provider_errors.failures import NO_FAILOVER
from router.probes.checkers.answer import Answer


@dataclass(slots=True)
class MemberCall:
    """A member that is asked.

    Attributes:
        place: how many members were asked before it.
        answer: None before it has answered, and if it fails.
        key: the answer in the form that is voted on; None if it cannot be counted.
        abstains: the answer answers nothing; it is sent only if there is no other one.
        slow_at: if it has not begun to answer by then, another member is asked beside it, seconds of the clock; None afterwards.
        error: why it failed.
        ms: how long it took to answer or to fail, milliseconds; None if it was given up.
    """

    member: Member
    place: int
    call: Call
    answer: Answer | None = None
    key: Key | None = None
    abstains: bool = False
    slow_at: float | None = None
    error: GatewayError | None = None
    ms: float | None = None

    @property
    def unknown_cost(self) -> bool:
        """True if its call was given up before it had begun to answer: the provider may bill it all the same."""
        return self.ms is None and not self.call.open_calls

    @property
    def replaceable(self) -> bool:
        """True if it failed, but not because the request is at fault: another model may be asked in its place."""
        return self.error is not None and not any(one.cause in NO_FAILOVER for one in self.call.attempts.failures)


async def ask(asked: MemberCall, calls: Calls) -> None:
    """Makes the call of a member; what it finds is in `asked`.

    Raises:
        asyncio.CancelledError: its answer is not needed any more.
    """
    request, began = calls.request, calls.clock()
    recorder = ChunkRecorder()
    dispatch = calls.dispatch(asked.call, request, recorder if request.stream else None)
    try:
        opened = asked.call.opened = await dispatch.answer()
        if opened.complete is not None:
            answer = await offloaded(len(opened.complete.body), written_answer, opened.complete)
        else:
            asked.call.stream = stream = RecordedStream(
                opened,
                dispatch,
                recorder,
                calls.settings,
                asked.call.attempts,
                prompt_tokens=request.requirements.prompt_tokens,
            )
            answer = await stream.record()
        asked.key = await offloaded(len(answer.text), answer_key, answer, request)
        asked.abstains = asked.key is None and abstains(answer, request)
        asked.answer = answer
    except GatewayError as error:
        asked.error = error
    finally:
        dispatch.close()
        await asked.call.aclose()
    asked.ms = (calls.clock() - began) * 1000
