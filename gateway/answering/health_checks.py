"""Active health checks: calls each deployment that has `health_check` for one token, or one vector, at an interval.

The checks find a failure before a client's request meets it, and a recovery without the request of a client as the probe.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from gateway.answering.call_failure import DEPLOYMENT_FAULTS, update_breaker
from gateway.answering.failover import Failover
from gateway.core.vocabulary import Clock
from gateway.deployments.live import LiveDeployment, LiveDeployments, LiveModel
from gateway.provider_errors.failures import NEEDS_OPERATOR, Cause, UpstreamFailure, unexpected
from gateway.request.chat_request import parse_chat
from gateway.request.embeddings_request import parse_embeddings
from gateway.upstream.redact import redact

Check = Callable[[LiveDeployment], Awaitable[None]]

_CHAT_REQUEST = parse_chat(
    b'{"model": "health-check", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}'
)
_EMBEDDING_REQUEST = parse_embeddings(b'{"model": "health-check", "input": "Hi"}')


class HealthChecks:
    """Runs the checks of one portfolio's deployments at a time. Use as an async context manager.

    Args:
        leads: False while another process checks, and tells this one what it finds.
        works: called with a deployment whose check has succeeded.
    """

    def __init__(
        self,
        failover: Failover,
        clock: Clock,
        leads: Callable[[], bool] = lambda: True,
        works: Callable[[LiveDeployment], None] = lambda live: None,
    ) -> None:
        self._failover = failover
        self._clock = clock
        self._leads = leads
        self._works = works
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "HealthChecks":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.watch(None)

    async def watch(self, deployments: LiveDeployments | None) -> None:
        """Checks these deployments from now on, and no others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = [
            asyncio.create_task(self._repeat(live, live.spec.health_check_s, check), name=f"health {live.spec.id}")
            for models, check in self._checked(deployments)
            for model in models
            for live in model.deployments
            if live.spec.health_check_s is not None and live.spec.missing_key is None
        ]

    def _checked(self, deployments: LiveDeployments | None) -> list[tuple[Iterable[LiveModel], Check]]:
        """All models, with the function that checks models of their kind."""
        if deployments is None:
            return []
        return [(deployments.models.values(), self._chat), (deployments.embedding_models.values(), self._embed)]

    async def _repeat(self, live: LiveDeployment, interval_s: float, check: Check) -> None:
        while True:
            await asyncio.sleep(interval_s)
            if self._leads():
                await self._check_once(live, check)

    async def _chat(self, live: LiveDeployment) -> None:
        upstream = await self._failover.upstreams.choose(live.spec, "chat")
        await upstream.complete(live.spec, _CHAT_REQUEST, live.dropped_fields)

    async def _embed(self, live: LiveDeployment) -> None:
        upstream = await self._failover.upstreams.choose(live.spec, "embeddings")
        await upstream.complete(live.spec, _EMBEDDING_REQUEST, live.dropped_fields)

    async def _check_once(self, live: LiveDeployment, check: Check) -> None:
        try:
            async with asyncio.timeout(live.spec.first_token_timeout_s):
                await check(live)
        except TimeoutError:
            update_breaker(live, UpstreamFailure(Cause.TIMEOUT), self._clock(), own_request=True)
        except UpstreamFailure as failure:
            if (
                failure.cause in DEPLOYMENT_FAULTS
                or failure.cause in NEEDS_OPERATOR
                or failure.cause in (Cause.REFUSED, Cause.LOCAL)
            ):
                redact(failure, live.spec, {})
                update_breaker(live, failure, self._clock(), own_request=True)
            else:  # the server works, although it refuses this request
                self._succeeded(live)
        except Exception as exc:
            unexpected(exc)
        else:
            self._succeeded(live)

    def _succeeded(self, live: LiveDeployment) -> None:
        live.succeeded()
        self._works(live)
