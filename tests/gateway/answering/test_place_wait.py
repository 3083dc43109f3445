"""Requests that wait for a place at a deployment: how long, and who is next."""

import asyncio
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.answering.attempts import Attempts
from gateway.answering.place_wait import PlaceWait
from gateway.config.settings import LoadSettings
from tests.gateway.live import Time, deployment
from tests.gateway.running import Gateway, entry, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, answer

pytestmark = pytest.mark.anyio


async def test_the_wait_ends_also_if_another_process_takes_each_place(tmp_path: Path) -> None:
    clock, attempts = Time(), Attempts()
    live = deployment(tmp_path, clock, max_parallel_requests=2)
    wait = PlaceWait(LoadSettings(queue_timeout=1), clock)
    assert await wait.place(live, attempts)
    clock.now += 0.5
    assert await wait.place(live, attempts)
    clock.now += 0.5
    assert not await wait.place(live, attempts)


async def test_after_one_that_had_its_turn_and_may_not_call_the_next_has_it(tmp_path: Path) -> None:
    messages: list[Any] = [{"role": "user", "content": "Why is the sky blue?"}]

    async def ask(run: Gateway) -> int:
        try:
            await run.client.chat.completions.create(model="llama-8b", messages=messages, max_tokens=10)
        except openai.APIStatusError as error:
            return error.status_code
        return 200

    async def slow(call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)  # until the others wait
        await answer("fine")(call, writer)

    async with ScriptedProvider(slow) as provider:
        limited = entry("llama-8b", provider.base_url)
        limited["deployments"][0] |= {"max_parallel_requests": 1, "rpm": 2}
        async with gateway(tmp_path, [limited], gateway={"queue_timeout": 60}) as run, asyncio.timeout(120):
            statuses = await asyncio.gather(*(ask(run) for _ in range(6)))
    assert sorted(statuses) == [200, 200, 429, 429, 429, 429]
