"""What a key may use, over real sockets with the official clients: models, policies, expiry, and the owner of what is stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import Gateway, entry, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
ASK: list[Any] = [{"role": "user", "content": "What is the capital of France, and why?"}]
ENVIRONMENT = {"CI": "sk-ci", "ALL": "sk-all", "OLD": "sk-old", "PLAIN": "sk-plain"}
KEYS: list[dict[str, Any]] = [
    {
        "name": "ci",
        "key": "os.environ/CI",
        "team": "build",
        "models": ["llama-8b"],
        "policies": ["cheap"],
        "tags": ["x"],
    },
    {"name": "all", "key": "os.environ/ALL"},
    {"name": "old", "key": "os.environ/OLD", "expires": "2020-01-01"},
]
TEAMS = [{"name": "build", "models": ["llama-8b", "mistral-7b"], "tags": ["y"]}]


@asynccontextmanager
async def serving_keys(folder: Path, keys: Any = KEYS, **more: Any) -> AsyncIterator[tuple[Gateway, ScriptedProvider]]:
    async with ScriptedProvider() as up:
        models = [entry(name, up.base_url) for name in ("llama-8b", "llama-70b", "mistral-7b")]
        settings = {"keys": ["os.environ/PLAIN"], "responses": str(folder / "responses.db")}
        path = write_portfolio(folder, models, keys=keys, teams=TEAMS, gateway=settings, **more)
        async with running(load_portfolio(path, ENVIRONMENT)) as run:
            yield run, up


def with_key(run: Gateway, key: str) -> openai.AsyncOpenAI:
    return run.client.with_options(api_key=key)


def of_anthropic(run: Gateway, key: str) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(base_url=run.url, api_key=key, max_retries=0, timeout=60)


async def test_a_key_names_only_its_models_and_policies(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        client = with_key(run, "sk-ci")
        for model in ("llama-8b", "auto", "auto:cheap"):
            assert (await client.chat.completions.create(model=model, messages=ASK)).model == "llama-8b"
        for model, message in (
            ("llama-70b", "The key may not use the model `llama-70b`. Its models: `llama-8b`."),
            ("mistral-7b", "The key may not use the model `mistral-7b`. Its models: `llama-8b`."),
            ("auto:best", "The key may not use the policy `best`. Its policies: `cheap`."),
            ("auto:none", "The key may not use the policy `none`. Its policies: `cheap`."),
        ):
            with pytest.raises(openai.PermissionDeniedError) as refused:
                await client.chat.completions.create(model=model, messages=ASK)
            assert (refused.value.code, refused.value.param) == ("model_not_allowed", "model")
            assert message in str(refused.value)
        with pytest.raises(openai.NotFoundError, match="did you mean `llama-8b`"):
            await client.chat.completions.create(model="llama-8", messages=ASK)
        for key in ("sk-all", "sk-plain"):
            answer = await with_key(run, key).chat.completions.create(model="llama-70b", messages=ASK)
            assert answer.model == "llama-70b"
        listed = [model.id async for model in client.models.list()]
        assert listed == ["auto", "auto:cheap", "llama-8b"]
        assert len([model async for model in with_key(run, "sk-all").models.list()]) > 6
        records = await run.records()
        of_ci = next(record for record in records if record["key_name"] == "ci")
        assert (of_ci["key_id"], of_ci["team"], of_ci["tags"]) == ("file:ci", "build", ["x", "y"])
        assert [r["key_name"] for r in records][-2:] == ["all", "PLAIN"]


@pytest.mark.parametrize(
    ("headers", "param"),
    [
        ({"x-locus-policy": "best"}, "x-locus-policy"),
        ({"x-locus-quality": "10"}, None),
        ({"x-locus-min-p-correct": "0.9"}, None),
        ({"x-locus-allow": "llama-8b,llama-70b"}, "x-locus-allow"),
    ],
)
async def test_overrides_do_not_widen_a_key(tmp_path: Path, headers: dict[str, str], param: str | None) -> None:
    async with serving_keys(tmp_path) as (run, up):
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await with_key(run, "sk-ci").chat.completions.create(model="auto", messages=ASK, extra_headers=headers)
        assert (refused.value.code, refused.value.param) == ("model_not_allowed", param)
        route = await run.http.post(
            "/v1/route", json={"model": "auto", "messages": ASK}, headers=headers | {"x-api-key": "sk-ci"}
        )
        assert route.status_code == 403
        assert not up.calls


async def test_stand_ins_are_among_the_models_of_the_key(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, up):
        up.default = error(500)
        with pytest.raises(openai.APIStatusError):
            await with_key(run, "sk-ci").chat.completions.create(model="llama-8b", messages=ASK)
        assert {call.body["model"] for call in up.calls} == {"up-llama-8b"}
        route = await run.http.post(
            "/v1/route", json={"model": "auto", "messages": ASK}, headers={"x-api-key": "sk-ci"}
        )
        assert [candidate["model"] for candidate in route.json()["candidates"]] == ["llama-8b"]


async def test_a_key_without_policies_names_models(tmp_path: Path) -> None:
    keys = [{"name": "ci", "key": "os.environ/CI", "policies": []}]
    async with serving_keys(tmp_path, keys) as (run, _):
        client = with_key(run, "sk-ci")
        with pytest.raises(openai.PermissionDeniedError, match="may not use `auto`: name a model"):
            await client.chat.completions.create(model="auto", messages=ASK)
        assert (await client.chat.completions.create(model="llama-70b", messages=ASK)).model == "llama-70b"
        assert not any(model.id.startswith("auto") for model in (await client.models.list()).data)


async def test_a_key_and_a_team_without_a_common_model_get_a_clear_answer(tmp_path: Path) -> None:
    keys = [{"name": "ci", "key": "os.environ/CI", "team": "build", "models": ["llama-70b"]}]
    async with serving_keys(tmp_path, keys) as (run, _):
        client = with_key(run, "sk-ci")
        with pytest.raises(openai.BadRequestError, match="may use none of the portfolio's chat models"):
            await client.chat.completions.create(model="auto", messages=ASK)
        assert (await client.models.list()).data == []
        async with of_anthropic(run, "sk-ci") as other:
            assert (await other.models.list()).data == []


async def test_embedding_models_need_to_be_allowed(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        with pytest.raises(openai.PermissionDeniedError, match="may not use the model `locus-encoder`"):
            await with_key(run, "sk-ci").embeddings.create(model="locus-encoder", input="x")
        assert (await with_key(run, "sk-all").embeddings.create(model="locus-encoder", input="x")).data


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [
        ("sk-none", "invalid_api_key", "The key is not one of this gateway's keys."),
        ("sk-old", "key_expired", "The key expired at 2020-01-01 00:00 UTC"),
        ("lk-abcdefghij27-short", "invalid_api_key", "The key has a typo or is incomplete"),
    ],
)
async def test_refused_keys_in_the_shape_of_each_api(tmp_path: Path, key: str, code: str, message: str) -> None:
    async with serving_keys(tmp_path) as (run, _):
        client = with_key(run, key)
        for call in (
            client.chat.completions.create(model="auto", messages=ASK),
            client.responses.create(model="auto", input="Hi"),
            client.completions.create(model="auto", prompt="Hi"),
            client.embeddings.create(model="locus-encoder", input="Hi"),
            client.models.list(),
        ):
            with pytest.raises(openai.AuthenticationError, match=message) as refused:
                await call
            assert refused.value.code == code
            assert refused.value.response.headers["x-should-retry"] == "false"
        async with of_anthropic(run, key) as other:
            with pytest.raises(anthropic.AuthenticationError, match=message):
                await other.messages.create(model="auto", max_tokens=9, messages=ASK)


async def test_a_model_outside_the_list_in_the_shape_of_each_api(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        client = with_key(run, "sk-ci")
        for call in (
            client.responses.create(model="llama-70b", input="Hi"),
            client.completions.create(model="llama-70b", prompt="Hi"),
            client.completions.create(model="llama-70b", prompt=["Hi", "Ho"]),
        ):
            with pytest.raises(openai.PermissionDeniedError, match="may not use the model `llama-70b`"):
                await call
        async with of_anthropic(run, "sk-ci") as other:
            with pytest.raises(anthropic.PermissionDeniedError, match="may not use the model `llama-70b`"):
                await other.messages.create(model="llama-70b", max_tokens=9, messages=ASK)
            with pytest.raises(anthropic.PermissionDeniedError):
                await other.messages.count_tokens(model="llama-70b", messages=ASK)


async def test_a_new_secret_of_a_named_key_keeps_what_was_stored(tmp_path: Path) -> None:
    async with serving_keys(tmp_path) as (run, _):
        first = await with_key(run, "sk-all").responses.create(model="llama-8b", input="Hi")
        path = tmp_path / "portfolio.yaml"
        await run.service.apply(load_portfolio(path, ENVIRONMENT | {"ALL": "sk-rotated"}))
        with pytest.raises(openai.AuthenticationError):
            await with_key(run, "sk-all").responses.retrieve(first.id)
        rotated = with_key(run, "sk-rotated").responses
        assert (await rotated.retrieve(first.id)).id == first.id
        assert await rotated.create(model="llama-8b", input="And?", previous_response_id=first.id)
        with pytest.raises(openai.NotFoundError):
            await with_key(run, "sk-plain").responses.retrieve(first.id)


async def test_a_gateway_on_a_loopback_address_without_keys_needs_none(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        path = write_portfolio(tmp_path, [entry("llama-8b", up.base_url)])
        async with running(load_portfolio(path, {})) as run:
            assert (await run.http.get("/v1/models", headers={"x-api-key": "anything"})).status_code == 200
            mistyped = await run.http.get("/v1/models", headers={"x-api-key": "lk-mistyped"})
            assert mistyped.status_code == 401


async def test_a_key_near_the_end_of_a_budget_chooses_cheaper_models(tmp_path: Path) -> None:
    key = {
        "name": "ci",
        "key": "os.environ/CI",
        "budget": [{"usd": 0.0001, "per": "day"}],
    }  # 100 tokens at 1 USD per million
    key |= {"near_limit": {"at": 0.05, "cost_weight": 1e6}}
    async with ScriptedProvider() as up:
        cheap = {"price": {"input": 0.01, "output": 0.01}}
        models = [entry("llama-8b", up.base_url, **cheap), entry("llama-70b", up.base_url)]
        more = {"keys": [key], "policies": {"p": {"cost_weight": 1.0}}, "default_policy": "p"}
        async with running(load_portfolio(write_portfolio(tmp_path, models, **more), ENVIRONMENT)) as run:
            client, headers = with_key(run, "sk-ci"), {"x-api-key": "sk-ci"}
            ask: Any = {"model": "auto", "messages": ASK, "max_tokens": 10}

            async def route() -> Any:
                return (await run.http.post("/v1/route", json=ask, headers=headers)).json()

            before = await route()
            assert before["chosen"] == "llama-70b"
            assert (
                await client.chat.completions.create(**ask)
            ).model == "llama-70b"  # 10 tokens, as the provider bills
            after = await route()
            assert after["chosen"] == "llama-8b"
            assert after["rule"]["cost_weight"] == 1e6 * before["rule"]["cost_weight"]
            assert "a budget of the key is nearly spent, so that the price counts 1e+06 times" in after["why"]
            assert (await client.chat.completions.create(**ask)).model == "llama-8b"
            left = (await run.http.get("/v1/key", headers=headers)).json()["left"]
            assert left["budgets"][0]["usd"] == 0.0001
            assert left["budgets"][0]["spent_usd"] == pytest.approx(0.0000101)
            assert left["budgets"][0]["left_usd"] == pytest.approx(0.0000899)
            assert [one["near_limit"] for one in await run.records()] == [None, 1e6]


@pytest.mark.parametrize(
    ("policy", "after"),
    [
        ({"max_loss": 0.0}, "llama-8b"),
        ({"quality": 10}, "llama-8b"),
        ({"cost_weight": 0}, "llama-8b"),
        ({"min_p_correct": 0.01}, None),
    ],
)
async def test_near_limit_works_for_every_rule_and_for_the_budget_of_the_team(
    tmp_path: Path, policy: dict[str, float], after: str | None
) -> None:
    near = {"at": 0.05, "cost_weight": 1e4}
    keys = [{"name": "ci", "key": "os.environ/CI", "team": "build", "near_limit": near}]
    teams = [{"name": "build", "budget": [{"usd": 0.0001, "per": "day"}]}]
    async with ScriptedProvider() as up:
        models = [
            entry("llama-8b", up.base_url, price={"input": 0.01, "output": 0.01}),
            entry("llama-70b", up.base_url),
        ]
        more = {"keys": keys, "teams": teams, "policies": {"p": policy, "other": {"quality": 3}}, "default_policy": "p"}
        async with running(load_portfolio(write_portfolio(tmp_path, models, **more), ENVIRONMENT)) as run:
            ask: Any = {"model": "auto", "messages": ASK, "max_tokens": 10}

            async def route() -> Any:
                return (await run.http.post("/v1/route", json=ask, headers={"x-api-key": "sk-ci"})).json()

            before = await route()
            spends = await with_key(run, "sk-ci").chat.completions.create(**ask | {"model": "llama-70b"})
            assert spends.model == "llama-70b"
            found = await route()
            told = any("a budget of the key is nearly spent" in why for why in found["why"])
            assert told == (after is not None)
            assert before["chosen"] == ("llama-8b" if after is None else "llama-70b")
            assert found["chosen"] == "llama-8b"
            await with_key(run, "sk-ci").chat.completions.create(**ask)
            assert [one["near_limit"] for one in await run.records()] == [None, None if after is None else 1e4]


async def test_what_a_key_has_left(tmp_path: Path) -> None:
    keys = [{"name": "ci", "key": "os.environ/CI", "team": "build", "rpm": 3, "budget": [{"usd": 5, "per": "ever"}]}]
    async with serving_keys(tmp_path, keys) as (run, _):
        left = (await run.http.get("/v1/key", headers={"x-api-key": "sk-ci"})).json()["left"]
        assert left == {
            "budgets": [{"usd": 5.0, "per": "ever", "spent_usd": 0.0, "left_usd": 5.0, "resets": None}],
            "requests": {"limit": 3, "remaining": 3},
        }
        await with_key(run, "sk-ci").chat.completions.create(model="llama-8b", messages=ASK)
        left = (await run.http.get("/v1/key", headers={"x-api-key": "sk-ci"})).json()["left"]
        assert left["requests"]["remaining"] == 2
        assert (await run.http.get("/v1/key", headers={"x-api-key": "sk-plain"})).json()["left"] is None
