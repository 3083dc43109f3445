"""Active health checks: deployments that ask for it are asked for one token at an interval, whether or not requests come.

So that a failure is found before a client meets it, and a recovery without one being the probe.
"""

import asyncio
import logging

from gateway.failover import Failover
from gateway.fleet import Clock, Fleet, LiveDeployment
from gateway.request import parse_chat
from gateway.served import tell_breaker
from gateway.upstream.failures import FOR_CLIENT, Cause, UpstreamFailure, unexpected

log = logging.getLogger("locus.health")

_ASK = parse_chat(b'{"model": "health-check", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}')
_ALIVE = FOR_CLIENT | {Cause.FIELD_REFUSED, Cause.CONTEXT_LENGTH}  # it answers, if only that it dislikes the question


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

    async def watch(self, fleet: Fleet | None) -> None:
        """Checks the deployments of this fleet from now on, and no others."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = [
            asyncio.create_task(self._check(live, live.spec.health_check_s), name=f"health {live.spec.id}")
            for model in (fleet.models.values() if fleet is not None else ())
            for live in model.deployments
            if live.spec.health_check_s is not None and live.spec.missing_key is None
        ]

    async def _check(self, live: LiveDeployment, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            was = live.unavailable()
            await self._ask(live)
            now = live.unavailable()
            if now != was:
                log.info("%s is %s", live.spec.id, now or "available")

    async def _ask(self, live: LiveDeployment) -> None:
        spec = live.spec
        upstream = self._failover.direct if spec.path == "direct" else self._failover.sdk
        try:
            async with asyncio.timeout(spec.first_token_timeout_s):
                await upstream.complete(spec, _ASK, live.dropped)
        except TimeoutError:
            tell_breaker(live, UpstreamFailure(Cause.TIMEOUT), self._clock())
        except UpstreamFailure as failure:
            if failure.cause in _ALIVE:
                live.breaker.success()
            else:
                tell_breaker(live, failure, self._clock())
        except Exception as exc:
            unexpected(exc)
        else:
            live.breaker.success()
