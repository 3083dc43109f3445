"""Questions that the gateway asks by itself: how they are sent, recorded and booked, and what a failure says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.answering.call_context import Resources
from gateway.limits.deployments import DeploymentLimits
from gateway.limits.limiter import Limiter
from gateway.limits.memory import MemoryEngine
from gateway.onboarding.probe_calls import ProbeCalls, ProbeFailed, Question
from gateway.record.spending import sums_by
from tests.gateway.onboarding.asking import calls_of
from tests.gateway.running import entry, eventually, gateway
from tests.gateway.upstreams import ScriptedProvider, error, reply, silent

pytestmark = pytest.mark.anyio

QUESTION = Question("What is 6 times 7?", max_tokens=64)
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}


def completion(**message: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "up-model-2",
        "system_fingerprint": "fp_1",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25},
    }


async def test_a_question_is_sent_cold_and_short_and_its_answer_has_what_the_provider_says(tmp_path: Path) -> None:
    async with ScriptedProvider(reply(200, completion(content="42"))) as provider:
        async with gateway(tmp_path, [entry("new", provider.base_url, embedding="none")]) as run:
            asked = Question("Add 1 and 2.", 64, (TOOL,))
            answer = await calls_of(run).ask(run.service.in_force.deployments.models["new"], asked, "system:onboarding")
    (call,) = provider.calls
    assert call.body == {
        "model": "up-new",
        "messages": [{"role": "user", "content": "Add 1 and 2."}],
        "temperature": 0,
        "max_tokens": 64,
        "tools": [TOOL],
    }
    assert (answer.text, answer.finish_reason, answer.deployment) == ("42", "stop", "new/0")
    assert (answer.part.prompt_tokens, answer.part.completion_tokens, answer.part.cost_nusd) == (20, 5, 25_000)
    assert (answer.response_model, answer.fingerprint) == ("up-model-2", "fp_1")


async def test_a_question_is_recorded_and_booked_apart_from_the_requests_of_clients(tmp_path: Path) -> None:
    async with ScriptedProvider(reply(200, completion(content="42"))) as provider:
        async with gateway(tmp_path, [entry("new", provider.base_url, embedding="none")]) as run:
            live = run.service.in_force.deployments.models["new"]
            for _ in range(25):
                await calls_of(run).ask(live, QUESTION, "system:onboarding")
            assert live.deployments[0].usual_time_s(0.5, stream=False) is None
            assert run.service.output_lengths.expected("new") is None
            records = await run.records()
            assert run.service.database is not None
            async with run.service.database.read() as connection:
                sums = await connection.run_sync(sums_by, ["key"])
    assert {(row["api"], row["served"], row["key_id"], row["status"], row["prompt"]) for row in records} == {
        ("probe", "new", "system:onboarding", 200, None)
    }
    assert [(row["key"], row["calls"], row["nusd"]) for row in sums] == [("system:onboarding", 25, 25 * 25_000)]


async def test_a_stand_in_never_answers_and_the_failure_has_the_provider_s_words_without_the_key(
    tmp_path: Path,
) -> None:
    refusal = error(401, "the key sk-up is not valid", "invalid_api_key")
    async with ScriptedProvider(refusal) as refusing, ScriptedProvider() as other:
        models = [entry("llama-8b", refusing.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models) as run:
            with pytest.raises(ProbeFailed) as failed:
                await calls_of(run).ask(
                    run.service.in_force.deployments.models["llama-8b"], QUESTION, "system:onboarding"
                )
            records = await run.records()
    assert failed.value.cause == "auth"
    assert "is not valid" in failed.value.reason
    assert not other.calls
    assert (records[0]["served"], records[0]["error"], records[0]["cost_nusd"]) == (None, "auth", None)


async def test_a_model_without_a_usable_key_says_so(tmp_path: Path) -> None:
    deployment = {"model": "openai/up", "api_base": "http://127.0.0.1:9/v1", "api_key": "os.environ/MISSING"}
    model = entry("new", embedding="none") | {"deployments": [deployment]}
    async with gateway(tmp_path, [model]) as run:
        with pytest.raises(ProbeFailed, match="MISSING") as failed:
            await calls_of(run).ask(run.service.in_force.deployments.models["new"], QUESTION, "system:onboarding")
    assert failed.value.cause == "no_key"


async def test_a_rate_limit_is_waited_for_as_the_provider_asks(tmp_path: Path) -> None:
    async with ScriptedProvider(reply(200, completion(content="42"))) as provider:
        provider.replies.append(error(429, "slow down", headers={"retry-after-ms": "50"}))
        async with gateway(tmp_path, [entry("new", provider.base_url, embedding="none")]) as run:
            answer = await calls_of(run).ask(
                run.service.in_force.deployments.models["new"], QUESTION, "system:onboarding"
            )
    assert answer.text == "42"
    assert len(provider.calls) == 2


async def test_the_limits_of_a_deployment_hold(tmp_path: Path) -> None:
    running, most = 0, 0

    async def slow(call: Any, writer: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        await reply(200, completion(content="42"))(call, writer)

    async with ScriptedProvider(slow) as provider:
        model = entry("new", provider.base_url, embedding="none")
        model["deployments"][0] |= {"max_parallel_requests": 2, "rpm": 7}
        waited: list[float] = []

        async def wait(seconds: float) -> None:
            waited.append(seconds)
            clock[0] += seconds
            await asyncio.sleep(0.005)

        clock = [0.0]
        async with gateway(tmp_path, [model], clock=lambda: clock[0]) as run:
            service = run.service
            limiter = Limiter(MemoryEngine(lambda: clock[0]), clock=lambda: clock[0], wall=lambda: clock[0])
            resources = Resources(
                service.failover.upstreams, DeploymentLimits(limiter), service.output_lengths, lambda: clock[0]
            )
            calls = ProbeCalls(resources, service.recorder, lambda: service.in_force.portfolio, sleep=wait)
            live = service.in_force.deployments.models["new"]
            await asyncio.gather(*(calls.ask(live, QUESTION, "system:onboarding") for _ in range(8)))
    assert most == 2
    assert len(provider.calls) == 8
    assert clock[0] >= 60  # the eighth call is of the next minute


async def test_one_deployment_may_be_asked_by_name(tmp_path: Path) -> None:
    async with ScriptedProvider() as one, ScriptedProvider() as two:
        async with gateway(tmp_path, [entry("new", one.base_url, two.base_url, embedding="none")]) as run:
            live = run.service.in_force.deployments.models["new"]
            for _ in range(5):
                await calls_of(run).ask(live, QUESTION, "system:drift", deployment="new/1")
    assert (len(one.calls), len(two.calls)) == (0, 5)


async def test_a_question_that_is_given_up_is_billed_for_its_prompt(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as provider:
        async with gateway(tmp_path, [entry("new", provider.base_url, embedding="none")]) as run:
            live = run.service.in_force.deployments.models["new"]
            asking = asyncio.create_task(calls_of(run).ask(live, QUESTION, "system:onboarding"))
            await eventually(lambda: bool(provider.calls))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            records = await run.records()
            assert live.deployments[0].in_flight == 0
    (record,) = records
    assert (record["status"], record["error"], record["usage_estimated"]) == (499, "gateway_stopped", True)
    assert record["prompt_tokens"] > 0
    assert record["failover"][0]["cause"] == "cancelled"
