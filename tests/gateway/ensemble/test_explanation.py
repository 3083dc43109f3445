"""What `POST /v1/route` says of ensembles."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.ensemble import Ensemble
from gateway.ensemble.explanation import explain_ensemble
from tests.gateway.ensemble.decisions import ASK, decision, request
from tests.gateway.running import Gateway, entry, gateway

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:9/v1"
# The shipped space predicts about the same P(correct) for these, below p_below for a hard question.
PEERS = {
    "mixtral": "mistralai/Mixtral-8x7B-Instruct-v0.1",
    "phi": "microsoft/Phi-3.5-mini-instruct",
    "qwen": "Qwen/Qwen2-7B-Instruct",
}


async def route(run: Gateway, status: int = 200, model: str = "auto:panel", **headers: str) -> dict[str, Any]:
    sent = {f"x-locus-{name}": value for name, value in headers.items()}
    response = await run.http.post("/v1/route", json={"model": model, "messages": ASK}, headers=sent)
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_route_says_whether_several_models_would_be_asked(tmp_path: Path) -> None:
    models = [entry(name, URL, embedding=embedding) for name, embedding in PEERS.items()]
    policies = {"panel": {"cost_weight": 0, "ensemble": {"when": {"p_below": 1.0}}}, "best": {"cost_weight": 0}}
    async with gateway(tmp_path, models, policies=policies, default_policy="best") as run:
        found = (await route(run))["ensemble"]
        assert found["asked"] is True
        assert found["why"].startswith("3 models are about equally likely to be right")
        p_correct = {one["model"]: one["p_correct"] for one in (await route(run))["candidates"]}
        assert [one["model"] for one in found["members"]] == sorted(p_correct, key=lambda name: -p_correct[name])
        assert 2 <= found["expected"]["calls"] <= 3
        best = max(p_correct.values())
        assert found["expected"]["p_correct"] == pytest.approx(best + found["expected"]["gain"])

        alone = (await route(run, ensemble="2"))["ensemble"]
        assert (alone["asked"], alone["members"], alone["expected"]) == (False, [], None)
        assert "would outweigh" in alone["why"]
        assert (await route(run, ensemble="off"))["ensemble"] is None
        assert (await route(run, model="auto"))["ensemble"] is None
        assert (await route(run, model="auto", ensemble="on"))["ensemble"]["max_calls"] == 6
        assert (await route(run, model="phi"))["ensemble"] is None
        refused = await route(run, 400, "phi", ensemble="on")
        assert refused["error"]["param"] == "x-locus-ensemble"


async def test_the_expected_cost_is_beside_one_call_of_the_chosen_model() -> None:
    made = decision([0.7, 0.69, 0.68], usd=[0.03, 0.02, 0.01])
    found = (await explain_ensemble(Ensemble(), request(), made))["expected"]
    assert 0.05 < found["usd"] < 0.06
    assert found["more_usd"] == pytest.approx(found["usd"] - 0.03)
    assert 0 < found["gain"] == pytest.approx(found["p_correct"] - 0.7)

    unknown = decision([0.7, 0.69, 0.68], usd=[0.03, None, 0.01])
    found = (await explain_ensemble(Ensemble(), request(), unknown))["expected"]
    assert (found["usd"], found["more_usd"]) == (None, None)


async def test_what_a_fused_answer_gains_is_not_known() -> None:
    made = decision([0.7, 0.69, 0.68, 0.5], usd=[0.03, 0.02, 0.01, 0.04])
    found = (await explain_ensemble(Ensemble(aggregate="fuse", judge="d"), request(), made))["expected"]
    assert (found["calls"], found["p_correct"], found["gain"]) == (4.0, None, None)
    assert (found["usd"], found["more_usd"]) == pytest.approx((0.1, 0.07))
    dear = decision([0.7, 0.69, 0.68, 0.5], usd=[0.03, 0.02, 0.01, None])
    assert (await explain_ensemble(Ensemble(aggregate="fuse", judge="d"), request(), dear))["expected"]["usd"] is None


async def test_many_members_are_explained_in_a_thread() -> None:
    found = await explain_ensemble(Ensemble(size=6, max_calls=12), request(), decision([0.6] * 6))
    assert 2 < found["expected"]["calls"] < 6
