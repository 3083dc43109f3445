"""The map of the models over HTTP: what it shows, of which traffic, and to whom."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.console.own_traffic import FEWEST, own_traffic
from gateway.console.space_view import space_view
from router.explore.portfolio_choice import coverage_greedy
from tests.gateway.console.test_sessions import ADMIN, CI, console, log_in
from tests.gateway.http.test_model_states import add, chat, look, serving, set_state
from tests.gateway.onboarding.courses import unknown
from tests.gateway.running import EMBEDDINGS, Gateway, entry, shipped_router

pytestmark = pytest.mark.anyio


async def fetched(run: Gateway, path: str, status: int = 200) -> Any:
    answer = await run.http.get(path)
    assert answer.status_code == status, answer.text
    return answer.json() if status == 200 else answer.text


async def test_the_models_of_the_portfolio_lie_among_those_of_the_space(tmp_path: Path) -> None:
    models = [entry(name, "") for name in EMBEDDINGS] + [unknown("qwen3-next", "")]
    async with serving(tmp_path, models) as run:
        for _ in range(3):
            await chat(run, "llama-8b")
        await chat(run, "mistral-7b")
        assert len(await run.records()) == 4
        drawn = await fetched(run, "/ui/map/models?period=24h")
        own = {one["name"]: one for one in drawn["models"] if not one["other"]}
        others = {one["name"] for one in drawn["models"] if one["other"]}
        assert list(own) == [*EMBEDDINGS, "qwen3-next"]
        assert others == set(shipped_router().space.models) - set(EMBEDDINGS.values())
        assert own["llama-8b"]["size"] == 1.0
        assert own["mistral-7b"]["size"] == pytest.approx((1 / 3) ** 0.5, abs=1e-4)
        assert own["llama-70b"]["size"] == 0.0
        assert own["qwen3-next"]["relative"].lower().startswith("qwen/")
        assert all(0 < one["ring"] < 1 for one in own.values())
        assert own["llama-8b"]["stand_in"] == "llama-70b"
        assert own["llama-8b"]["provider"] == "meta-llama"
        assert "benchmarks of the checkpoint, since the record has too few queries" in drawn["caption"]
        assert "answered in the last 24 hours." in drawn["caption"]  # as on the overview
        apart = {
            (a, b): np.hypot(own[a]["x"] - own[b]["x"], own[a]["y"] - own[b]["y"])
            for a in EMBEDDINGS
            for b in EMBEDDINGS
        }
        space = shipped_router().space
        assert (
            apart["llama-8b", "mistral-7b"]
            <= space.distance(*(EMBEDDINGS[n] for n in ("llama-8b", "mistral-7b"))) + 1e-3
        )
        assert "must be one of 24h, 7d, 30d" in await fetched(run, "/ui/map/models?period=1y", 400)


async def test_a_model_is_described(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        await fetched(run, "/ui/map/models")
        await add(run, "mistral-7b", "openai/gpt-4o-2024-11-20")
        await set_state(run, "mistral-7b", "shadow")
        await look(run)
        found = await fetched(run, "/ui/map/model?name=mistral-7b")
        facts = dict(found["facts"])
        assert facts["State"].startswith("shadow")
        assert facts["Embedding"] == f"{EMBEDDINGS['mistral-7b']}, version 1"
        assert [(one["version"], one["live"]) for one in found["history"]] == [(1, True)]
        assert found["neighbors"][0] == {"name": "openai/gpt-4o-2024-11-20", "other": True, "distance": 0.0}
        assert {one["name"] for one in found["stand_ins"]} == {"llama-8b", "llama-70b"}
        (gsm,) = (one for one in found["kinds"] if one["name"] == "gsm8k")
        assert 0 < gsm["error"] < 0.5
        assert "auto does not choose it" in " ".join(found["notes"])
        other = await fetched(run, "/ui/map/model?name=openai/gpt-4o-2024-11-20&other=true")
        assert (other["history"], other["stand_ins"]) == ([], [])
        assert other["links"] == [["Ask for advice", "/ui/replay"]]
        assert "no model `openai/gpt-4o-2024-11-20`" in await fetched(
            run, "/ui/map/model?name=openai/gpt-4o-2024-11-20", 404
        )


async def test_the_newest_advice_is_told_of_each_model(tmp_path: Path) -> None:
    gains = {"accuracy_gain": 0.021, "accuracy_gain_in_nine_of_ten": 0.012}
    more = {"usd_per_mtok": None, "usd_saved_at_equal_accuracy": 0.0, "share": 0.5}
    changes = [
        {"add": "gpt-4o-2024-11-20", "remove": "llama-8b"} | gains | more,
        {"add": "gpt-4o-2024-11-20", "remove": None, "accuracy_gain": 0.01, "accuracy_gain_in_nine_of_ten": 0.0} | more,
        {"add": "no-such-model", "remove": None} | gains | more,
    ]
    removal = {"add": None, "remove": "llama-8b", "accuracy_gain": -0.003, "accuracy_gain_in_nine_of_ten": -0.01} | more
    async with serving(tmp_path) as run:
        assert run.service.replays is not None
        jobs = run.service.replays.jobs
        for options, enough in (({"kind": "advice"}, True), ({"kind": "advice"}, False), ({"kind": "replay"}, True)):
            job = await jobs.begin(options)
            advice = {"enough": enough, "advice": changes, "removals": [removal]}
            await jobs.end(job.id, "done", "", json.dumps({"newest_only": False, "advice": advice}))
        other = await fetched(run, "/ui/map/model?name=openai/gpt-4o-2024-11-20&other=true")
        words = "with it +2.1 points at equal cost, +1.2 or more in nine of ten draws in place of llama-8b."
        assert other["notes"][-1].endswith(words)
        own = await fetched(run, "/ui/map/model?name=llama-8b")
        assert own["notes"][-1].endswith("without it -0.3 points at equal cost, -1.0 or more in nine of ten draws.")
        first = (await jobs.all())[-1]
        assert own["links"][-1] == ["The advice", f"/ui/replay/job?id={first.id}"]
        unnamed = await fetched(run, "/ui/map/model?name=openai/gpt-4o-2024-08-06&other=true")
        assert "does not name it" in unnamed["notes"][-1]


async def test_the_ring_is_of_the_own_queries_once_there_are_enough(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        for _ in range(FEWEST):
            await chat(run)
        assert len(await run.records()) == FEWEST
        drawn = await fetched(run, "/ui/map/models")
        assert f"your last {FEWEST} queries" in drawn["caption"]
        own = {one["name"]: one["ring"] for one in drawn["models"] if not one["other"]}
        question = "Janet has 16 eggs and eats three. How many eggs are left for the market?"
        p = shipped_router().predict([question], list(EMBEDDINGS.values())).p_correct[0]
        assert list(own.values()) == pytest.approx(p.tolist(), abs=0.02)
        assert [one["gain"] > 0 for one in drawn["additions"]] == [True] * 5
        found = await fetched(run, "/ui/map/model?name=openai/gpt-4o-2024-11-20&other=true")
        assert "points of expected accuracy on your last 30 queries" in " ".join(found["notes"])


async def test_what_a_model_adds_is_the_value_of_the_portfolio_with_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as run:
        view = space_view(run.service.in_force)
    queries = list(shipped_router().anchors.q[:200])
    found = own_traffic(view, queries)
    assert found is not None
    assert own_traffic(view, queries[: FEWEST - 1]) is None
    row = view.row("openai/gpt-4o-2024-11-20", other=True)
    assert row is not None
    own = [0, 1, 2]
    value = {
        k: coverage_greedy(found.p_correct[:, k], None, len(k)).accuracy[-1]
        for k in ((0, 1, 2), (0, 1, 2, row), (0, 1))
    }
    assert found.gain(row) == pytest.approx(value[0, 1, 2, row] - value[0, 1, 2])
    assert found.gain(2) == pytest.approx(value[0, 1, 2] - value[0, 1], abs=1e-6)
    assert found.chosen_from == tuple(own)
    additions = found.best_additions(range(view.own, len(view.names)), 3)
    gains = [gain for _, gain in additions]
    assert gains == sorted(gains, reverse=True)
    assert all(gain == pytest.approx(found.gain(row)) for row, gain in additions)
    assert gains[0] == pytest.approx(max(found.gain(row) or 0 for row in range(view.own, len(view.names))))


async def test_a_model_without_an_embedding_has_no_place(tmp_path: Path) -> None:
    async with serving(tmp_path, [entry("llama-8b", "") | {"embedding": "none"}]) as run:
        text = (await run.http.get("/ui/map")).text
        assert "No model of the portfolio has an embedding yet" in text
        assert all(one["other"] for one in (await fetched(run, "/ui/map/models"))["models"])


async def test_only_the_operator_sees_models_and_map(tmp_path: Path) -> None:
    paths = ("/ui/map", "/ui/map/models", "/ui/map/model?name=llama-8b", "/ui/models", "/ui/models/llama-8b")
    async with console(tmp_path) as run:
        for path in paths:
            assert (await run.http.get(path)).status_code == 303
        await log_in(run, CI)
        assert [(await run.http.get(path)).status_code for path in paths] == [403] * len(paths)
        await log_in(run, ADMIN)
        assert [(await run.http.get(path)).status_code for path in paths] == [200] * len(paths)
