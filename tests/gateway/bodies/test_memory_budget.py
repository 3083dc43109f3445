"""All requests together hold no more memory than the budget says, and give it back however they end."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.bodies.memory_budget import MemoryBudget, charge, default_limit
from gateway.bodies.request_body import read_body
from gateway.core.errors import BodyTooLarge, Overloaded
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio


def test_charges_are_bounded_in_sum_and_given_back() -> None:
    refused: list[bool] = []
    budget = MemoryBudget(lambda: 100, lambda: refused.append(True))
    with budget.account():
        charge(60)
        with budget.account():
            charge(40)
            with pytest.raises(Overloaded) as told:
                charge(1)
            assert int(told.value.headers["retry-after"]) >= 1
            charge(-10)
            charge(10)
        assert budget.charged == 60
        with pytest.raises(BodyTooLarge, match="max_memory_mb"):
            charge(41)
    assert budget.charged == 0
    assert len(refused) == 2
    charge(10**9)  # outside of any request nothing is counted


def test_work_that_outlives_its_request_leaves_nothing_charged() -> None:
    budget = MemoryBudget(lambda: 100)
    with budget.account():
        charge(10)
        later = copy_context()
    later.run(charge, 50)
    assert budget.charged == 0


def test_charges_of_threads_are_not_lost() -> None:
    budget = MemoryBudget(lambda: 1 << 40)
    with budget.account() as account:

        def work() -> None:
            for _ in range(10_000):
                charge(1)

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(copy_context().run, work) for _ in range(4)]:
                done.result()
        assert budget.charged == account.charged == 40_000


def test_the_default_is_a_part_of_what_there_is() -> None:
    assert default_limit() >= 256 << 20
    assert MemoryBudget(lambda: None).limit == default_limit()


async def test_bodies_beyond_the_budget_wait_outside(tmp_path: Path) -> None:
    body = orjson.dumps({"model": "llama-8b", "messages": [{"role": "user", "content": "a " * (3 << 20)}]})
    small = orjson.dumps({"model": "llama-8b", "messages": [{"role": "user", "content": "hi"}]})
    async with (
        ScriptedProvider() as up,
        gateway(
            tmp_path, [entry("llama-8b", up.base_url, context_window=100_000_000)], gateway={"max_memory_mb": 64}
        ) as run,
    ):
        answers = await asyncio.gather(*(run.http.post("/v1/chat/completions", content=body) for _ in range(4)))
        refused = [answer for answer in answers if answer.status_code != 200]
        assert refused
        assert len(refused) < 4
        for answer in refused:
            assert answer.status_code == 503
            assert answer.headers["retry-after"]
            assert "memory" in answer.json()["error"]["message"]
        assert (await run.http.post("/v1/chat/completions", content=small)).status_code == 200
        assert (await run.http.post("/v1/chat/completions", content=body)).status_code == 200
        metrics = (await run.http.get("/metrics")).text
        assert f'locus_requests_refused_total{{reason="memory"}} {len(refused)}' in metrics
        assert "locus_memory_charged_bytes 0.0" in metrics


async def test_large_bodies_are_served_in_every_api(tmp_path: Path) -> None:
    """Beyond the size from which work is done in threads."""
    text = "a long text, " * 20_000
    asked = {
        "/v1/chat/completions": {"messages": [{"role": "user", "content": text}], "locus": {"policy": "cheap"}},
        "/v1/messages": {"max_tokens": 9, "messages": [{"role": "user", "content": text}]},
        "/v1/responses": {"input": text},
        "/v1/completions": {"prompt": text},
        "/v1/route": {"messages": [{"role": "user", "content": text}]},
    }
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, context_window=10_000_000)]) as run:
            for path, fields in asked.items():
                answer = await run.http.post(path, json={"model": "auto"} | fields)
                assert answer.status_code == 200, (path, answer.text[:300])
            assert all(text in call.raw.decode() for call in up.calls)
            assert "locus_memory_charged_bytes 0.0" in (await run.http.get("/metrics")).text


async def test_a_small_body_is_charged_alike_in_one_part_and_in_ten() -> None:
    body = b"x" * 200_000
    charged = []
    for size in (200_000, 20_000):
        parts = [body[at : at + size] for at in range(0, len(body), size)]

        async def receive(parts: list[bytes] = parts) -> dict[str, Any]:
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        budget = MemoryBudget(lambda: 1 << 40)
        with budget.account():
            assert await read_body(receive, 1 << 20) == body
            charged.append(budget.charged)
    assert charged[0] == charged[1]
