"""Gateways with real sockets over one PostgreSQL database and one Valkey server."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.config.access import Grant, Limits
from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio_file import load_portfolio
from gateway.core.identity import KeyIdentity
from gateway.limits.engine import LEASE_S
from gateway.limits.limiter import Limiter
from gateway.limits.processes import Processes
from gateway.limits.sql import SqlEngine
from gateway.replicas.presence import ReplicaRefused, Row, this_machine
from gateway.store.database import Database
from gateway.store.tables import REPLICAS
from tests.gateway.postgres import Postgres
from tests.gateway.replicas.processes import ended_process
from tests.gateway.running import Gateway, entry, eventually, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer, error, reply
from tests.gateway.valkey import ValkeyServer, valkey_server

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyServer]:
    with valkey_server(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@asynccontextmanager
async def replica(
    folder: Path, name: str, provider: ScriptedProvider, *names: str, **settings: Any
) -> AsyncIterator[Gateway]:
    """One gateway; `names` are its models, all deployed at the provider."""
    (folder / name).mkdir(exist_ok=True)
    models = [entry(one, provider.base_url) for one in names or ("llama-8b", "llama-70b")]
    models[0]["deployments"][0] |= settings.pop("deployment", {})
    keys, environment = settings.pop("keys", []), settings.pop("environment", {})
    path = write_portfolio(folder / name, models, keys=keys, gateway=settings)
    async with running(load_portfolio(path, environment), replica=name) as gateway:
        if (shared := gateway.service.replicas.shared) is not None:
            await eventually(lambda: not shared.away)
        yield gateway


@asynccontextmanager
async def two(
    folder: Path, postgres: Postgres, valkey: ValkeyServer, *names: str, **settings: Any
) -> AsyncIterator[tuple[Gateway, Gateway, ScriptedProvider]]:
    settings |= {"store": postgres.new_database(), "shared": valkey.url}
    async with (
        ScriptedProvider() as provider,
        replica(folder, "a", provider, *names, **settings) as first,
        replica(folder, "b", provider, *names, **settings) as second,
    ):
        yield first, second, provider


async def ask(gateway: Gateway, messages: list[dict[str, str]], model: str = "auto") -> tuple[str, str]:
    """The name of the model that answers, and its text."""
    body = {"model": model, "messages": messages}
    answered = await gateway.http.post("/v1/chat/completions", json=body)
    assert answered.status_code == 200, answered.text
    return answered.headers["x-locus-model"], answered.json()["choices"][0]["message"]["content"]


async def test_a_second_gateway_without_shared_does_not_start(tmp_path: Path, postgres: Postgres) -> None:
    store = postgres.new_database()
    async with ScriptedProvider() as provider, replica(tmp_path, "a", provider, store=store):
        with pytest.raises(ReplicaRefused):
            async with replica(tmp_path, "b", provider, store=store):
                pass
        async with replica(tmp_path, "c", provider, store=store, replicas="independent"):
            pass


async def test_independent_replicas_of_one_database_count_their_limits_there(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Those of a key and of a deployment; none is multiplied by the number of replicas."""
    keys = [{"name": "ci", "key": "os.environ/CI", "rpm": 3}, {"name": "other", "key": "os.environ/OTHER"}]
    settings = {"store": postgres.new_database(), "replicas": "independent", "deployment": {"rpm": 5}}
    environment = {"CI": "sk-ci", "OTHER": "sk-other"}
    async with ScriptedProvider() as provider:

        def one(name: str) -> AbstractAsyncContextManager[Gateway]:
            return replica(tmp_path, name, provider, "llama-8b", keys=keys, environment=environment, **settings)

        async with one("a") as first, one("b") as second:

            async def answered(key: str, count: int) -> list[int]:
                body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}
                headers = {"authorization": f"Bearer {key}"}
                return [
                    (await gateway.http.post("/v1/chat/completions", json=body, headers=headers)).status_code
                    for _ in range(count)
                    for gateway in (first, second)
                ]

            assert Counter(await answered("sk-ci", 4)) == {200: 3, 429: 5}
            assert (await answered("sk-other", 2)).count(200) == 2  # of the deployment's five


async def test_a_conversation_stays_with_its_model_in_another_replica(
    tmp_path: Path, postgres: Postgres, valkey: ValkeyServer
) -> None:
    async with two(tmp_path, postgres, valkey) as (first, second, _):
        messages = [{"role": "user", "content": "What is a monad?"}]
        body = {"model": "auto", "messages": messages}
        model, text = await ask(first, messages)
        assert first.service.replicas.shared is not None
        await eventually(lambda: not first.service.replicas.shared._turns)  # written
        body["messages"] = [*messages, {"role": "assistant", "content": text}, {"role": "user", "content": "Shorter."}]
        explained = (await second.http.post("/v1/route", json=body)).json()
        assert explained["conversation"]["model"] == model
        assert (await ask(second, body["messages"]))[0] == model
        assert len(second.service.conversations) > 0  # the next turn is known here


async def test_another_replica_continues_a_stored_response(
    tmp_path: Path, postgres: Postgres, valkey: ValkeyServer
) -> None:
    async with two(tmp_path, postgres, valkey) as (first, second, provider):
        started = await first.client.responses.create(model="llama-8b", input="My name is Ada.")
        await second.client.responses.create(model="llama-8b", input="My name?", previous_response_id=started.id)
        said = [message["content"] for message in provider.calls[-1].body["messages"]]
        assert "My name is Ada." in str(said)
        assert "My name?" in str(said)


async def test_a_wait_that_the_provider_asks_one_replica_for_holds_for_the_other(
    tmp_path: Path, postgres: Postgres, valkey: ValkeyServer
) -> None:
    async with two(tmp_path, postgres, valkey, retries=0) as (first, second, provider):
        provider.replies.append(error(429, "slow down", headers={"retry-after": "60"}))
        await ask(first, [{"role": "user", "content": "Hi"}], "llama-8b")
        live = second.service.in_force.deployments.models["llama-8b"]
        await eventually(lambda: live.unavailable() is not None)
        async with replica(tmp_path, "c", provider, store=second_store(second), shared=valkey.url) as newcomer:
            late = newcomer.service.in_force.deployments.models["llama-8b"]
            await eventually(lambda: late.unavailable() is not None)


def second_store(gateway: Gateway) -> str:
    store = gateway.service.in_force.portfolio.settings.store
    assert store is not None
    return store.reveal()


async def test_a_refused_field_is_learned_by_all(tmp_path: Path, postgres: Postgres, valkey: ValkeyServer) -> None:
    async with two(tmp_path, postgres, valkey) as (first, second, provider):
        message = "Unrecognized request argument supplied: seed"
        provider.replies += [
            reply(400, {"error": {"message": message, "type": "invalid_request_error", "param": "seed"}})
        ]
        body = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}], "seed": 1}
        assert (await first.http.post("/v1/chat/completions", json=body)).status_code == 200
        live = second.service.in_force.deployments.models["llama-8b"].deployments[0]
        await eventually(lambda: live.dropped_fields == {"seed"})


async def test_one_replica_checks_the_health_of_deployments_for_all(
    tmp_path: Path, postgres: Postgres, valkey: ValkeyServer
) -> None:
    deployment = {"health_check_interval": 0.2}
    async with two(tmp_path, postgres, valkey, deployment=deployment, cool_down=60) as (first, second, provider):
        provider.default = error(500)
        lives = [g.service.in_force.deployments.models["llama-8b"].deployments[0] for g in (first, second)]
        began, calls = time.monotonic(), len(provider.calls)
        await eventually(lambda: all(live.breaker.open_until is not None for live in lives))
        passed = time.monotonic() - began
        assert len(provider.calls) - calls <= passed / 0.2 + 2  # and not twice as many
        provider.default = answer("fine")
        await eventually(lambda: all(live.unavailable() is None for live in lives))


async def test_while_valkey_is_silent_requests_are_answered_and_the_log_says_so_once(
    tmp_path: Path, postgres: Postgres, valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with two(tmp_path, postgres, valkey) as (first, second, _):
        assert valkey.process is not None
        os.kill(valkey.process.pid, signal.SIGSTOP)
        try:
            for number in range(5):
                messages = [
                    {"role": "user", "content": "Why?"},
                    {
                        "role": "assistant",
                        "content": f"Because of reason number {number}, which no gateway has in its table.",
                    },
                    {"role": "user", "content": "And then?"},
                ]
                began = time.monotonic()
                await ask(second, messages)
                assert time.monotonic() - began < 20  # not for ever; usually 0.1 s
            await eventually(lambda: first.service.replicas.shared.away)
            assert first.service.replicas.checks()
            assert second.service.replicas.checks()  # each checks for itself
            await asyncio.sleep(1.2)
        finally:
            os.kill(valkey.process.pid, signal.SIGCONT)
        await eventually(lambda: not first.service.replicas.shared.away)
        lines = [r for r in caplog.records if r.name == "locus.replicas" and r.levelno == logging.WARNING]
        assert len([r for r in lines if "does not answer" in r.message]) <= 2 * 2


async def test_the_place_of_a_killed_process_is_free_long_before_its_lease_ends(tmp_path: Path) -> None:
    ended = ended_process()
    location = DatabaseLocation(file=tmp_path / "a.db")
    key = {"name": "ci", "key": "os.environ/CI", "max_parallel_requests": 1}
    settings = {"record": None, "store": f"sqlite:///{location.file}"}
    async with ScriptedProvider() as provider:
        database = Database(location)
        dead = Limiter(SqlEngine(database), processes=Processes("dead"))
        grant = Grant(KeyIdentity("file:ci", "ci"), scopes=((("key", "file:ci"), Limits(max_parallel_requests=1)),))
        await dead.admit(grant)
        async with database.begin() as connection:
            row = Row("dead", "a", this_machine(), ended, "", time.time(), time.time() + 3_600)
            await connection.execute(REPLICAS.insert().values(row._asdict()))
        await database.close()
        began = time.time()
        async with replica(
            tmp_path, "a", provider, "llama-8b", keys=[key], environment={"CI": "sk-ci"}, **settings
        ) as gateway:
            client = gateway.client.with_options(api_key="sk-ci")
            body: Any = {"model": "llama-8b", "messages": [{"role": "user", "content": "Hi"}]}
            while time.time() < began + LEASE_S - 5:
                with contextlib.suppress(openai.RateLimitError):
                    await client.chat.completions.create(**body)
                    return
                await asyncio.sleep(0.1)
    pytest.fail("the place is still held")
