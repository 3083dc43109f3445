from pathlib import Path
from typing import Any

import pytest

from tests.gateway.running import EMBEDDINGS, entry, gateway

pytestmark = pytest.mark.anyio
REFUSED = "http://127.0.0.1:9/v1"
ASK: list[Any] = [
    {"role": "user", "content": "Janet has 16 eggs and eats three. How many eggs are left for the market?"}
]


def portfolio(**changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry(name, REFUSED, **changes.get(name.replace("-", "_"), {})) for name in EMBEDDINGS]


async def explained(run: Any, model: str, **more: Any) -> dict[str, Any]:
    response = await run.http.post("/v1/route", json={"model": model, "messages": ASK} | more)
    assert response.status_code == 200, response.text
    result: dict[str, Any] = response.json()
    return result


async def test_best_takes_the_highest_p_and_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path, portfolio()) as run:
        decision = await explained(run, "auto:best")
        candidates = decision["candidates"]
        assert decision["chosen"] == decision["serving"] == candidates[0]["model"]
        assert candidates[0]["p_correct"] == max(c["p_correct"] for c in candidates)
        assert candidates[0]["why"].startswith("highest p_correct")
        assert ("best single model" in candidates[0]["why"]) == decision["guarded"]
        assert all(0 < c["standard_error"] < 0.5 for c in candidates)
        assert {c["model"] for c in candidates} == set(EMBEDDINGS)
        assert decision["policy"] == "best"
        assert decision["query"] == ASK[0]["content"]


async def test_a_cost_weight_trades_p_for_price(tmp_path: Path) -> None:
    dear = {"price": {"input": 900.0, "output": 900.0}}
    cheap = {"price": {"input": 0.0, "output": 0.0}}
    async with gateway(tmp_path, portfolio(llama_70b=dear, llama_8b=dear, mistral_7b=cheap)) as run:
        decision = await explained(run, "auto:balanced")
        assert decision["chosen"] == "mistral-7b"
        for c in decision["candidates"]:
            assert c["utility"] == pytest.approx(c["p_correct"] - 10 * c["price_usd"], abs=1e-6)
        assert (await explained(run, "auto:best"))["chosen"] != "mistral-7b"


async def test_a_cautious_policy_goes_by_the_lower_bound(tmp_path: Path) -> None:
    policies = {"careful": {"cost_weight": 0, "caution": 1.5}, "sure": {"min_p_correct": 1.0, "caution": 2}}
    async with gateway(tmp_path, portfolio(), policies=policies, default_policy="careful") as run:
        decision = await explained(run, "auto")
        for c in decision["candidates"]:
            assert c["utility"] == pytest.approx(c["p_correct"] - 1.5 * c["standard_error"], abs=1e-6)
        assert decision["chosen"] == max(decision["candidates"], key=lambda c: c["utility"])["model"]
        assert decision["candidates"][0]["why"].startswith("highest p_correct - 1.5 standard errors")
        sure = await explained(run, "auto:sure")
        assert "p_correct - 2 standard errors below 1.0" in {c["why"] for c in sure["candidates"]}


async def test_cheap_takes_the_cheapest_that_is_good_enough(tmp_path: Path) -> None:
    prices = {"llama_8b": 2.0, "llama_70b": 3.0, "mistral_7b": 1.0}
    models = portfolio(**{name: {"price": {"input": p, "output": p}} for name, p in prices.items()})
    policies = {"low": {"min_p_correct": 0.0}, "high": {"min_p_correct": 1.0}}
    async with gateway(tmp_path, models, policies=policies, default_policy="low") as run:
        easy = await explained(run, "auto")
        assert easy["chosen"] == "mistral-7b"
        assert {c["why"] for c in easy["candidates"] if c["model"] != "mistral-7b"} == {"dearer"}
        impossible = await explained(run, "auto:high")  # nobody reaches it: the best one then
        assert impossible["chosen"] == max(impossible["candidates"], key=lambda c: c["p_correct"])["model"]
        assert "p_correct below 1.0" in {c["why"] for c in impossible["candidates"]}


async def test_equal_utilities_go_to_the_cheaper(tmp_path: Path) -> None:
    twin = {"embedding": EMBEDDINGS["llama-8b"]}
    models = [
        entry("dear", REFUSED, **twin, price={"input": 5, "output": 5}),
        entry("cheap", REFUSED, **twin, price={"input": 1, "output": 1}),
    ]
    async with gateway(tmp_path, models) as run:
        assert (await explained(run, "auto:best"))["chosen"] == "cheap"


@pytest.mark.parametrize(
    ("needs", "only", "lack"),
    [
        ({"tools": [{"type": "function"}]}, {"capabilities": ["tools"]}, "cannot: tools"),
        ({"response_format": {"type": "json_schema"}}, {"capabilities": ["json_schema"]}, "cannot: json_schema"),
        ({"messages": [{"role": "user", "content": "x" * 60_000}]}, {"context_window": 32_768}, "context window 8192"),
        ({"max_tokens": 9_000}, {"context_window": 32_768}, "context window 8192"),
    ],
)
async def test_only_who_can_serve_the_request_is_chosen(tmp_path: Path, needs: Any, only: Any, lack: str) -> None:
    async with gateway(tmp_path, portfolio(mistral_7b=only)) as run:
        decision = await explained(run, "auto:best", **needs)
        assert decision["chosen"] == "mistral-7b"
        others = [c for c in decision["candidates"] if c["model"] != "mistral-7b"]
        assert all(lack in c["why"] and not c["eligible"] for c in others)


async def test_a_model_without_an_embedding_is_only_served_when_named(tmp_path: Path) -> None:
    async with gateway(tmp_path, [entry("mystery", REFUSED), entry("llama-8b", REFUSED)]) as run:
        decision = await explained(run, "auto:best")
        assert decision["chosen"] == "llama-8b"
        (mystery,) = [c for c in decision["candidates"] if c["model"] == "mystery"]
        assert (mystery["p_correct"], mystery["utility"]) == (None, None)
        assert "only served when named" in mystery["why"]
        assert (await explained(run, "mystery"))["chosen"] == "mystery"
    async with gateway(tmp_path, [entry("mystery", REFUSED)]) as run:
        response = await run.http.post("/v1/route", json={"model": "auto", "messages": ASK})
        assert response.json()["error"]["code"] == "no_eligible_model"


async def test_a_missing_key_leaves_a_model_out(tmp_path: Path) -> None:
    models = portfolio()
    models[0]["deployments"][0]["api_key"] = "os.environ/LOCUS_TEST_UNSET"
    async with gateway(tmp_path, models) as run:
        decision = await explained(run, "auto:best")
        assert decision["chosen"] != "llama-8b"
        (left_out,) = [c for c in decision["candidates"] if c["model"] == "llama-8b"]
        assert not left_out["available"]
        assert "LOCUS_TEST_UNSET is not set" in left_out["why"]


async def test_a_cooling_model_is_stood_in_for_by_the_nearest(tmp_path: Path) -> None:
    async with gateway(tmp_path, portfolio(), gateway={"breaker_failures": 1, "cool_down": 60}) as run:
        chosen = (await explained(run, "auto:best"))["chosen"]
        for live in run.service.in_force.fleet.models[chosen].deployments:
            live.breaker.failure(run.service.clock(), "connection")
        decision = await explained(run, "auto:best")
        space = run.service.in_force.router.space
        names = {embedding: name for name, embedding in EMBEDDINGS.items()}
        nearest = names[space.neighbors(EMBEDDINGS[chosen], among=names)[0].model]
        assert (decision["chosen"], decision["serving"]) == (chosen, nearest)
        assert decision["stand_in"]["for"] == chosen
        assert decision["stand_in"]["distance"] > 0
        (candidate,) = [c for c in decision["candidates"] if c["model"] == nearest]
        assert f"stand-in for {chosen}" in candidate["why"]
