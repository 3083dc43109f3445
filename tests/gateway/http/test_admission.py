"""So many requests at once, a short queue, then a refusal: by real sockets, and the order of the queue by itself."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from gateway.config.portfolio_file import load_portfolio
from gateway.config.settings import LoadSettings, Settings
from gateway.core.client_limits import LIMITS
from gateway.core.errors import Overloaded
from gateway.http.admission import Admission, Admitted
from gateway.http.edge import Edge
from gateway.record.metrics import Metrics
from tests.gateway.running import DIALECTS, NO_KEYS, Gateway, entry, eventually, gateway, serving, write_portfolio
from tests.gateway.upstreams import Call, ScriptedProvider, answer

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]


class Gate:
    """A provider's answer that waits until the test opens it."""

    def __init__(self) -> None:
        self.open = asyncio.Event()

    async def __call__(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        await self.open.wait()
        return await answer("fine")(call, writer)


@asynccontextmanager
async def gated(folder: Path, **load: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider, Gate]]:
    gate = Gate()
    async with ScriptedProvider(gate) as up, gateway(folder, [entry("llama-8b", up.base_url)], gateway=load) as run:
        try:
            yield run, up, gate
        finally:
            gate.open.set()


def ask(run: Gateway) -> "asyncio.Task[Any]":
    return asyncio.create_task(run.client.chat.completions.create(model="llama-8b", messages=ASK))


async def value(run: Gateway, metric: str) -> float:
    """Of one line of the metrics."""
    lines = (await run.http.get("/metrics")).text.splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(metric)), "0"))


async def until(run: Gateway, metric: str, expected: float) -> None:
    for _ in range(6_000):
        if await value(run, metric) == expected:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{metric} is {await value(run, metric)}, not {expected}")


async def test_a_full_gateway_queues_a_few_and_refuses_the_others(tmp_path: Path) -> None:
    async with gated(tmp_path, max_requests=2, max_queued=1, queue_timeout=3) as (run, up, gate):
        tasks = [ask(run), ask(run)]
        await until(run, "locus_requests_in_flight", 2)
        tasks.append(ask(run))
        await until(run, "locus_requests_waiting", 1)
        for path in ("/v1/chat/completions", "/chat/completions", "/v1/route"):
            refused = await run.http.post(path, json={"model": "llama-8b", "messages": ASK})
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "3"
            assert refused.headers["x-request-id"]
            assert refused.json()["error"] | {"message": ""} == {
                "message": "",
                "type": "server_error",
                "param": None,
                "code": "overloaded",
            }
        for path in ("/health/live", "/health/ready", "/v1/models", "/metrics"):
            assert (await run.http.get(path)).status_code == 200
        assert await value(run, 'locus_requests_refused_total{reason="queue_full"}') == 3
        assert len(up.calls) == 2
        gate.open.set()
        for task in tasks:
            assert (await task).choices[0].message.content == "fine"
        await until(run, "locus_requests_in_flight", 0)
        assert await value(run, "locus_requests_waiting") == 0


async def test_no_request_waits_longer_than_the_limit(tmp_path: Path) -> None:
    async with gated(tmp_path, max_requests=1, max_queued=5, queue_timeout=0.2) as (run, _, gate):
        first = ask(run)
        await until(run, "locus_requests_in_flight", 1)
        refused = await run.http.post("/v1/chat/completions", json={"model": "llama-8b", "messages": ASK})
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert await value(run, 'locus_requests_refused_total{reason="queue_timeout"}') == 1
        gate.open.set()
        await first
        await ask(run)


async def test_who_leaves_the_queue_frees_its_place_at_once(tmp_path: Path) -> None:
    async with gated(tmp_path, max_requests=1, max_queued=1, queue_timeout=60) as (run, up, gate):
        first = ask(run)
        await until(run, "locus_requests_in_flight", 1)
        for _ in range(3):
            waiting = ask(run)
            await until(run, "locus_requests_waiting", 1)
            waiting.cancel()
            await until(run, "locus_requests_waiting", 0)
        waiting = ask(run)
        await until(run, "locus_requests_waiting", 1)
        gate.open.set()
        await asyncio.gather(first, waiting)
        assert len(up.calls) == 2


async def test_who_leaves_while_it_is_served_frees_its_place(tmp_path: Path) -> None:
    async with gated(tmp_path, max_requests=1, max_queued=1, queue_timeout=60) as (run, _, gate):
        first = ask(run)
        await until(run, "locus_requests_in_flight", 1)
        waiting = ask(run)
        await until(run, "locus_requests_waiting", 1)
        first.cancel()
        await until(run, "locus_requests_waiting", 0)
        gate.open.set()
        await waiting


async def test_a_reload_changes_the_limits(tmp_path: Path) -> None:
    async with gated(tmp_path, max_requests=1, max_queued=0) as (run, up, gate):
        first = ask(run)
        await until(run, "locus_requests_in_flight", 1)
        body = {"model": "llama-8b", "messages": ASK}
        assert (await run.http.post("/v1/chat/completions", json=body)).status_code == 503
        path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)], gateway={"max_requests": 2})
        await run.service.apply(load_portfolio(path, {}))
        second = ask(run)
        await until(run, "locus_requests_in_flight", 2)
        gate.open.set()
        await asyncio.gather(first, second)


async def test_what_waits_or_is_refused_has_not_been_read(tmp_path: Path) -> None:
    """The body is asked for by `100 Continue`, which comes only with the place."""
    async with gated(tmp_path, max_requests=1, max_queued=1, queue_timeout=60) as (run, _, gate):
        first = ask(run)
        await until(run, "locus_requests_in_flight", 1)
        body = orjson.dumps({"model": "llama-8b", "messages": ASK})
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
        port = int(run.url.rpartition(":")[2])
        waits, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head % len(body))
        await until(run, "locus_requests_waiting", 1)
        refused, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(head % len(body))
        assert (await asyncio.wait_for(refused.read(12), 60)).startswith(b"HTTP/1.1 503")
        gate.open.set()
        assert await asyncio.wait_for(waits.readuntil(b"\r\n\r\n"), 60) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        assert b"200 OK" in await asyncio.wait_for(waits.readuntil(b"\r\n\r\n"), 60)
        await first
        writer.close()
        other.close()


async def test_a_place_is_held_until_the_client_has_taken_the_answer() -> None:
    admission = Admission(lambda: LoadSettings(max_requests=1, max_queued=0), Metrics())

    async def large(scope: Scope, receive: Receive, send: Send) -> None:
        size = 16 << 20
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"x" * size})

    async with serving(Edge(Admitted(large, admission), Settings, DIALECTS, NO_KEYS)) as (server, url):
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await eventually(lambda: server.server_state.total_requests == 1)
        assert admission.in_progress == 1
        while await reader.read(1 << 20):
            if not admission.in_progress:
                break
        writer.close()
        await eventually(lambda: admission.in_progress == 0)


# The queue by itself


def admission(**load: Any) -> Admission:
    return Admission(lambda: LoadSettings(**load), Metrics())


async def test_places_are_given_in_the_order_of_asking() -> None:
    places = admission(max_requests=1, max_queued=10, queue_timeout=5)
    await places.enter()
    order: list[int] = []

    async def one(i: int) -> None:
        await places.enter()
        order.append(i)
        await asyncio.sleep(0)
        places.leave()

    tasks = []
    for i in range(5):
        tasks.append(asyncio.create_task(one(i)))
        await asyncio.sleep(0)
    places.leave()
    late = asyncio.create_task(one(5))  # there is no overtaking of those who wait
    await asyncio.gather(*tasks, late)
    assert order == [0, 1, 2, 3, 4, 5]
    assert (places.in_progress, places.waiting) == (0, 0)


async def test_no_place_is_lost_however_cancellation_and_giving_meet() -> None:
    for give, cancel, lost, pauses in itertools.product((True, False), (True, False), (True, False), range(3)):
        places = admission(max_requests=1, max_queued=10, queue_timeout=5)
        client = Client()
        await places.enter()
        waiting = asyncio.create_task(places.enter(client))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        steps = [places.leave] * give + [waiting.cancel] * cancel + [client.lose] * lost
        for step in steps:
            step()
            for _ in range(pauses):
                await asyncio.sleep(0)
        if not give:
            places.leave()
        await asyncio.wait([waiting])
        if not waiting.cancelled() and waiting.exception() is None:
            places.leave()
        assert (places.in_progress, places.waiting) == (0, 0), (give, cancel, lost, pauses)
        await places.enter()


class Client:
    limits = LIMITS
    sending = False

    def __init__(self) -> None:
        self.on_disconnect: Any = None

    async def drained(self) -> None: ...

    def lose(self) -> None:
        if self.on_disconnect is not None:
            self.on_disconnect()


async def test_lower_limits_are_kept_as_places_come_back() -> None:
    load = LoadSettings(max_requests=3, max_queued=0)
    places = Admission(lambda: load, Metrics())
    for _ in range(3):
        await places.enter()
    load = LoadSettings(max_requests=1, max_queued=0)
    for _ in range(2):
        with pytest.raises(Overloaded):
            await places.enter()
        places.leave()
    with pytest.raises(Overloaded):
        await places.enter()
    places.leave()
    await places.enter()
