"""The circuit breaker, the retry budget, hedging and health checks, from outside."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clients import CALM, LONG, ask, body, in_flight, short, until
from tests.faults.provider import Persona, numbered
from tests.gateway.running import Gateway, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, error, silent

pytestmark = pytest.mark.anyio
TEXT = numbered(5)
QUICK = {"breaker_failures": 3, "cool_down": 0.2, "max_cool_down": 0.8, "retry_budget": 1.0, "retries": 0}


def two(a: ScriptedProvider, b: ScriptedProvider, **deployment: Any) -> list[dict[str, Any]]:
    return [short("llama-8b", a.base_url, deployment=deployment), short("llama-70b", b.base_url)]


async def ready(run: Gateway, model: str = "llama-8b") -> str:
    report = (await run.http.get("/health/ready")).json()
    return str(report["models"][model]["deployments"][f"{model}/0"])


async def served_by(run: Gateway, model: str) -> bool:
    return await served(run) == model


async def is_ready(run: Gateway) -> bool:
    return await ready(run) == "available"


async def is_out(run: Gateway) -> bool:
    return not await is_ready(run)


async def served(run: Gateway) -> str:
    got = await ask(run, stream=False)
    assert got.status == 200, got.raw
    return got.models[0]


# Breaker


async def test_it_opens_on_failures_in_a_row(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK | {"cool_down": 60}) as run:
            for _ in range(6):
                assert await served(run) == "llama-70b"
            assert len(a.calls) == 3
            assert "cooling down" in await ready(run)


async def test_it_opens_on_a_failure_rate(tmp_path: Path) -> None:
    """Every other call fails: never three in a row, but too many."""
    count = 0

    async def every_other(call: Call, writer: asyncio.StreamWriter) -> Any:
        nonlocal count
        count += 1
        return await (error(500) if count % 2 else Persona(TEXT))(call, writer)

    async with ScriptedProvider(every_other) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK | {"cool_down": 60}) as run:
            for _ in range(40):
                await served(run)
            assert len(a.calls) < 35
            assert "cooling down" in await ready(run)


async def test_half_open_asks_one_at_a_time_and_closes_after_a_success(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b, timeout=5), gateway=QUICK) as run:
            for _ in range(3):
                await served(run)
            assert len(a.calls) == 3
            release = asyncio.Event()

            async def slow(call: Call, writer: asyncio.StreamWriter) -> Any:
                await release.wait()
                return await Persona(TEXT)(call, writer)

            a.default = slow
            await asyncio.sleep(0.25)
            asked = [asyncio.create_task(ask(run, stream=False)) for _ in range(8)]
            await until(lambda: len(b.calls) >= 3 + 7)
            assert len(a.calls) == 4  # the probe alone
            release.set()
            models = sorted(got.models[0] for got in await asyncio.gather(*asked))
            assert models == ["llama-70b"] * 7 + ["llama-8b"]
            a.default = Persona(TEXT)
            assert await served(run) == "llama-8b"
            assert await ready(run) == "available"


async def test_it_backs_off_exponentially(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK) as run:
            until_at = time.monotonic() + 2.0
            while time.monotonic() < until_at:
                assert await served(run) == "llama-70b"
                await asyncio.sleep(0.02)
            probes = [call.at for call in a.calls[2:]]  # the third opened it
            waits = [later - earlier for earlier, later in pairwise(probes)]
            assert len(waits) <= 3  # 0.2, 0.4, 0.8: in two seconds
            assert waits[0] >= 0.19
            assert waits[1] >= 0.39


async def test_a_later_and_longer_retry_after_extends_it(tmp_path: Path) -> None:
    """The first 429 asks for a short rest; one that was under way already, for a long one."""
    late = asyncio.Event()

    async def second(call: Call, writer: asyncio.StreamWriter) -> Any:
        await late.wait()
        return await error(429, headers={"retry-after": "60"})(call, writer)

    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        a.replies += [second, error(429, headers={"retry-after-ms": "300"})]
        settings = QUICK | {"max_retry_after": 0.1}
        async with gateway(tmp_path, two(a, b, timeout=5), gateway=settings) as run:
            slow = asyncio.create_task(ask(run, stream=False))
            await until(lambda: len(a.calls) == 1)
            assert await served(run) == "llama-70b"
            late.set()
            assert (await slow).models == ["llama-70b"]
            await asyncio.sleep(0.5)
            assert await served(run) == "llama-70b"  # the short rest is over, the long one is not
            assert len(a.calls) == 2


async def test_a_flapping_provider_is_stood_in_for_and_used_again(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK | {"max_cool_down": 0.4}) as run:
            for _ in range(2):
                assert await served(run) == "llama-8b"
                await a.stop()
                down = [await served(run) for _ in range(15)]
                assert set(down) == {"llama-70b"}
                await a.start()
                await until(lambda: served_by(run, "llama-8b"))
                assert [await served(run) for _ in range(5)] == ["llama-8b"] * 5


async def test_the_only_deployment_is_never_a_black_hole(tmp_path: Path) -> None:
    settings = QUICK | {"breaker_failures": 1, "cool_down": 60, "max_cool_down": 60}
    for fault in (error(500), error(429, headers={"retry-after": "600"})):
        async with ScriptedProvider(fault) as a:
            async with gateway(tmp_path, [short("llama-8b", a.base_url)], gateway=settings) as run:
                for _ in range(3):
                    assert (await ask(run, stream=False)).status in (429, 502)
                a.default = Persona(TEXT)
                (await ask(run, stream=True)).complete(TEXT, streaming=True)


async def test_streams_that_break_open_it_too(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT, cut_after=2)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK | {"cool_down": 60}) as run:
            for _ in range(6):
                (await ask(run, stream=True)).complete(TEXT, streaming=True)
            assert len(a.calls) == 3


# Retry budget


async def test_a_storm_of_failures_is_not_multiplied(tmp_path: Path) -> None:
    """All upstreams fail: beyond a small floor, there are at most 20% more upstream calls than first ones."""
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(error(500)) as b:
        settings = CALM | {"retry_budget": 0.2}
        async with gateway(tmp_path, two(a, b), gateway=settings) as run:
            requests = 150
            for _ in range(requests // 15):
                for got in await asyncio.gather(*(ask(run, stream=False) for _ in range(15))):
                    assert got.status in (502, 503)
                    assert "x-should-retry" not in got.headers
            # One call per model and request is failover; whatever is more is a retry.
            extra_a, extra_b = len(a.calls) - requests, len(b.calls) - requests
            floor = 30
            assert extra_a + extra_b <= 0.2 * (len(a.calls) + len(b.calls)) + floor


async def test_retries_of_a_shaky_deployment_keep_to_the_budget(tmp_path: Path) -> None:
    """Two calls in five fail, too few for the breaker: some are retried, the rest goes to the stand-in at once."""
    count = 0

    async def shaky(call: Call, writer: asyncio.StreamWriter) -> Any:
        nonlocal count
        count += 1
        return await (error(500) if count % 5 in (1, 3) else Persona(TEXT))(call, writer)

    async with ScriptedProvider(shaky) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=CALM | {"retry_budget": 0.2}) as run:
            requests = 300
            for _ in range(requests // 10):
                await asyncio.gather(*(served(run) for _ in range(10)))
            assert len(a.calls) - requests <= 0.2 * (len(a.calls) + len(b.calls)) + 15
            assert len(a.calls) > requests  # some were retried


async def test_no_budget_means_no_retry(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=CALM | {"retry_budget": 0.0}) as run:
            for _ in range(5):
                assert await served(run) == "llama-70b"
            assert len(a.calls) <= 15


# Hedging


async def usual(run: Gateway, requests: int = 40) -> None:
    """Requests by which the gateway learns how long the first token usually takes."""
    for _ in range(requests // 8):
        for got in await asyncio.gather(*(ask(run, stream=True) for _ in range(8))):
            got.complete(TEXT, streaming=True)


HEDGE = {"hedging": {"quantile": 0.9, "budget": 0.2}}


async def test_a_slow_first_token_is_hedged(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b, **LONG), gateway=CALM | HEDGE) as run:
            await usual(run)
            a.calls.clear()
            b.calls.clear()
            a.default = silent()
            async with asyncio.timeout(60):  # well before the limit of the first token
                got = await ask(run, stream=True)
            got.complete(TEXT, streaming=True)
            assert got.models == ["llama-70b"]
            assert len(b.calls) == 1
            await until(lambda: a.calls[-1].closed.is_set())  # the loser is cancelled
            await until(lambda: in_flight(run) == 0)
            record = (await run.records())[-1]
            assert record["served"] == "llama-70b"
            assert record["error"] is None
            winner, loser = record["parts"]  # the provider of the loser had begun to read the prompt
            assert (winner["model"], loser["model"]) == ("llama-70b", "llama-8b")
            assert (loser["completion_tokens"], loser["estimated"]) == (0, True)
            assert loser["prompt_tokens"] > 0
            assert record["cost_nusd"] == winner["cost_nusd"] + loser["cost_nusd"]


async def test_the_loser_of_a_hedge_may_be_the_stand_in(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b, **LONG), gateway=CALM | HEDGE) as run:
            await usual(run)
            a.calls.clear()
            b.calls.clear()
            a.default = Persona(TEXT, gate=release.wait, gate_after=0)
            b.default = silent()
            asked = asyncio.create_task(ask(run, stream=True))
            await until(lambda: b.calls)
            release.set()
            got = await asked
            got.complete(TEXT, streaming=True)
            assert got.models == ["llama-8b"]
            await until(lambda: b.calls[0].closed.is_set() and in_flight(run) == 0)


async def test_hedging_keeps_to_its_budget(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        settings = CALM | {"hedging": {"quantile": 0.5, "budget": 0.1}}
        async with gateway(tmp_path, two(a, b, **LONG), gateway=settings) as run:
            await usual(run)
            b.calls.clear()
            a.default = Persona(TEXT, gate=lambda: asyncio.sleep(0.1), gate_after=0)
            for _ in range(5):
                await asyncio.gather(*(ask(run, stream=True) for _ in range(20)))
            assert len(b.calls) <= 0.1 * 140 + 5


async def test_without_hedging_one_deployment_is_asked(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b, **LONG), gateway=CALM) as run:
            await usual(run)
            a.default = Persona(TEXT, gate=lambda: asyncio.sleep(0.3), gate_after=0)
            assert (await ask(run, stream=True)).models == ["llama-8b"]
            assert not b.calls


async def test_a_client_that_leaves_ends_both_calls_of_a_hedge(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b, **LONG), gateway=CALM | HEDGE) as run:
            await usual(run)
            a.calls.clear()
            a.default = b.default = silent()
            asked = asyncio.create_task(run.http.post("/v1/chat/completions", json=body(stream=True)))
            await until(lambda: a.calls and b.calls)
            asked.cancel()
            await until(lambda: a.calls[0].closed.is_set() and b.calls[-1].closed.is_set())
            await until(lambda: in_flight(run) == 0)


# Health checks


async def test_a_health_check_finds_a_recovered_deployment_without_a_request(tmp_path: Path) -> None:
    async with ScriptedProvider(error(500)) as a, ScriptedProvider(Persona(TEXT)) as b:
        settings = QUICK | {"cool_down": 60, "max_cool_down": 60}
        async with gateway(tmp_path, two(a, b, health_check_interval=0.1), gateway=settings) as run:
            await until(lambda: len(a.calls) >= 3)  # checks, though no client asked
            sent = a.calls[0].body
            assert max(sent.get("max_tokens") or 0, sent.get("max_completion_tokens") or 0) == 1
            assert not b.calls
            await until(lambda: is_out(run))
            a.default = Persona(TEXT)
            await until(lambda: is_ready(run))
            assert await served(run) == "llama-8b"
            records = await run.records()
            assert len(records) == 1  # a check is no request


async def test_a_silent_health_check_is_a_failure(tmp_path: Path) -> None:
    async with ScriptedProvider(silent()) as a, ScriptedProvider(Persona(TEXT)) as b:
        settings = QUICK | {"breaker_failures": 1, "cool_down": 60, "max_cool_down": 60}
        async with gateway(tmp_path, two(a, b, health_check_interval=0.1), gateway=settings) as run:
            await until(lambda: is_out(run))
            calls = len(b.calls)
            assert await served(run) == "llama-70b"
            assert len(b.calls) == calls + 1
        assert all(call.closed.is_set() for call in a.calls)  # a stop leaves none behind


async def test_without_an_interval_no_deployment_is_asked(tmp_path: Path) -> None:
    async with ScriptedProvider(Persona(TEXT)) as a, ScriptedProvider(Persona(TEXT)) as b:
        async with gateway(tmp_path, two(a, b), gateway=QUICK):
            await asyncio.sleep(0.3)
        assert not a.calls
        assert not b.calls
