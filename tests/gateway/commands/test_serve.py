"""The real `locus serve` process against many connections and hostile clients; its log is an output like any other."""

import asyncio
import os
import resource
from pathlib import Path

import httpx
import orjson
import pytest

from tests.gateway.running import entry, write_portfolio
from tests.gateway.server.test_stop import ASK, BODY, gateway, start
from tests.gateway.upstreams import ScriptedProvider, reply
from tests.ports import free_port

pytestmark = pytest.mark.anyio


async def test_two_thousand_idle_connections_and_a_low_soft_limit(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 4_000 if hard == resource.RLIM_INFINITY else hard
    number = min(2_000, int(most * 0.6))
    async with ScriptedProvider() as up:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))  # what the process inherits
        try:
            async with gateway(tmp_path, up) as run:
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
                writers = []
                for first in range(0, number, 100):
                    opened = (
                        asyncio.open_connection("127.0.0.1", run.port) for _ in range(first, min(first + 100, number))
                    )
                    writers += [writer for _, writer in await asyncio.gather(*opened)]
                async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
                    for _ in range(5):
                        assert (await http.post("/v1/chat/completions", json=BODY)).status_code == 200
                descriptors = Path(f"/proc/{run.process.pid}/fd")
                if descriptors.parent.is_dir():
                    assert len(os.listdir(descriptors)) > number  # they are all held open
                run.stop()
                assert await run.ended() == 0
                assert "Traceback" not in run.log
                for writer in writers:
                    writer.close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_hostile_clients_send_is_not_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K", "canary-gateway-key")
    monkeypatch.setenv("A", "canary-admin-key")
    settings = {"keys": ["os.environ/K"], "admin_key": "os.environ/A"}
    good = {"authorization": "Bearer canary-gateway-key"}
    async with ScriptedProvider() as up, gateway(tmp_path, up, **settings) as run:
        async with httpx.AsyncClient(base_url=run.url, timeout=60) as http:
            assert (await http.post("/v1/chat/completions", json=BODY, headers=good)).status_code == 200
            for headers in ({}, {"authorization": "Bearer canary-wrong"}, {"x-api-key": "canary-ü".encode()}):
                assert (
                    await http.post("/v1/chat/completions?key=canary-gateway-key", headers=headers)
                ).status_code == 401
                assert (await http.get("/metrics", headers=headers)).status_code == 401
            odd = {"model": "canary-model", "messages": ASK}
            assert (await http.post("/v1/chat/completions", json=odd, headers=good)).status_code == 404
            assert (await http.post("/v1/chat/completions", content=b'"canary', headers=good)).status_code == 400
        for data in (
            b"GET /canary HTTP/1.1\r\nauthorization: Bearer canary-gateway-key\r\nbroken canary\r\n\r\n",
            b"canary\r\n\r\n",
            b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-api-key: canary-gateway-key\r\n\r\n",
            b"POST / HTTP/1.1\r\nauthorization: Bearer canary-gateway-key\r\ncontent-length: 100\r\n\r\ncanary",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", run.port)
            writer.write(data)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 60)
            writer.close()
        run.stop()
        assert await run.ended() == 0
        assert "canary" not in run.log
        assert "Traceback" not in run.log


async def test_a_provider_that_refuses_the_key_shows_in_the_log_at_once_and_each_request_has_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("K", "canary-gateway-key")
    refusal = {"error": {"message": "Incorrect API key provided: sk-up-canary", "code": "invalid_api_key"}}
    async with ScriptedProvider(reply(401, refusal)) as bad, ScriptedProvider() as good:
        models = [entry("llama-8b", bad.base_url), entry("llama-70b", good.base_url)]
        models[0]["deployments"][0]["api_key"] = "sk-up-canary"
        path = write_portfolio(tmp_path, models, gateway={"keys": ["os.environ/K"]})
        logs = []
        for arguments in (["--log-format", "json"], ["--log-level", "warning"]):
            run = await start(path, free_port(), *arguments)
            headers = {"authorization": "Bearer canary-gateway-key"}
            async with httpx.AsyncClient(base_url=run.url, timeout=60, headers=headers) as http:
                for _ in range(5):
                    answered = await http.post("/v1/chat/completions", json=BODY)
                    assert answered.headers["x-locus-stand-in-cause"] == "auth"
            run.stop()
            assert await run.ended() == 0
            assert "canary" not in run.log
            logs.append(run.log.splitlines())
    lines = [orjson.loads(line) for line in logs[0]]  # each one is JSON
    assert [line["message"] for line in lines if line["logger"] == "locus.server"][-1] == "listening"
    changes = [line for line in lines if line["logger"] == "locus.deployments"]
    assert [(line["level"], line["state"], line["failure"]) for line in changes] == [
        ("WARNING", "refused", "auth 401"),
        ("WARNING", "taken_out_long", "auth 401"),
    ]
    assert changes[0]["reason"].startswith("Incorrect API key provided")
    assert changes[0]["meanwhile"] == "stand-ins such as llama-70b answer meanwhile"
    requests = [line for line in lines if line["logger"] == "locus.request"]
    assert [(line["requested"], line["served"], line["stand_in_cause"]) for line in requests] == [
        ("llama-8b", "llama-70b", "auth")
    ] * 5
    assert [line.partition(" WARNING ")[2].partition(": ")[0] for line in logs[1] if " WARNING " in line] == [
        "locus.deployments"
    ] * 2
    assert not any("locus.request" in line for line in logs[1])
