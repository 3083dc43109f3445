"""The limits of provider responses, and faults of this machine, which are not faults of the provider."""

import asyncio
import errno
import gzip
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.client_reqrep import ConnectionKey

from gateway.bodies.memory_budget import MemoryBudget
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.upstream import response_body
from gateway.upstream.connection_failure import connection_failure
from gateway.upstream.response_body import StreamMeter, check_cost, read_response_body
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, answer, chunk, completion, head, reply

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
MB = 1 << 20


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_body, "MAX_ANSWER_BYTES", MB)


async def endless(call: Call, writer: asyncio.StreamWriter) -> str:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize(
    "large",
    [
        reply(200, b" " * (2 * MB)),
        reply(200, gzip.compress(bytes(50 * MB)), {"content-encoding": "gzip"}),
        endless,
        reply(200, b'{"choices": [' + b"[]," * 300_000 + b"{}]}"),
    ],
    ids=["long", "bomb", "endless", "many values"],
)
async def test_an_answer_beyond_the_limits_is_a_failure_of_its_provider(
    tmp_path: Path, large: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(response_body, "MAX_CONTAINERS", 100_000)
    async with ScriptedProvider(large) as bad, ScriptedProvider(answer("whole")) as good:
        models = [entry("llama-8b", bad.base_url), entry("mistral-7b", good.base_url)]
        async with gateway(tmp_path, models, gateway={"retries": 0}) as run:
            answered = await run.client.chat.completions.create(model="llama-8b", messages=ASK)
            assert answered.choices[0].message.content == "whole"
            (record,) = await run.records()
            assert {attempt["cause"] for attempt in record["failover"]} == {"unreadable"}


async def test_a_stream_of_empty_chunks_is_a_failure(tmp_path: Path) -> None:
    async def empty(call: Call, writer: asyncio.StreamWriter) -> str:
        writer.write(head(200, None, "text/event-stream").replace(b"transfer-encoding: chunked", b"connection: close"))
        event = chunk("m", {"content": ""})
        while True:
            writer.write(event * 100)
            await writer.drain()

    async with ScriptedProvider(empty) as bad, ScriptedProvider(answer("whole")) as good:
        models = [entry("llama-8b", bad.base_url), entry("mistral-7b", good.base_url)]
        async with gateway(tmp_path, models, gateway={"retries": 0}) as run:
            chunks = await run.client.chat.completions.create(model="llama-8b", messages=ASK, stream=True)
            assert "".join([c.choices[0].delta.content or "" async for c in chunks]) == "whole"
            (record,) = await run.records()
            assert {attempt["cause"] for attempt in record["failover"]} == {"unreadable"}


async def test_other_tasks_run_while_much_data_arrives() -> None:
    meter = StreamMeter()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    for _ in range(100):
        await meter.received(response_body.READ_SIZE, 0)
    task.cancel()
    assert turns >= 99


async def test_the_memory_of_an_incomplete_event_is_charged() -> None:
    budget = MemoryBudget(lambda: 100 * MB)
    meter = StreamMeter()
    with budget.account():
        for held in range(0, MB, response_body.READ_SIZE):
            await meter.received(response_body.READ_SIZE, held)
        assert budget.charged > MB // 2
        await meter.received(10, 0)
        assert budget.charged == 0
        with pytest.raises(UpstreamFailure) as failed:
            await meter.received(10, 100 * MB)
        assert failed.value.cause is Cause.LOCAL


async def test_only_the_beginning_of_an_error_is_read(tmp_path: Path) -> None:

    async def long_error(call: Call, writer: asyncio.StreamWriter) -> str:
        start = b'{"error": {"message": "no such thing", "code": "context_length_exceeded"}, "more": "'
        writer.write(head(400, 1 << 40, "application/json") + start)
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with ScriptedProvider(long_error) as up, aiohttp.ClientSession() as session:
        for path in ("a", "b"):
            async with session.post(f"{up.base_url}/{path}", json={}) as response:
                data = await read_response_body(response, 5.0)
                assert data.startswith(b'{"error"')
                assert len(data) < 3 * response_body.MAX_ERROR_BYTES
                assert response.closed


async def test_a_lack_of_memory_is_not_a_fault_of_the_provider() -> None:
    async with ScriptedProvider(reply(200, completion("x" * MB, "m"))) as up, aiohttp.ClientSession() as session:
        with MemoryBudget(lambda: MB).account() as account:
            async with session.post(f"{up.base_url}/chat/completions", json={}) as response:
                with pytest.raises(UpstreamFailure) as failed:
                    await read_response_body(response, 5.0)
            assert failed.value.cause is Cause.LOCAL
            account.charge(-account.charged)
            with pytest.raises(UpstreamFailure) as failed:
                check_cost(orjson.dumps({"x": [[]] * 100_000}))
            assert failed.value.cause is Cause.LOCAL


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EMFILE, errno.ENFILE, errno.ENOBUFS])
def test_a_lack_of_resources_of_this_machine_is_a_local_fault(number: int) -> None:
    key = ConnectionKey("127.0.0.1", 1, False, True, None, None, None)
    for exc in (aiohttp.ClientConnectorError(key, OSError(number, "x")), aiohttp.ClientOSError(number, "x")):
        failure = connection_failure(exc)
        assert (failure.cause, failure.detail) == (Cause.LOCAL, errno.errorcode[number])
    refused = aiohttp.ClientConnectorError(key, OSError(errno.ECONNREFUSED, "x"))
    assert connection_failure(refused).cause is Cause.CONNECTION
