"""The stream that the client sees, by as many models as it takes: one that breaks after its first content is continued."""

import logging
from typing import Any, Literal

from gateway.answering.attempts import Attempt, Attempts
from gateway.answering.failover import Pursuit
from gateway.answering.open_call import OpenCall
from gateway.core.answer import Usage
from gateway.core.errors import StreamBroken, StreamFiltered
from gateway.provider_errors.failures import Cause, UpstreamFailure, unexpected
from gateway.upstream.redact import redact

log = logging.getLogger("locus.recovery")


class ContinuedStream:
    """Reads one answer; owns its calls.

    Args:
        served: the first model's stream, with its first content at hand.
        pursuit: finds who goes on.
        recovery: "error" ends a broken stream instead.
        prompt_tokens: estimate for a call whose provider no longer says what it billed.

    Attributes:
        transcript: what the client has of the answer.
    """

    def __init__(
        self,
        served: OpenCall,
        pursuit: Pursuit,
        recovery: Literal["continue", "error"],
        trail: Attempts,
        *,
        prompt_tokens: int,
    ) -> None:
        assert served.relay is not None
        self.served = [served]
        self._relay = served.relay
        self.transcript = served.relay.transcript
        self.transcript.models.append(served.candidate.model.name)
        self._pursuit = pursuit
        self._recovery = recovery
        self._trail = trail
        self._prompt_tokens = prompt_tokens
        self._ended = False

    def tell(self, fields: dict[str, Any]) -> None:
        """Has the stream tell how the answer came about, where its headers could not. Before the first read."""
        self.transcript.told = fields

    async def read(self) -> bytes | None:
        """The next bytes for the client; None at the proper end.

        Raises:
            StreamBroken: it broke, and no other model can continue it.
        """
        while not self._ended:
            try:
                data = await self._relay.read()
            except Exception as exc:
                await self._go_on(exc if isinstance(exc, UpstreamFailure) else unexpected(exc))
                continue
            if data is not None:
                return data
            self._ended = True
        return None

    def usage(self, served: OpenCall) -> tuple[Usage, bool]:
        """What one of the calls cost, and whether that is an estimate."""
        if served.usage is not None:
            return served.usage, False
        assert served.relay is not None
        return served.relay.estimate.plus(Usage(self._prompt_tokens, 0)), True

    async def aclose(self) -> None:
        for served in self.served:
            await served.aclose()

    async def _go_on(self, failure: UpstreamFailure) -> None:
        broken = self.served[-1]
        redact(failure, broken.live.spec, self.transcript.fields)
        broken.broke(failure)
        await broken.aclose()
        self._trail.failures.append(failure)
        self._trail.attempts.append(
            Attempt(
                broken.candidate,
                broken.deployment,
                failure.cause.value,
                failure.status,
                broken.elapsed_s,
                True,
                failure.reason,
            )
        )
        cause = f"{failure.cause.value}: {failure.reason}" if failure.reason else failure.cause.value
        broke = f"The answer of {broken.candidate.model.name} broke off ({cause})"
        why = self.transcript.whole
        if failure.cause is Cause.CONTENT_FILTER:
            raise StreamFiltered(
                f"{broke}; no other model is asked to continue it, since the gateway does not work around a content filter."
            ) from failure
        if self._recovery == "error":
            why = "the portfolio's stream_recovery is `error`"
        if why is None:
            try:
                served = await self._pursuit.go_on(self.transcript, broken)
            except UpstreamFailure as last:
                kind = StreamFiltered if last.cause is Cause.CONTENT_FILTER else StreamBroken
                raise kind(f"{broke}, and no model could continue it ({last.detail or last.cause.value}).") from last
            assert served.relay is not None
            log.warning("%s broke off (%s); %s goes on", broken.deployment, cause, served.deployment)
            self.served.append(served)
            self._relay = served.relay
            self.transcript.models.append(served.candidate.model.name)
            return
        raise StreamBroken(f"{broke}; no other model can continue it: {why}.") from failure

    @property
    def model(self) -> str:
        """Who wrote last."""
        return self.served[-1].candidate.model.name

    def total_usage(self) -> dict[str, Any] | None:
        """What all calls cost, as the provider writes it; None where the provider of the last one reported none."""
        usage = self._relay.usage_fields
        if usage is None or len(self.served) == 1:
            return usage
        total = Usage()
        for served in self.served:
            total = total.plus(self.usage(served)[0])
        return {
            "prompt_tokens": total.prompt_tokens,
            "completion_tokens": total.completion_tokens,
            "total_tokens": total.prompt_tokens + total.completion_tokens,
        }
