"""Gateways that watch simulated providers over HTTP, and the commands that show what they found."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.commands.main import main
from gateway.http.drift import drift_watcher
from tests.gateway.onboarding.courses import bank_file
from tests.gateway.onboarding.skilled_provider import SkilledProvider
from tests.gateway.running import Gateway, entry, gateway, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer

pytestmark = pytest.mark.anyio

ADMIN = {"authorization": "Bearer sk-admin"}
DRIFT = {"probes": 16, "per_round": 8, "every": 0.1}


@asynccontextmanager
async def watching(folder: Path, models: list[dict[str, Any]], **drift: Any) -> AsyncIterator[Gateway]:
    bank, _ = bank_file(folder)
    settings = {"admin_key": "sk-admin", "record": str(folder / "locus.db")}
    more = {"drift": DRIFT | {"bank": bank.name} | drift, "gateway": settings}
    async with gateway(folder, models, **more) as run:
        watcher = drift_watcher(run.service)
        assert watcher is not None
        async with watcher:
            yield run


async def shown(run: Gateway) -> dict[str, Any]:
    found = await run.http.get("/admin/drift", headers=ADMIN)
    assert found.status_code == 200
    body: dict[str, Any] = found.json()
    return body


async def until_rounds(run: Gateway, rounds: int) -> dict[str, Any]:
    """The first watch once it has so many rounds."""
    for _ in range(3_000):
        data = (await shown(run))["data"]
        if data and data[0]["rounds"] >= rounds:
            first: dict[str, Any] = data[0]
            return first
        await asyncio.sleep(0.02)
    raise AssertionError(f"no {rounds} rounds: {data}")


async def until_event(run: Gateway) -> dict[str, Any]:
    for _ in range(3_000):
        if events := (await shown(run))["events"]:
            first: dict[str, Any] = events[0]
            return first
        await asyncio.sleep(0.02)
    raise AssertionError("no event")


async def test_a_swapped_model_is_found_told_and_no_longer_trusted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, probes = bank_file(tmp_path)
    skills = {"up-chat": {"": 0.8}}
    async with SkilledProvider(probes, skills) as provider, ScriptedProvider(answer("thanks")) as hook:
        webhook = f"{hook.base_url}/hooks/secret-token"
        async with watching(tmp_path, [entry("chat", provider.base_url)], webhook=webhook) as run:
            watch = await until_rounds(run, 2)
            assert (watch["state"], watch["reason"]) == ("watching", "")
            assert watch["evidence"] < 1
            skills["up-chat"] = {"": 0.0}
            event = await until_event(run)
            assert (event["kind"], event["model"]) == ("changed", "chat")
            for _ in range(3_000):
                if hook.calls:
                    break
                await asyncio.sleep(0.02)
            assert hook.calls[0].body == {"object": "drift.event", **event}
            metrics = (await run.http.get("/metrics", headers=ADMIN)).text
            labels = f'deployment="{event["deployment"]}",kind="changed",model="chat"'
            assert f"locus_drift_events_total{{{labels}}} 1.0" in metrics
            for _ in range(3_000):  # the gateway looks for new states every two seconds
                listed = json.dumps((await run.http.get("/v1/models")).json())
                if "suspect" in listed:
                    break
                await asyncio.sleep(0.02)
            assert "its deployment chat/0 is suspect" in listed
            records = [record for record in await run.records() if record["api"] == "probe"]
            assert {record["key_id"] for record in records} == {"system:drift"}
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.partition(": ")[0] for text in told] == ["deployment chat/0 of chat is suspect"]
    assert "answers otherwise than before" in told[0]
    assert "secret-token" not in caplog.text
    shown_by_command = CliRunner().invoke(main, ["drift", "--db", str(tmp_path / "locus.db")])
    assert shown_by_command.exit_code == 0, shown_by_command.output
    assert "answers otherwise than before" in shown_by_command.output
    row = next(line for line in shown_by_command.output.splitlines() if line.startswith("chat/0 "))
    assert "suspect; " in row
    assert "To trust chat/0 again: locus model state chat live --deployment chat/0\n" in shown_by_command.output
    as_json = json.loads(CliRunner().invoke(main, ["drift", "--db", str(tmp_path / "locus.db"), "--json"]).output)
    assert [one["deployment_state"] for one in as_json["data"]] == ["suspect"]


async def test_an_outage_is_no_event_and_says_why_nothing_is_asked(tmp_path: Path) -> None:
    _, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, {"up-chat": {"": 0.8}}) as provider:
        async with watching(tmp_path, [entry("chat", provider.base_url)]) as run:
            watch = await until_rounds(run, 1)
            await provider.stop()
            for _ in range(3_000):
                if (watch := (await shown(run))["data"][0])["reason"]:
                    break
                await asyncio.sleep(0.02)
            assert watch["reason"].startswith("could not ask: connect")
            await provider.start()
            assert (await until_rounds(run, watch["rounds"] + 2))["reason"] == ""
            now = await shown(run)
            assert (now["events"], now["data"][0]["deployment_state"]) == ([], "live")


async def test_probes_cost_no_more_than_the_limit(tmp_path: Path) -> None:
    _, probes = bank_file(tmp_path)
    async with SkilledProvider(probes, {"up-chat": {"": 0.8}}) as provider:
        async with watching(tmp_path, [entry("chat", provider.base_url)], usd_per_day=0.002) as run:
            for _ in range(3_000):
                if data := [one for one in (await shown(run))["data"] if one["reason"]]:
                    break
                await asyncio.sleep(0.02)
            assert data[0]["reason"] == "the next probe could cost more than is left of 0.002 USD (`drift.usd_per_day`)"
            spent = sum(record["cost_usd"] for record in await run.records() if record["api"] == "probe")
            assert 0 < spent <= 0.002


async def test_a_gateway_without_a_database_watches_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("chat", "http://127.0.0.1:9/v1")], gateway={"record": None}) as run:
        assert drift_watcher(run.service) is None
        assert (await run.http.get("/admin/drift")).status_code == 404


def test_the_command_says_how_to_switch_it_on(tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["drift", "--db", str(tmp_path / "none.db")])
    assert missing.exit_code == 1
    assert "no such record" in missing.output


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"probes": 3}, "drift.probes"),
        ({"webhook": "ftp://host/x"}, "expected a URL that begins with https://"),
        ({"webhook": "os.environ/NO_SUCH_HOOK"}, "NO_SUCH_HOOK is not set"),
        ({"then": "panic"}, "drift.then"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, written: dict[str, Any], expected: str) -> None:
    path = write_portfolio(tmp_path, [entry("chat", "http://127.0.0.1:9/v1")], drift=written)
    checked = CliRunner().invoke(main, ["check", str(path)])
    assert checked.exit_code == 1
    assert expected in checked.output.replace("\n", " ")


async def test_deployments_are_compared_by_their_answers(tmp_path: Path) -> None:
    bank, probes = bank_file(tmp_path)
    skills = {"up-one": {"": 0.6}, "up-two": {"": 0.6}, "up-quantised": {"": 0.1}}
    async with SkilledProvider(probes, skills) as provider:
        one = entry("llama-8b", provider.base_url, provider.base_url)
        for deployment, name in zip(one["deployments"], ("up-one", "up-quantised"), strict=True):
            deployment["model"] = f"openai/{name}"
        two = entry("llama-70b", provider.base_url, price={"input": 3.0, "output": 3.0})
        two["deployments"][0]["model"] = "openai/up-one"
        path = write_portfolio(tmp_path, [one, two], gateway={"record": str(tmp_path / "d.db")})
        arguments = ["duplicates", "--live", "--bank", str(bank), "--config", str(path), "--probes", "24"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.commands.main", *arguments, "--json"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode == 0, err.decode()
    found = {tuple(pair["models"]): pair for pair in json.loads(out)}
    assert found["llama-8b", "llama-8b"]["verdict"] == "different"
    assert found["llama-8b", "llama-70b"]["verdict"] == "same"
    assert len(found) == 2


def test_live_options_need_no_space(tmp_path: Path) -> None:
    wrong = CliRunner().invoke(main, ["duplicates", "--live", "--threshold", "0.1"])
    assert wrong.exit_code == 2
    assert "--threshold and --space are about the model space" in wrong.output
