"""One deployment is called again where that helps, by a scripted upstream; and what each call leaves in the attempts."""

import random
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.answering.attempts import Attempts
from gateway.answering.call_request import CallRequest
from gateway.answering.failover import Dispatch, Failover
from gateway.answering.retry_loop import RetryLoop
from gateway.config.portfolio import Deployment
from gateway.core.answer import ChunkStream, Complete
from gateway.core.errors import ProviderRejected, UpstreamsFailed
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api
from gateway.limits.deployments import DeploymentLimits
from gateway.limits.limiter import Limiter
from gateway.limits.memory import MemoryEngine
from gateway.limits.output_lengths import OutputLengths
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.chat_request import parse_chat
from gateway.request.request import Request
from gateway.routing.candidate import Candidate
from tests.gateway.live import Time, candidates, model, portfolio

pytestmark = pytest.mark.anyio

REQUEST = parse_chat(orjson.dumps({"model": "a", "messages": [{"role": "user", "content": "Hi"}], "seed": 7}))
ANSWER = Complete(b"{}", {"choices": []}, Usage(3, 2))


class Upstream:
    """Answers calls by a script, and remembers them."""

    def __init__(self, *script: UpstreamFailure | Complete) -> None:
        self.script = list(script)
        self.calls: list[tuple[str, frozenset[str]]] = []

    async def choose(self, deployment: Deployment, api: Api) -> "Upstream":
        return self

    async def complete(
        self, deployment: Deployment, request: Request, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        self.calls.append((deployment.id, dropped))
        step = self.script.pop(0)
        if isinstance(step, UpstreamFailure):
            raise step
        return step

    async def stream(self, *args: object) -> ChunkStream:
        raise AssertionError("the request is not streamed")


class Run:
    """One dispatch over the models of a portfolio, with the pauses that it made."""

    def __init__(self, folder: Path, upstream: Upstream, *models: dict[str, Any]) -> None:
        self.pauses: list[float] = []
        self.attempts = Attempts()
        self.clock = Time()
        self.candidates: list[Candidate] = candidates(folder, *models, clock=self.clock)
        limits = DeploymentLimits(Limiter(MemoryEngine(self.clock), clock=self.clock))
        failover = Failover(upstream, limits, OutputLengths(), self.clock, self._sleep, random.Random(1))  # type: ignore[arg-type]
        settings = portfolio(folder, *models).settings
        self.dispatch: Dispatch = failover.dispatch(REQUEST, self.candidates, settings, self.attempts, None)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.clock.now += seconds

    async def call_first(self) -> Complete | None:
        """Calls the first candidate's deployment alone, with its retries."""
        loop = RetryLoop(self.dispatch._context)
        first = self.candidates[0]
        call = await loop.call(first, first.model.deployments[0], self.attempts, CallRequest(REQUEST))
        await call.aclose()
        return call.complete


async def test_a_call_that_succeeds_at_once_leaves_nothing_behind(tmp_path: Path) -> None:
    upstream = Upstream(ANSWER)
    run = Run(tmp_path, upstream, model("a"))
    assert await run.call_first() is ANSWER
    assert (run.attempts.entries, run.pauses) == ([], [])
    assert run.candidates[0].model.deployments[0].in_flight == 0


async def test_a_rate_limit_is_waited_for_as_long_as_it_says(tmp_path: Path) -> None:
    upstream = Upstream(UpstreamFailure(Cause.RATE_LIMITED, 429, retry_after_s=3.0), ANSWER)
    run = Run(tmp_path, upstream, model("a"))
    assert await run.call_first() is ANSWER
    assert run.pauses == [3.0]
    assert (run.attempts.paused_s, run.attempts.waited_s) == (3.0, 3.0)
    assert [(attempt.cause, attempt.status) for attempt in run.attempts.entries] == [("rate_limited", 429)]


async def test_the_last_failure_is_raised_when_the_retries_are_used_up(tmp_path: Path) -> None:
    failures = [UpstreamFailure(Cause.RATE_LIMITED, 429, retry_after_s=float(n)) for n in (1, 2, 3)]
    upstream = Upstream(*failures)
    run = Run(tmp_path, upstream, model("a"))
    with pytest.raises(UpstreamFailure) as raised:
        await run.call_first()
    assert raised.value is failures[-1]
    assert run.pauses == [1.0, 2.0]
    assert run.attempts.failures == failures


async def test_each_repeated_call_takes_one_from_the_budget(tmp_path: Path) -> None:
    upstream = Upstream(*[UpstreamFailure(Cause.RATE_LIMITED, 429, retry_after_s=0.5)] * 3)
    run = Run(tmp_path, upstream, model("a"))
    retries = run.dispatch._resources.retries
    while retries.take(0.0):
        pass
    with pytest.raises(UpstreamFailure):
        await run.call_first()
    assert len(upstream.calls) == 1


async def test_a_refused_field_is_left_out_at_once_and_later_from_the_first_call(tmp_path: Path) -> None:
    refused = UpstreamFailure(Cause.FIELD_REFUSED, 400, field="seed", reason="Unknown parameter: seed")
    upstream = Upstream(refused, ANSWER, ANSWER)
    run = Run(tmp_path, upstream, model("a"))
    await run.call_first()
    await run.call_first()
    assert run.pauses == [0.0]
    assert [dropped for _, dropped in upstream.calls] == [frozenset(), {"seed"}, {"seed"}]


async def test_the_walk_asks_the_next_model_after_an_outage(tmp_path: Path) -> None:
    upstream = Upstream(UpstreamFailure(Cause.TIMEOUT), ANSWER)
    run = Run(tmp_path, upstream, model("a"), model("b"))
    call = await run.dispatch.answer()
    assert call.deployment == "b/0"
    assert [attempt.deployment for attempt in run.attempts.entries] == ["a/0"]
    await call.aclose()


async def test_a_refusal_of_the_request_ends_the_walk(tmp_path: Path) -> None:
    error = {"message": "Blocked"}
    upstream = Upstream(UpstreamFailure(Cause.CONTENT_FILTER, 400, error=error))
    run = Run(tmp_path, upstream, model("a"), model("b"))
    with pytest.raises(ProviderRejected, match="Blocked"):
        await run.dispatch.answer()
    assert len(upstream.calls) == 1


async def test_the_last_resort_calls_one_that_cools_down(tmp_path: Path) -> None:
    upstream = Upstream(ANSWER)
    run = Run(tmp_path, upstream, model("a"))
    run.candidates[0].model.deployments[0].breaker.failure(run.clock(), "overloaded", retry_after_s=60.0)
    call = await run.dispatch.answer()
    assert call.deployment == "a/0"
    await call.aclose()


async def test_where_all_failed_the_error_names_each(tmp_path: Path) -> None:
    upstream = Upstream(UpstreamFailure(Cause.TIMEOUT), UpstreamFailure(Cause.AUTH, 401))
    run = Run(tmp_path, upstream, model("a"), model("b"))
    with pytest.raises(UpstreamsFailed, match="a: timeout; b: auth"):
        await run.dispatch.answer()
