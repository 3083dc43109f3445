"""The pages of the models over HTTP: the list, and what the page of one model says."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from gateway.console.drift_course import MOST_ROUNDS, drift_of
from gateway.drift.asked import Asked
from gateway.drift.store import DriftStore, Event, Watch
from tests.gateway.http.test_model_states import add, chat, look, serving, set_state
from tests.gateway.running import EMBEDDINGS, Gateway, entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio


async def text_of(run: Gateway, path: str, status: int = 200) -> str:
    """What a page says, in one line."""
    answer = await run.http.get(path)
    assert answer.status_code == status, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", answer.text)))


async def test_the_list_says_how_each_model_stands(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await chat(run, "llama-8b")
        await run.records()
        await add(run, "mistral-7b", "openai/gpt-5.4")
        await set_state(run, "mistral-7b", "quarantined")
        await look(run)
        text = await text_of(run, "/ui/models")
        assert re.search(r"llama-8b live meta-llama/Llama-3.1-8B-Instruct 1 available 1 / 1 8,192 1 100%", text)
        assert re.search(r"mistral-7b quarantined mistralai/Mistral-7B-Instruct-v0.1, version 1 1 available", text)
        assert "llama-8b" not in await text_of(run, "/ui/models?state=quarantined&part=rows")
        assert "No model fits these filters" in await text_of(run, "/ui/models?q=gpt")


async def test_a_thousand_models_are_listed_a_hundred_at_a_time(tmp_path: Path) -> None:
    models = [entry(f"m{i:04}", "") | {"embedding": EMBEDDINGS["llama-8b"]} for i in range(250)]
    async with serving(tmp_path, models) as run:
        text = await text_of(run, "/ui/models")
        assert "1 to 100 of 250" in text
        assert "m0099" in text
        assert "m0100" not in text
        last = await text_of(run, "/ui/models?from=200")
        assert ("201 to 250 of 250" in last, "m0249" in last, "Next" in last) == (True, True, False)
        assert "m0000" in await text_of(run, "/ui/models?from=x")


async def test_a_deployment_that_is_not_called_says_why_in_the_providers_words(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        up.default = error(401, "Your key was revoked on Monday", "invalid_api_key")
        model = entry("llama-8b", up.base_url, up.base_url)
        model["deployments"][0] |= {"rpm": 100, "max_parallel_requests": 4}
        async with gateway(tmp_path, [model]) as run:
            for _ in range(3):
                await run.http.post(
                    "/v1/chat/completions", json={"model": "llama-8b", "messages": [{"role": "user", "content": "?"}]}
                )
            text = await text_of(run, "/ui/models/llama-8b?part=live")
            assert "not called taken out" in text
            assert "Your key was revoked on Monday" in text
            assert "rpm: " in text
            assert "of 100" in text
            assert "sk-up" not in text
            assert "none available" in await text_of(run, "/ui/models")


async def test_names_with_slashes_and_marks_have_pages(tmp_path: Path) -> None:
    name = "lab/<b>&x?y"
    async with serving(tmp_path, [entry(name, "") | {"embedding": EMBEDDINGS["llama-8b"]}]) as run:
        page = (await run.http.get("/ui/models")).text
        (address,) = re.findall(r'href="(/ui/models/lab[^"]*)"', page)
        shown = await run.http.get(unescape(address))
        assert 'data-name="lab/&lt;b&gt;&amp;x?y"' in shown.text
        details = (await run.http.get("/ui/map/model", params={"name": name})).json()
        assert ["State, deployments and onboarding", unescape(address)] in details["links"]
        assert "<b>&x" not in shown.text
        assert "no chat model `other`" in await text_of(run, "/ui/models/other", 404)


async def test_without_a_database_the_pages_say_what_to_set(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("llama-8b", "http://127.0.0.1:9/v1")], gateway={"record": None}) as run:
        assert "–" in await text_of(run, "/ui/models")
        text = await text_of(run, "/ui/models/llama-8b")
        assert "set record or store under gateway" in text
        assert "Take out" not in text
        assert "Nothing is recorded" in await text_of(run, "/ui/map")
        assert (await run.http.get("/ui/map/models")).json()["models"][0]["size"] == 0


async def test_the_course_of_drift_is_shown_round_by_round(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        assert run.service.database is not None
        store = DriftStore(run.service.database, lambda: 1_800_000_000.0)
        probes = tuple(f"p{i}" for i in range(8))
        watch: dict[str, Any] = {"candidates": tuple((probe, "d") for probe in probes), "next": 1_800_000_000.0}
        await store.keep(
            Watch("llama-8b/0", "llama-8b", "bank", 1, chosen=probes, rounds=MOST_ROUNDS + 2, evidence=12.5, **watch)
        )
        await store.keep(Watch("llama-70b/0", "llama-70b", "bank", 1, **watch))
        for number in range(MOST_ROUNDS + 3):
            for i, probe in enumerate(probes):
                score = 0.0 if number == MOST_ROUNDS + 2 and i < 3 else 1.0
                await store.add("llama-8b/0", 1, Asked(number, probe, score), 0)
        await store.tell(Event("llama-8b", "llama-8b/0", "announced", "the provider has changed something: v2"))
        (course,), (event,) = await drift_of(run.service.database, "llama-8b")
        assert len(course.rounds) == MOST_ROUNDS
        assert course.rounds[-2:] == ((MOST_ROUNDS + 1, 0, 8), (MOST_ROUNDS + 2, 3, 8))
        assert event.kind == "announced"
        text = await text_of(run, "/ui/models/llama-8b")
        assert (
            "In round 42, 3 of 8 answers had another outcome than in the baseline. Evidence of a change: 12.5." in text
        )
        assert "the provider has changed something: v2" in text
        assert "Its baseline is being made: 8 probes" in await text_of(run, "/ui/models/llama-70b")
        assert "Not watched: set drift" in await text_of(run, "/ui/models/mistral-7b")
        assert "the provider has changed something: v2" in await text_of(run, "/ui/models")
