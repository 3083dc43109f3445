"""litellm is imported beside the event loop; a request that comes earlier waits for it, within its timeout."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.upstream.litellm_import import import_litellm
from gateway.upstream.litellm_upstream import LitellmUpstream
from tests.gateway.running import Gateway, entry, eventually, gateway, write_portfolio
from tests.gateway.upstream.test_litellm_upstream import ASK, anthropic, claude
from tests.gateway.upstreams import ScriptedProvider

pytestmark = pytest.mark.anyio
SECRET = "no such file: /secret/path"


def use(run: Gateway, importer: Callable[[], ModuleType]) -> LitellmUpstream:
    run.service.failover.upstreams.litellm = litellm = LitellmUpstream(importer)
    return litellm


async def test_the_import_begins_only_for_a_portfolio_that_needs_it(tmp_path: Path) -> None:
    began: list[str] = []

    def importer() -> ModuleType:
        began.append(threading.current_thread().name)
        return import_litellm()

    async with ScriptedProvider(anthropic) as up, gateway(tmp_path, [entry("direct", up.base_url)]) as run:
        litellm = use(run, importer)
        run.service.failover.upstreams.prepare(run.service.in_force.portfolio)
        no_key = claude(up)
        no_key["deployments"][0] |= {"api_key": "os.environ/NOT_SET_HERE"}
        run.service.failover.upstreams.prepare(load_portfolio(write_portfolio(tmp_path, [no_key]), {}))
        assert not began
        await run.service.apply(load_portfolio(write_portfolio(tmp_path, [claude(up)]), {}))  # a reload
        await eventually(lambda: litellm.start_import().done(), 60)
        answer = await run.client.chat.completions.create(model="claude", messages=ASK)
        assert answer.choices[0].message.content == "from claude"
        assert began == ["import litellm"]


async def test_the_wait_for_the_import_counts_as_the_gateways_own_time(tmp_path: Path) -> None:
    import_litellm()

    def slow() -> ModuleType:
        time.sleep(0.4)
        return import_litellm()

    async with ScriptedProvider(anthropic) as up, gateway(tmp_path, [claude(up)]) as run:
        use(run, slow)
        own = [await overhead_ms(run, stream=stream) for stream in (True, False)]
    assert own[0] >= 400
    assert own[1] < 400


async def overhead_ms(run: Gateway, **more: Any) -> float:
    raw = await run.client.chat.completions.with_raw_response.create(model="claude", messages=ASK, **more)
    return float(raw.headers["x-locus-overhead-ms"])


async def test_a_request_waits_for_the_import_no_longer_than_its_timeout(tmp_path: Path) -> None:
    end = threading.Event()

    def hanging() -> ModuleType:
        end.wait(30)
        return import_litellm()

    async with ScriptedProvider(anthropic) as up, ScriptedProvider() as other:
        models = [claude(up), entry("llama-8b", other.base_url)]
        models[0]["deployments"][0]["timeout"] = 0.2
        async with gateway(tmp_path, models) as run:
            use(run, hanging)
            raw = await run.client.chat.completions.with_raw_response.create(model="claude", messages=ASK)
            assert raw.headers["x-locus-stand-in"] == "llama-8b"
            assert raw.headers["x-locus-stand-in-cause"] == "timeout"
            assert float(raw.headers["x-locus-overhead-ms"]) >= 200
            end.set()
            await eventually(lambda: run.service.failover.upstreams.litellm.start_import().done(), 60)
            answer = await run.client.chat.completions.create(model="claude", messages=ASK)
            assert answer.choices[0].message.content == "from claude"


async def test_a_failed_import_is_logged_and_begun_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    def failing_once() -> ModuleType:
        tries.append(1)
        if len(tries) == 1:
            raise ImportError(SECRET)
        return import_litellm()

    async with ScriptedProvider(anthropic) as up, gateway(tmp_path, [claude(up)]) as run:
        use(run, failing_once)
        run.service.failover.upstreams.prepare(run.service.in_force.portfolio)
        await eventually(lambda: "litellm cannot be imported" in caplog.text)
        answer = await run.client.chat.completions.create(model="claude", messages=ASK)
        assert answer.choices[0].message.content == "from claude"
        assert SECRET not in caplog.text
