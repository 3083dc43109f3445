"""Active health checks: deployments that ask for it are asked for one token, or one vector, at an interval.

Whether or not requests come: so that a failure is found before a client meets it, and a recovery without one being the probe.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from gateway.answering.failover import Failover
from gateway.answering.open_call import FAILING, tell_breaker
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment, LiveDeployments, LiveModel
from gateway.provider_errors.failures import TAKEN_OUT, Cause, UpstreamFailure, unexpected
from gateway.request.chat_request import parse_chat
from gateway.request.embeddings_request import parse_embeddings
from gateway.upstream.redact import redact

log = logging.getLogger("locus.health")

Ask = Callable[[LiveDeployment], Awaitable[None]]

_ASK = parse_chat(b'{"model": "health-check", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}')
_EMBED = parse_embeddings(b'{"model": "health-check", "input": "Hi"}')


class HealthChecks:
    """Runs the checks of one fleet at a time. Use as an async context manager."""

    def __init__(self, failover: Failover, clock: Clock) -> None:
        self._failover = failover
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "HealthChecks":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.watch(None)

    async def watch(self, fleet: LiveDeployments | None) -> None:
        """Checks the deployments of this fleet from now on, and no others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = [
            asyncio.create_task(self._check(live, live.spec.health_check_s, ask), name=f"health {live.spec.id}")
            for models, ask in self._asked(fleet)
            for model in models
            for live in model.deployments
            if live.spec.health_check_s is not None and live.spec.missing_key is None
        ]

    def _asked(self, fleet: LiveDeployments | None) -> list[tuple[Iterable[LiveModel], Ask]]:
        """All models, with what asks each kind."""
        if fleet is None:
            return []
        return [(fleet.models.values(), self._chat), (fleet.embedding_models.values(), self._embed)]

    async def _check(self, live: LiveDeployment, interval_s: float, ask: Ask) -> None:
        while True:
            await asyncio.sleep(interval_s)
            was = live.unavailable()
            await self._ask(live, ask)
            now = live.unavailable()
            if now != was:
                log.info("%s is %s", live.spec.id, now or "available")

    async def _chat(self, live: LiveDeployment) -> None:
        upstream = await self._failover.upstreams.choose(live.spec, "chat")
        await upstream.complete(live.spec, _ASK, live.dropped)

    async def _embed(self, live: LiveDeployment) -> None:
        upstream = await self._failover.upstreams.choose(live.spec, "embeddings")
        await upstream.complete(live.spec, _EMBED, live.dropped)

    async def _ask(self, live: LiveDeployment, ask: Ask) -> None:
        try:
            async with asyncio.timeout(live.spec.first_token_timeout_s):
                await ask(live)
        except TimeoutError:
            tell_breaker(live, UpstreamFailure(Cause.TIMEOUT), self._clock())
        except UpstreamFailure as failure:
            if failure.cause in FAILING or failure.cause in TAKEN_OUT or failure.cause in (Cause.REFUSED, Cause.LOCAL):
                redact(failure, live.spec, {})
                tell_breaker(live, failure, self._clock(), ours=True)
            else:  # it answers, if only that it dislikes the question
                live.breaker.success()
        except Exception as exc:
            unexpected(exc)
        else:
            live.breaker.success()
