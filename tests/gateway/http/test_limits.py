"""Requests under the limits of their key and team, with a real gateway, a scripted provider and the OpenAI client."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from tests.gateway.running import Gateway, entry, eventually, leaving, running, write_portfolio
from tests.gateway.upstreams import ScriptedProvider, answer, error

pytestmark = pytest.mark.anyio
KEY = "sk-limited"
MESSAGES: Any = [{"role": "user", "content": "Why is the sky blue?"}]


@asynccontextmanager
async def limited(
    folder: Path, provider: ScriptedProvider, *models: dict[str, Any], **more: Any
) -> AsyncIterator[Gateway]:
    """A gateway with one key `ci` of the team `build`; `more` are the limits of the key, `team` those of the team."""
    team = more.pop("team", {})
    key = {"name": "ci", "key": "os.environ/K", "team": "build"} | more
    path = write_portfolio(
        folder,
        list(models) or [entry("llama-8b", provider.base_url)],
        keys=[key],
        teams=[{"name": "build"} | team],
    )
    async with running(load_portfolio(path, {"K": KEY}), key=KEY) as run:
        yield run


async def ask(run: Gateway, model: str = "llama-8b", **fields: Any) -> Any:
    return await run.client.chat.completions.with_raw_response.create(model=model, messages=MESSAGES, **fields)


async def test_rpm_refuses_with_a_wait_and_every_answer_says_what_is_left(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, limited(tmp_path, provider, rpm=2, tpm=10_000) as run:
        first = await ask(run)
        assert first.headers["x-ratelimit-limit-requests"] == "2"
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        assert int(first.headers["x-ratelimit-reset-requests"].removesuffix("s")) in range(59, 63)
        assert int(first.headers["x-ratelimit-remaining-tokens"]) < 10_000
        assert first.headers["ratelimit-policy"] == '"requests";q=2;w=60, "tokens";q=10000;w=60'
        assert first.headers["ratelimit"].startswith('"requests";r=1;t=')
        await ask(run)
        with pytest.raises(openai.RateLimitError) as refused:
            await ask(run)
    error = refused.value
    assert error.code == "rate_limit_exceeded"
    assert error.type == "requests"
    assert int(error.response.headers["retry-after"]) in range(55, 62)
    assert error.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert "The key `ci` may make 2 requests per minute" in error.message
    assert len(provider.calls) == 2


async def test_an_empty_budget_refuses_until_its_window_ends(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        budget = [{"usd": 0.0002, "per": "day", "overshoot": 0}]  # 200 tokens at 1 USD per million
        async with limited(tmp_path, provider, budget=budget) as run:
            await ask(run, max_tokens=150)
            with pytest.raises(openai.RateLimitError) as refused:
                await ask(run, max_tokens=198)
            await ask(run, max_tokens=20)  # a smaller one fits
    error = refused.value
    assert error.code == "insufficient_quota"
    assert error.response.headers["x-should-retry"] == "false"
    assert 0 < int(error.response.headers["retry-after"]) <= 86_400
    assert "The budget of 0.0002 USD per day of the key `ci` has too little left" in error.message
    assert len(provider.calls) == 2


async def test_an_exhausted_team_refuses_each_of_its_keys_without_naming_sums(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        team = {"budget": [{"usd": 0.00001, "per": "ever", "overshoot": 0}]}
        async with limited(tmp_path, provider, team=team) as run:
            with pytest.raises(openai.RateLimitError) as refused:
                await ask(run, max_tokens=1000)
    assert "of the team `build`" in refused.value.message
    assert "retry-after" not in refused.value.response.headers


async def test_a_limit_of_one_is_written_in_the_singular(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, limited(tmp_path, provider, rpm=1) as run:
        await ask(run)
        with pytest.raises(openai.RateLimitError, match="may make 1 request per minute; try again in"):
            await ask(run)


async def test_parallel_requests_are_limited_and_places_come_back(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, limited(tmp_path, provider, max_parallel_requests=1) as run:
        for _ in range(3):
            response = await ask(run)
            assert response.headers["ratelimit-policy"] == '"parallel";q=1;qu="concurrent-requests"'


async def test_a_cheaper_stand_in_answers_if_the_budget_does_not_allow_the_chosen_model(tmp_path: Path) -> None:
    async with ScriptedProvider() as dear, ScriptedProvider() as cheap:
        models = [
            entry("llama-70b", dear.base_url, price={"input": 1000.0, "output": 1000.0}),
            entry("llama-8b", cheap.base_url),
        ]
        budget = [{"usd": 0.01, "per": "month"}]
        async with limited(tmp_path, dear, *models, budget=budget) as run:
            response = await ask(run, "llama-70b", max_tokens=100)
            assert response.headers["x-locus-stand-in"] == "llama-8b"
            (record,) = await run.records()
    assert not dear.calls
    assert [attempt["cause"] for attempt in record["failover"]] == ["budget"]


async def test_a_failed_call_gives_back_its_reservation(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        model = entry("llama-8b", provider.base_url, provider.base_url)
        budget = [{"usd": 0.0003, "per": "day", "overshoot": 0}]
        async with limited(tmp_path, provider, model, budget=budget) as run:
            provider.replies.append(error(400, "no such thing", "invalid_value"))
            with pytest.raises(openai.APIStatusError):
                await ask(run, max_tokens=250)
            await ask(run, max_tokens=250)


async def test_a_client_that_leaves_frees_its_place(tmp_path: Path) -> None:
    async def silent(call: Any, writer: Any) -> None:
        await call.closed.wait()

    async with ScriptedProvider(silent) as provider, limited(tmp_path, provider, max_parallel_requests=1) as run:
        asked = run.client.chat.completions.create(model="llama-8b", messages=MESSAGES)
        await leaving(asked, lambda: bool(provider.calls))
        provider.default = answer("fine")
        await eventually(lambda: not run.service.metrics.in_flight)
        await ask(run)


async def test_requests_without_limits_have_no_limit_headers(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, limited(tmp_path, provider) as run:
        response = await ask(run)
    assert not [name for name in response.headers if "ratelimit" in name]


async def test_a_model_without_a_price_is_not_called_within_a_budget(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, ScriptedProvider() as other:
        models = [entry("llama-8b", provider.base_url, price=None), entry("llama-70b", other.base_url)]
        async with limited(tmp_path, provider, *models, budget=[{"usd": 5, "per": "day"}]) as run:
            with pytest.raises(openai.RateLimitError) as refused:
                await ask(run, extra_headers={"x-locus-failover": "off"})
            answered = await ask(run)  # a stand-in whose price is known
            records = await run.records()
    assert refused.value.code == "insufficient_quota"
    assert "The price of llama-8b/0 is not known" in refused.value.message
    assert answered.headers["x-locus-stand-in"] == "llama-70b"
    assert (len(provider.calls), len(other.calls)) == (0, 1)
    assert [record["cost_nusd"] is None for record in records] == [True, False]


def spent(folder: Path) -> tuple[dict[str, int], int]:
    """What the budgets of the database say, by scope, and the sum of the ledger; nano-USD."""
    with contextlib.closing(sqlite3.connect(folder / "record.db")) as database:
        budgets = dict(database.execute("SELECT scope, spent_nusd FROM budgets WHERE expected_nusd = 0"))
        (ledger,) = database.execute("SELECT sum(nusd) FROM ledger").fetchone()
    return budgets, ledger


async def test_what_is_spent_is_the_sum_of_the_ledger_and_outlives_a_restart(tmp_path: Path) -> None:
    budget = {"budget": [{"usd": 0.0001, "per": "month", "overshoot": 0}]}
    async with ScriptedProvider() as provider:
        async with limited(tmp_path, provider, team=budget, **budget) as run:
            await ask(run, max_tokens=20)
            async with run.client.chat.completions.with_streaming_response.create(
                model="llama-8b", messages=MESSAGES, max_tokens=20, stream=True
            ) as stream:
                await stream.read()
        budgets, ledger = spent(tmp_path)
        assert ledger > 0
        assert budgets == {"key:file:ci": ledger, "team:build": ledger}
        with contextlib.closing(sqlite3.connect(tmp_path / "record.db")) as database, database:
            assert not database.execute("SELECT count(*) FROM leases").fetchone()[0]
            database.execute("UPDATE budgets SET spent_nusd = 90000")
        async with limited(tmp_path, provider, team=budget, **budget) as run:
            with pytest.raises(openai.RateLimitError, match="too little left"):
                await ask(run, max_tokens=20)


async def test_a_batch_of_prompts_and_embeddings_are_settled_too(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        budget = {"budget": [{"usd": 1, "per": "day"}]}
        async with limited(tmp_path, provider, rpm=10, **budget) as run:
            response = await run.client.completions.create(model="llama-8b", prompt=["One?", "Two?", "Three?"])
            assert len(response.choices) == 3
            assert run.service.limiter.settled_twice == 0
    budgets, ledger = spent(tmp_path)
    assert budgets == {"key:file:ci": ledger}
    assert ledger > 0


async def test_a_number_of_choices_cannot_make_a_call_look_cheaper(tmp_path: Path) -> None:
    budget = {"budget": [{"usd": 0.000001, "per": "day", "overshoot": 0}]}
    async with ScriptedProvider() as provider, limited(tmp_path, provider, **budget) as run:
        for n in (-1, 0, "3", 1.5):
            with pytest.raises(openai.BadRequestError, match="`n` must be a whole number of at least 1"):
                await ask(run, n=n)
    assert not provider.calls


async def test_a_batch_that_a_budget_refuses_costs_nothing(tmp_path: Path) -> None:
    budget = {"budget": [{"usd": 0.001, "per": "day", "overshoot": 0}]}
    async with ScriptedProvider() as provider:
        async with limited(tmp_path, provider, **budget) as run:
            with pytest.raises(openai.RateLimitError, match="too little left"):
                await run.client.completions.create(
                    model="llama-8b", prompt=["One?", "Two?", "Three?"], max_tokens=4000
                )
            (record,) = await run.records()
    assert not provider.calls
    assert record["cost_nusd"] is None
    assert spent(tmp_path) == ({"key:file:ci": 0}, None)


async def test_a_model_without_a_price_is_called_within_a_budget_only_if_the_file_says_so(tmp_path: Path) -> None:
    budget = {"budget": [{"usd": 1, "per": "day"}]}
    async with ScriptedProvider() as provider:
        async with limited(tmp_path, provider, entry("llama-8b", provider.base_url, price=None), **budget) as run:
            with pytest.raises(openai.RateLimitError, match="The price of llama-8b/0 is not known"):
                await ask(run)
        assert not provider.calls
        free = entry("llama-8b", provider.base_url, price=None, unpriced="free")
        async with limited(tmp_path, provider, free, **budget) as run:
            await ask(run)


async def test_a_price_that_appears_later_counts_from_then_on(tmp_path: Path) -> None:
    """What was called without a price stays unknown, and a budget that refused the model admits it."""
    unpriced = {"price": None}
    keys = [
        {"name": "ci", "key": "os.environ/K", "budget": [{"usd": 1, "per": "day"}]},
        {"name": "free", "key": "os.environ/F"},
    ]
    environment = {"K": KEY, "F": "sk-free"}

    def file(**price: Any) -> Portfolio:
        models = [entry("llama-8b", provider.base_url, **price)]
        return load_portfolio(write_portfolio(tmp_path, models, keys=keys), environment)

    async with ScriptedProvider() as provider, running(file(**unpriced), key=KEY) as run:
        unlimited = run.client.with_options(api_key="sk-free")
        await unlimited.chat.completions.create(model="llama-8b", messages=MESSAGES)
        with pytest.raises(openai.RateLimitError, match="The price of llama-8b/0 is not known"):
            await ask(run)
        await run.service.apply(file())
        await unlimited.chat.completions.create(model="llama-8b", messages=MESSAGES)
        await ask(run)
        records = await run.records()
    costs = [(one["key_name"], one["cost_nusd"]) for one in records]
    assert costs == [("free", None), ("ci", None), ("free", 10_000), ("ci", 10_000)]  # ten tokens
    assert spent(tmp_path) == ({"key:file:ci": 10_000}, 20_000)


async def test_a_budget_that_ends_in_mid_stream_lets_the_stream_end(tmp_path: Path) -> None:
    async with ScriptedProvider(answer("word " * 50)) as provider:
        budget = {"budget": [{"usd": 0.00005, "per": "day", "overshoot": 0}]}
        async with limited(tmp_path, provider, **budget) as run:
            chunks = [
                chunk
                async for chunk in await run.client.chat.completions.create(
                    model="llama-8b", messages=MESSAGES, max_tokens=20, stream=True
                )
            ]
            assert chunks[-1].choices[0].finish_reason == "stop"
            await eventually(lambda: not run.service.metrics.in_flight)
            with pytest.raises(openai.RateLimitError, match="too little left"):
                await ask(run, max_tokens=20)


async def test_metrics_show_budgets(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        async with limited(tmp_path, provider, budget=[{"usd": 2, "per": "day", "warn": 0.000001}]) as run:
            await ask(run, max_tokens=20)
            await eventually(lambda: any(state.spent for state in run.service.limiter.budgets.states()))
            text = (await run.http.get("/metrics", headers={"authorization": f"Bearer {KEY}"})).text
    assert 'locus_budget_limit_usd{name="ci",period="day",scope="key"} 2.0' in text
    assert 'locus_budget_warnings_total{name="ci",period="day",scope="key"} 1.0' in text


async def test_requests_that_call_no_model_count_as_requests_too(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, limited(tmp_path, provider, rpm=2) as run:
        headers = {"authorization": f"Bearer {KEY}"}
        body = {"model": "llama-8b", "messages": MESSAGES}
        statuses = [
            (await run.http.post(path, json=body, headers=headers)).status_code
            for path in ("/v1/route", "/v1/messages/count_tokens", "/v1/route", "/v1/messages/count_tokens")
        ]
        assert statuses == [200, 200, 429, 429]
