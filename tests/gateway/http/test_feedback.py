"""`POST /v1/feedback` over real sockets and databases, with the official clients."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import orjson
import pytest
from sqlalchemy import select

from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import InvalidRequest
from gateway.http.body_fields import fields_of
from gateway.http.feedback import FIELDS, Feedback, parse_feedback
from gateway.store.outcome_tables import OUTCOMES
from tests.gateway.postgres import Postgres
from tests.gateway.running import Gateway, entry, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
KEYS: list[dict[str, Any]] = [{"name": name, "key": f"sk-{name}"} for name in ("ci", "bob")]


@asynccontextmanager
async def serving_keys(folder: Path, keys: Any = KEYS, **more: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url) for name in ("llama-8b", "llama-70b")]
        path = write_portfolio(folder, models, keys=keys, **more)
        async with running(load_portfolio(path, {}), key="sk-ci") as run:
            yield run, up


async def outcomes(run: Gateway) -> list[Any]:
    assert run.service.database is not None
    async with run.service.database.read() as connection:
        return list((await connection.execute(select(OUTCOMES).order_by(OUTCOMES.c.request_id))).mappings())


async def ask(run: Gateway, key: str = "sk-ci", **more: Any) -> str:
    """Asks `auto`, and gives the id of the request."""
    options = {"model": "auto", "messages": ASK} | more
    raw = await run.client.with_options(api_key=key).chat.completions.with_raw_response.create(**options)
    return str(raw.headers["x-request-id"])


async def send(run: Gateway, key: str = "sk-ci", once: str | None = None, **fields: Any) -> Any:
    headers = {"authorization": f"Bearer {key}"} | ({} if once is None else {"idempotency-key": once})
    return await run.http.post("/v1/feedback", json=fields, headers=headers)


async def test_the_last_feedback_of_a_key_counts_and_null_revokes(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        request_id = await ask(run)
        told = await send(run, request_id=request_id, verdict="bad", comment="wrong", expected={"sum": 4})
        served = (await run.records())[0]["served"]
        assert (told.status_code, told.json()) == (
            200,
            {
                "object": "feedback",
                "request_id": request_id,
                "model": served,
                "source": "file:ci",
                "score": 0.0,
                "comment_kept": False,
                "expected_kept": False,
            },
        )
        (row,) = await outcomes(run)
        assert (row["source"], row["kind"], row["model"], row["score"]) == ("file:ci", "feedback", served, 0.0)
        assert (row["comment"], row["expected"]) == (None, None)
        assert row["checkpoint"] == run.service.in_force.router.checkpoint[:12]
        assert row["deployment"] == f"{served}/0"
        assert len(row["encoding"]) == 4 + run.service.in_force.router.encoder.text_dim
        assert (await send(run, request_id=request_id, score=0.75)).json()["score"] == 0.75
        assert [row["score"] for row in await outcomes(run)] == [0.75]
        assert (await send(run, request_id=request_id, score=None)).json()["score"] is None
        assert [row["score"] for row in await outcomes(run)] == [None]


async def test_streams_and_all_formats_have_ids_that_feedback_knows(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        async with anthropic.AsyncAnthropic(base_url=run.url, api_key="sk-ci", max_retries=0, timeout=60) as claude:
            message = await claude.messages.with_raw_response.create(model="auto", messages=ASK, max_tokens=50)
        response = await run.client.responses.with_raw_response.create(model="auto", input="Why is the sky blue?")
        completion = await run.client.completions.with_raw_response.create(model="auto", prompt="The sky is")
        ids = [message.headers["request-id"], response.headers["x-request-id"], completion.headers["x-request-id"]]
        stream = await run.client.chat.completions.with_raw_response.create(model="auto", messages=ASK, stream=True)
        async for _ in stream.parse():
            pass
        ids.append(stream.headers["x-request-id"])
        ids.append(await ask(run, extra_headers={"x-request-id": "own-id:7"}))
        assert ids[-1] == "own-id:7"
        for request_id in ids:
            assert (await send(run, request_id=request_id, verdict="good")).status_code == 200, request_id
        assert len(await outcomes(run)) == 5


async def test_feedback_may_come_before_the_request_is_recorded(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        for _ in range(3):  # the recorder writes every quarter of a second
            assert (await send(run, request_id=await ask(run), verdict="good")).status_code == 200


async def test_another_keys_request_is_as_unknown_as_one_that_never_was(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        mine = await ask(run)
        await run.records()
        other, never = await asyncio.gather(
            send(run, "sk-bob", request_id=mine, verdict="bad"), send(run, "sk-bob", request_id="req_none", score=0)
        )
        assert (other.status_code, never.status_code) == (404, 404)
        assert other.json()["error"]["message"].replace(mine, "ID") == never.json()["error"]["message"].replace(
            "req_none", "ID"
        )
        assert await outcomes(run) == []
        assert (await send(run, "sk-wrong", request_id=mine, verdict="bad")).status_code == 401


async def test_two_keys_with_the_same_request_id_speak_of_their_own_requests(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        named = {"extra_headers": {"x-request-id": "same"}}
        await ask(run, "sk-ci", model="llama-8b", **named)
        await ask(run, "sk-bob", model="llama-70b", **named)
        for key in ("sk-ci", "sk-bob"):
            assert (await send(run, key, request_id="same", verdict="bad")).status_code == 200
        assert {(row["source"], row["model"]) for row in await outcomes(run)} == {
            ("file:ci", "llama-8b"),
            ("file:bob", "llama-70b"),
        }


async def test_an_idempotency_key_writes_once(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        request_id = await ask(run)
        first = await send(run, once="k1", request_id=request_id, verdict="good")
        await send(run, once="k2", request_id=request_id, verdict="bad")
        again = await send(run, once="k1", request_id=request_id, verdict="good")  # a retry that is late
        assert (again.status_code, again.content) == (200, first.content)
        assert [row["score"] for row in await outcomes(run)] == [0.0]
        conflict = await send(run, once="k1", request_id=request_id, verdict="bad")
        assert (conflict.status_code, conflict.json()["error"]["code"]) == (409, "conflict")
        assert (await send(run, once="k" * 257, request_id=request_id, verdict="bad")).status_code == 400


async def test_comments_are_kept_where_prompts_are(tmp_path: Path) -> None:
    async with serving_keys(tmp_path, gateway={"store_prompts": True}) as (run, _):
        request_id = await ask(run)
        told = await send(run, request_id=request_id, verdict="bad", comment="no\0t so", expected=["4"])
        assert (told.json()["comment_kept"], told.json()["expected_kept"]) == (True, True)
        (row,) = await outcomes(run)
        assert (row["comment"], row["expected"]) == ("no\ufffdt so", '["4"]')


async def test_what_cannot_be_good_or_bad(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, up):
        up.default = error(400, "no such parameter")
        with pytest.raises(openai.BadRequestError) as failed:
            await run.client.chat.completions.create(model="llama-8b", messages=ASK)
        no_answer = await send(run, request_id=failed.value.request_id, verdict="bad")
        assert (no_answer.status_code, no_answer.json()["error"]["param"]) == (400, "request_id")
        vectors = await run.client.embeddings.with_raw_response.create(model="locus-encoder", input="a")
        of_vectors = await send(run, request_id=vectors.headers["x-request-id"], verdict="bad")
        assert "embeddings" in of_vectors.json()["error"]["message"]


async def test_nothing_can_be_learned_from_a_request_that_named_its_model(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        await send(run, request_id=await ask(run, model="llama-8b"), verdict="good")
        (row,) = await outcomes(run)
        assert (row["model"], row["encoding"]) == ("llama-8b", None)


async def test_a_flood_meets_the_limits_of_the_key(tmp_path: Path) -> None:
    async with serving_keys(tmp_path, keys=[KEYS[0] | {"rpm": 5}, KEYS[1]]) as (run, _):
        answers = await asyncio.gather(*(send(run, request_id=f"guess-{i}", verdict="bad") for i in range(40)))
        assert sorted(answer.status_code for answer in answers) == [404] * 5 + [429] * 35
        assert (await send(run, "sk-bob", request_id=await ask(run, "sk-bob"), verdict="bad")).status_code == 200
        assert not any(slice.open for slice in run.service.limiter.slices())


async def test_a_gateway_without_keys_or_without_a_record(tmp_path: Path) -> None:
    async with serving_keys(tmp_path, keys=[]) as (run, _):
        told = await send(run, request_id=await ask(run), verdict="good")
        assert told.json()["source"] == "local"
    async with serving_keys(tmp_path, gateway={"record": None}) as (run, _):
        refused = await send(run, request_id=await ask(run), verdict="good")
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


async def test_another_replica_of_the_database_knows_the_request(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.new_database()
    settings = {"store": url, "replicas": "independent"}
    folders = [tmp_path / "a", tmp_path / "b"]
    async with ScriptedProvider() as up:
        runs = []
        for folder in folders:
            folder.mkdir()
            path = write_portfolio(folder, [entry("llama-8b", up.base_url)], keys=KEYS, gateway=settings)
            runs.append(load_portfolio(path, {}))
        async with running(runs[0], key="sk-ci", replica="a") as a, running(runs[1], replica="b") as b:
            request_id = await ask(a)
            assert (await send(b, once="k", request_id=request_id, verdict="bad")).status_code == 200
            assert (await send(a, once="k", request_id=request_id, verdict="bad")).status_code == 200
            assert (await send(a, request_id=request_id, score=0.5)).status_code == 200
            assert [row["score"] for row in await outcomes(b)] == [0.5]
            assert (await send(b, "sk-bob", request_id=request_id, verdict="bad")).status_code == 404


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"verdict": "good"}, "request_id"),
        ({"request_id": "", "verdict": "good"}, "request_id"),
        ({"request_id": "a\0", "verdict": "good"}, "request_id"),
        ({"request_id": 7, "verdict": "good"}, "request_id"),
        ({"request_id": "r" * 257, "verdict": "good"}, "request_id"),
        ({"request_id": "r"}, "score"),
        ({"request_id": "r", "score": 1, "verdict": "good"}, "score"),
        ({"request_id": "r", "score": 1.01}, "score"),
        ({"request_id": "r", "score": -1}, "score"),
        ({"request_id": "r", "score": True}, "score"),
        ({"request_id": "r", "score": "1"}, "score"),
        ({"request_id": "r", "verdict": "great"}, "verdict"),
        ({"request_id": "r", "verdict": True}, "verdict"),
        ({"request_id": "r", "score": 1, "comment": 7}, "comment"),
        ({"request_id": "r", "score": 1, "comment": "c" * 4001}, "comment"),
        ({"request_id": "r", "score": 1, "source": "grader:x"}, "source"),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_feedback(fields_of(orjson.dumps(fields), FIELDS))
    assert refused.value.param == param


def test_what_feedback_means() -> None:
    assert parse_feedback({"request_id": "r", "verdict": "good"}) == Feedback("r", 1.0)
    assert parse_feedback({"request_id": "r", "verdict": None}) == Feedback("r", None)
    assert parse_feedback({"request_id": "r", "score": 0, "expected": 4, "comment": "c"}) == Feedback(
        "r", 0.0, "c", "4"
    )
