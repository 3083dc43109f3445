"""Versions and states of models in a running gateway: what they change in its choices, and where they can be seen."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.core.errors import StoreUnavailable
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import Trial
from gateway.store.database import Database
from router.model.embedding import Embedding
from tests.gateway.postgres import Postgres
from tests.gateway.running import EMBEDDINGS, Gateway, entry, eventually, gateway, shipped_router
from tests.gateway.upstreams import Call, ScriptedProvider, answer

pytestmark = pytest.mark.anyio
ASK: list[Any] = [
    {"role": "user", "content": "Janet has 16 eggs and eats three. How many eggs are left for the market?"}
]
BEST = "llama-70b"  # of the three models, for this question


def embedding_of(name: str) -> Embedding:
    """The embedding of a model of the shipped space."""
    space = shipped_router().space
    arrays = space.embeddings.take(space.rows([name])).arrays()
    values: dict[str, Any] = {key: array[0] if array.ndim > 1 else array[0].item() for key, array in arrays.items()}
    return Embedding(**values)


@asynccontextmanager
async def serving(folder: Path, models: list[dict[str, Any]] | None = None) -> AsyncIterator[Gateway]:
    """A gateway over three models of one provider; its policy `best` takes the highest P(correct)."""
    async with ScriptedProvider() as up:
        listed = [entry(name, up.base_url) for name in EMBEDDINGS]
        for model in models or []:
            model["deployments"][0]["api_base"] = up.base_url
        async with gateway(folder, models or listed) as run:
            yield run


def versions(run: Gateway) -> ModelVersions:
    assert run.service.models is not None
    return run.service.models


async def look(run: Gateway) -> None:
    """The gateway looks for changes now, not only after its interval."""
    assert run.service.model_watch is not None
    await run.service.model_watch.look()


async def add(run: Gateway, model: str, like: str, checkpoint: str | None = None) -> None:
    used = checkpoint or shipped_router().checkpoint
    await versions(run).add(model, embedding_of(like), checkpoint=used, source="onboarding", note="", live=True)
    await look(run)


async def set_state(run: Gateway, model: str, state: Any, **more: Any) -> None:
    await versions(run).set_state(model, state, "a test", **more)
    await look(run)


async def route(run: Gateway, model: str = "auto:best") -> dict[str, Any]:
    response = await run.http.post("/v1/route", json={"model": model, "messages": ASK})
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def candidate(run: Gateway, name: str, model: str = "auto:best") -> dict[str, Any]:
    (found,) = [one for one in (await route(run, model))["candidates"] if one["model"] == name]
    return found


async def listed(run: Gateway, name: str) -> dict[str, Any]:
    found: dict[str, Any] = (await run.http.get(f"/v1/models/{name}")).json()
    return found


async def chat(run: Gateway, model: str = "auto:best") -> Any:
    return await run.client.chat.completions.with_raw_response.create(model=model, messages=ASK)


async def test_a_live_version_decides_from_the_next_request_on(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        before = await route(run)
        assert before["chosen"] == BEST
        await add(run, "mistral-7b", "openai/gpt-5.4")
        after = await route(run)
        assert after["chosen"] == "mistral-7b"
        assert (await candidate(run, "mistral-7b"))["embedding"] == EMBEDDINGS["mistral-7b"]  # its name in the space
        assert (await listed(run, "mistral-7b"))["embedding_version"] == 1
        assert (await listed(run, BEST))["embedding_version"] is None
        await versions(run).make_live("mistral-7b", None)
        await look(run)
        rolled_back = await route(run)
        assert [c["p_correct"] for c in rolled_back["candidates"]] == [c["p_correct"] for c in before["candidates"]]


async def test_a_change_by_another_process_is_noticed(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        database = Database(DatabaseLocation(tmp_path / "record.db"))
        other = ModelVersions(database)
        await other.set_state(BEST, "quarantined", "another process")
        await eventually(lambda: run.service.in_force.standings[BEST].state == "quarantined")
        await database.close()


async def test_what_is_in_use_at_the_start_holds_for_the_first_request(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await add(run, "mistral-7b", "openai/gpt-5.4")
        await set_state(run, BEST, "quarantined")
    async with serving(tmp_path) as run:
        assert (await chat(run)).headers["x-locus-model"] == "mistral-7b"
        assert run.service.in_force.standings[BEST].state == "quarantined"


async def test_a_version_of_another_checkpoint_is_left_out_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(tmp_path) as run:
        before = await route(run)
        with caplog.at_level(logging.WARNING):
            await add(run, "mistral-7b", "openai/gpt-5.4", checkpoint="0123456789abcdef")
        assert "version 1 of mistral-7b is of checkpoint 0123456789ab" in caplog.text
        assert "onboard the model again" in caplog.text
        assert await route(run) == before


async def test_models_that_share_an_embedding_have_versions_of_their_own(tmp_path: Path) -> None:
    shared = EMBEDDINGS["mistral-7b"]
    models = [entry(name, "", embedding=shared) for name in ("here", "there")]
    async with serving(tmp_path, models) as run:
        assert (await candidate(run, "here"))["p_correct"] == (await candidate(run, "there"))["p_correct"]
        await add(run, "here", "openai/gpt-5.4")
        assert (await candidate(run, "here"))["p_correct"] > (await candidate(run, "there"))["p_correct"]
        assert (await candidate(run, "there"))["embedding"] == shared


async def test_embedding_none_switches_a_version_off(tmp_path: Path) -> None:
    models = [entry("off", "", embedding="none"), entry("llama-8b", "")]
    async with serving(tmp_path, models) as run:
        await add(run, "off", "openai/gpt-5.4")
        assert (await candidate(run, "off"))["p_correct"] is None


@pytest.mark.parametrize("state", ["shadow", "quarantined"])
async def test_a_model_in_shadow_or_quarantine_answers_only_when_named(tmp_path: Path, state: str) -> None:
    async with serving(tmp_path) as run:
        await set_state(run, BEST, state)
        assert (await route(run))["chosen"] != BEST
        described = await candidate(run, BEST)
        assert (described["state"], described["eligible"]) == (state, False)
        assert described["p_correct"] > 0
        assert f"{state} (a test)" in described["why"]
        assert (await listed(run, BEST))["state"] == state
        metrics = (await run.http.get("/metrics")).text
        assert f'locus_model_state{{model="{BEST}",state="{state}"}} 1.0' in metrics
        assert 'locus_model_state{model="llama-8b",state="live"} 1.0' in metrics
        answers = [(await chat(run, name)).headers["x-locus-model"] for name in ("auto:best", BEST)]
        assert answers[0] != BEST
        assert answers[1] == BEST
        for live in run.service.in_force.deployments.models[answers[0]].deployments:
            live.breaker.take_out(run.service.clock(), "out")
        assert (await route(run, answers[0]))["serving"] != BEST  # no stand-in either
        recorded = {row["model"]: row.get("state") for row in (await run.records())[0]["candidates"]}
        assert recorded[BEST] == state
        assert set(recorded.values()) == {state, None}


async def test_only_models_that_are_not_chosen(tmp_path: Path) -> None:
    async with serving(tmp_path, [entry("llama-8b", "")]) as run:
        await set_state(run, "llama-8b", "quarantined")
        answer = await run.http.post("/v1/chat/completions", json={"model": "auto", "messages": ASK})
        assert answer.status_code == 400
        assert "llama-8b: quarantined (a test): only served when named" in answer.json()["error"]["message"]


async def test_a_suspect_model_is_believed_one_standard_error_less(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        live = await candidate(run, BEST)
        await set_state(run, BEST, "suspect")
        suspect = await candidate(run, BEST)
        assert suspect["p_correct"] == live["p_correct"]
        assert suspect["utility"] == pytest.approx(live["utility"] - live["standard_error"], abs=1e-6)
        assert "suspect (a test): one more standard error is taken off its P(correct)" in suspect["why"]
        await set_state(run, BEST, "live")
        assert (await candidate(run, BEST))["utility"] == live["utility"]


async def test_a_suspect_deployment_makes_its_model_suspect(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        live = await candidate(run, BEST)
        await set_state(run, BEST, "suspect", deployment=f"{BEST}/0")
        suspect = await candidate(run, BEST)
        assert suspect["utility"] == pytest.approx(live["utility"] - live["standard_error"], abs=1e-6)
        assert f"its deployment {BEST}/0 is suspect" in suspect["why"]


async def test_a_version_of_one_deployment_counts_with_its_share_of_the_calls(tmp_path: Path) -> None:
    """A provider has changed what the second of three deployments serves."""
    models = [entry(name, *[""] * (3 if name == BEST else 1)) for name in EMBEDDINGS]
    weak, other = EMBEDDINGS["mistral-7b"], f"{BEST}/1"
    for deployment, weight in zip(models[list(EMBEDDINGS).index(BEST)]["deployments"], (1, 2, 1), strict=True):
        deployment |= {"weight": weight, "api_base": "http://127.0.0.1:9/v1"}
    async with serving(tmp_path, models) as run:
        before, as_weak = await candidate(run, BEST), await candidate(run, "mistral-7b")
        version = run.service.in_force.version

        async def add_own(like: str) -> None:
            values = {"checkpoint": shipped_router().checkpoint, "source": "drift", "note": "", "live": True}
            await versions(run).add(BEST, embedding_of(like), deployment=other, **values)
            await look(run)

        await add_own(weak)
        mixed = await candidate(run, BEST)
        for name in ("p_correct", "standard_error"):
            assert mixed[name] == pytest.approx((before[name] + as_weak[name]) / 2, abs=2e-6)
        assert run.service.in_force.version != version  # stored answers of before are not used
        shown = (await run.http.get("/admin/models")).json()["data"][list(EMBEDDINGS).index(BEST)]
        assert [one["version"] for one in shown["deployments"]] == [None, 1, None]
        assert (shown["version"], shown["embedding"]) == (None, EMBEDDINGS[BEST])
        await set_state(run, BEST, "quarantined", deployment=other)  # it gets no calls
        assert (await candidate(run, BEST))["p_correct"] == before["p_correct"]
        await set_state(run, BEST, "live", deployment=other)
        await set_state(run, BEST, "quarantined", deployment=f"{BEST}/0")
        shares = (before["p_correct"] + 2 * as_weak["p_correct"]) / 3
        assert (await candidate(run, BEST))["p_correct"] == pytest.approx(shares, abs=2e-6)
        await add(run, BEST, EMBEDDINGS[BEST])  # all of its deployments were asked later
        assert (await candidate(run, BEST))["p_correct"] == pytest.approx(before["p_correct"], abs=1e-6)


async def test_a_deployment_in_quarantine_gets_no_calls(tmp_path: Path) -> None:
    async with ScriptedProvider() as first, ScriptedProvider() as second:
        async with gateway(tmp_path, [entry("llama-8b", first.base_url, second.base_url)]) as run:
            await set_state(run, "llama-8b", "quarantined", deployment="llama-8b/0")
            for _ in range(6):
                await chat(run, "llama-8b")
            assert (len(first.calls), len(second.calls)) == (0, 6)
            states = (await run.http.get("/health/ready")).json()["models"]["llama-8b"]["deployments"]
            assert states == {"llama-8b/0": "quarantined: a test", "llama-8b/1": "available"}
            await set_state(run, "llama-8b", "quarantined", deployment="llama-8b/1")
            assert (await listed(run, "llama-8b"))["state"] == "quarantined"
            await chat(run, "llama-8b")  # a request that names the model is still answered
            await set_state(run, "llama-8b", "live", deployment="llama-8b/0")
            await chat(run, "llama-8b")
            assert len(first.calls) >= 1


async def test_a_model_on_trial_gets_its_share_and_is_live_after_its_requests(tmp_path: Path) -> None:
    models = [
        entry(name, "") for name in ("mistral-7b", BEST)
    ]  # the second is better, also with one standard error less
    async with serving(tmp_path, models) as run:
        await set_state(run, BEST, "limited", trial=Trial(0.2, 4))
        assert "on trial (a test): at most 20% of the requests" in (await candidate(run, BEST))["why"]
        served: Counter[str] = Counter()
        for number in range(1, 21):
            served[(await chat(run)).headers["x-locus-model"]] += 1
            assert served[BEST] == number // 5
        await eventually(lambda: not run.service.metrics.in_flight)
        first = next(record for record in await run.records() if record["chosen"] == BEST)
        others = [record["propensity"] for record in await run.records() if record["chosen"] != BEST]
        assert first["propensity"] == 0.2
        assert set(others) == {0.8}
        await eventually(lambda: run.service.in_force.standings[BEST].state == "live")
        assert (await chat(run)).headers["x-locus-model"] == BEST


async def test_a_trial_ends_where_its_error_is_small_enough(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        error = shipped_router().standard_error(EMBEDDINGS[BEST])
        await set_state(run, BEST, "limited", trial=Trial(0.1, 200, error / 2))
        await look(run)
        assert run.service.in_force.standings[BEST].state == "limited"
        await set_state(run, BEST, "limited", trial=Trial(0.1, 200, error * 1.01))
        await look(run)
        standing = run.service.in_force.standings[BEST]
        assert standing.state == "live"
        assert f"the standard error of its P(correct) is {error:.3f}" in standing.reason


async def test_a_portfolio_whose_models_are_all_on_trial_is_served(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        for name in EMBEDDINGS:
            await versions(run).set_state(name, "limited", "new")
        await look(run)
        assert {(await chat(run)).headers["x-locus-model"] for _ in range(3)} <= set(EMBEDDINGS)


async def test_a_database_that_is_away_changes_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await set_state(run, BEST, "quarantined")
        before = await route(run)
        database = run.service.database
        assert database is not None
        await database.close()
        await asyncio.to_thread((tmp_path / "record.db").rename, tmp_path / "away.db")
        (tmp_path / "record.db").mkdir()
        with pytest.raises(StoreUnavailable):
            await look(run)
        assert await route(run) == before
        (tmp_path / "record.db").rmdir()
        await asyncio.to_thread((tmp_path / "away.db").rename, tmp_path / "record.db")
        await look(run)
        assert await route(run) == before


async def test_a_model_that_was_never_evaluated_borrows_from_its_nearest_relative(tmp_path: Path) -> None:
    later = {"name": "later", "context_window": 8192, "deployments": [{"model": "openai/gpt-5.9", "api_key": "k"}]}
    unheard = later | {"name": "unheard", "deployments": [{"model": "openai/ours", "api_key": "k"}]}
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1"), later, unheard]) as run:
        described = await candidate(run, "later")
        assert described["embedding"].startswith("≈openai/gpt-5")
        relative = described["embedding"][1:]
        assert (described["state"], described["eligible"]) == ("declared", True)
        assert f"it was not evaluated: it borrows the embedding of {relative}" in described["why"]
        known = shipped_router().predict([ASK[0]["content"]], [relative])
        assert described["standard_error"] > known.standard_error[0, 0]
        shown = await listed(run, "later")
        assert (shown["embedding"], shown["state"]) == (described["embedding"], "declared")
        assert (await candidate(run, "unheard"))["p_correct"] is None
        await add(run, "later", "openai/gpt-5.4")
        after = await candidate(run, "later")
        assert (after["embedding"], after["state"]) == ("later", "live")
        assert "borrows" not in after["why"]


async def test_requests_in_progress_finish_on_what_was_in_force(tmp_path: Path) -> None:
    may_answer = asyncio.Event()

    async def held(call: Call, writer: asyncio.StreamWriter) -> Any:
        await may_answer.wait()
        return await answer("fine")(call, writer)

    async with ScriptedProvider(held) as up:
        async with gateway(tmp_path, [entry(name, up.base_url) for name in EMBEDDINGS]) as run:
            begun = asyncio.create_task(chat(run))
            await eventually(lambda: len(up.calls) == 1)
            await set_state(run, BEST, "quarantined")
            may_answer.set()
            assert (await begun).headers["x-locus-model"] == BEST
            assert (await chat(run)).headers["x-locus-model"] != BEST


async def test_all_gateways_of_a_database_use_a_change(tmp_path: Path, postgres: Postgres) -> None:
    settings = {"store": postgres.new_database(), "replicas": "independent"}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    models = [entry(name, "http://127.0.0.1:9/v1") for name in EMBEDDINGS]
    async with (
        gateway(tmp_path / "a", models, gateway=settings) as a,
        gateway(tmp_path / "b", models, gateway=settings) as b,
    ):
        before = await candidate(b, "mistral-7b")
        await add(a, "mistral-7b", "openai/gpt-5.4")
        await set_state(a, "llama-8b", "quarantined")
        await look(b)
        after = [await candidate(run, "mistral-7b") for run in (a, b)]
        assert after[0]["p_correct"] == after[1]["p_correct"] > before["p_correct"]
        assert (await listed(b, "llama-8b"))["state"] == "quarantined"
