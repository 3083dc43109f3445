"""The stream that the client reads. If it breaks after its first content, another deployment continues it."""

import logging
from typing import Any, Literal

from gateway.answering.attempts import Attempt, Attempts
from gateway.answering.billed_usage import billed_usage
from gateway.answering.failover import Dispatch
from gateway.answering.open_call import OpenCall
from gateway.core.chat_types import ChatUsage
from gateway.core.errors import StreamBroken, StreamFiltered
from gateway.core.usage import Usage
from gateway.provider_errors.failures import Cause, UpstreamFailure, unexpected
from gateway.upstream.redact import redact

log = logging.getLogger("locus.continued_stream")


class ContinuedStream:
    """Reads one answer from one or more calls, which it owns.

    Args:
        open_call: the first model's stream, with its first content at hand.
        dispatch: finds the deployment that continues the stream.
        stream_recovery: the portfolio's setting; with "error" a broken stream ends with an error.
        attempts: gets the calls that broke.
        prompt_tokens: estimate for a call whose stream broke before the provider reported its usage.
        others: the tokens of other calls for the same request, which the client is told with those of the answer.

    Attributes:
        calls: those that wrote the answer, in order.
        transcript: the part of the answer that the client has.
        ended: the client has the complete answer.
    """

    def __init__(
        self,
        open_call: OpenCall,
        dispatch: Dispatch,
        stream_recovery: Literal["continue", "error"],
        attempts: Attempts,
        *,
        prompt_tokens: int,
        others: Usage | None = None,
    ) -> None:
        assert open_call.relay is not None
        self.calls = [open_call]
        self._relay = open_call.relay
        self.transcript = open_call.relay.transcript
        self.transcript.models.append(open_call.candidate.model.name)
        self._dispatch = dispatch
        self._stream_recovery = stream_recovery
        self._attempts = attempts
        self._prompt_tokens = prompt_tokens
        self._others = others
        self.ended = False

    def add_locus_fields(self, fields: dict[str, Any]) -> None:
        """Puts the fields that response headers could not carry into the first chunks. Call it before the first read."""
        self.transcript.locus_fields = fields

    async def read(self) -> bytes | None:
        """The next bytes for the client; None at the proper end.

        Raises:
            StreamBroken: the stream broke, and no model can continue it.
        """
        while not self.ended:
            try:
                data = await self._relay.read()
            except Exception as exc:
                await self._continue(exc if isinstance(exc, UpstreamFailure) else unexpected(exc))
                continue
            if data is not None:
                return data
            self.ended = True
        return None

    def usage(self, open_call: OpenCall) -> tuple[Usage, bool]:
        """The tokens of one of the calls, and whether they are an estimate."""
        return billed_usage(open_call, self._prompt_tokens)

    async def aclose(self) -> None:
        for open_call in self.calls:
            await open_call.aclose()

    async def _continue(self, failure: UpstreamFailure) -> None:
        broken = self.calls[-1]
        redact(failure, broken.live.spec, self.transcript.fields)
        broken.failure = failure
        await broken.aclose()
        self._attempts.failures.append(failure)
        self._attempts.entries.append(
            Attempt(
                broken.candidate,
                broken.deployment,
                failure.cause.value,
                failure.status,
                broken.elapsed_s,
                True,
                failure.reason,
                call=broken.start,
            )
        )
        cause = f"{failure.cause.value}: {failure.reason}" if failure.reason else failure.cause.value
        broke = f"The answer of {broken.candidate.model.name} broke off ({cause})"
        reason = self.transcript.not_continuable
        if failure.cause is Cause.CONTENT_FILTER:
            raise StreamFiltered(
                f"{broke}; no other model is asked to continue it, since the gateway does not work around a content filter."
            ) from failure
        if self._stream_recovery == "error":
            reason = "the portfolio's stream_recovery is `error`"
        if reason is None:
            try:
                open_call = await self._dispatch.continue_stream(self.transcript, broken)
            except UpstreamFailure as last:
                kind = StreamFiltered if last.cause is Cause.CONTENT_FILTER else StreamBroken
                raise kind(f"{broke}, and no model could continue it ({last.detail or last.cause.value}).") from last
            assert open_call.relay is not None
            log.warning("%s broke off (%s); %s continues", broken.deployment, cause, open_call.deployment)
            self.calls.append(open_call)
            self._relay = open_call.relay
            self.transcript.models.append(open_call.candidate.model.name)
            return
        raise StreamBroken(f"{broke}; no other model can continue it: {reason}.") from failure

    @property
    def model(self) -> str:
        """The model that wrote the last part."""
        return self.calls[-1].candidate.model.name

    def total_usage(self) -> ChatUsage | None:
        """The usage of all calls in the form of the API; None if the provider of the last call reported none."""
        if self.calls[-1].usage is None:
            return None
        if len(self.calls) == 1 and self._others is None:
            return self._relay.usage_fields
        total = self._others or Usage()
        for open_call in self.calls:
            total = total.plus(self.usage(open_call)[0])
        return total.in_chat()
