from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.breaker import TAKEN_OUT_S
from gateway.deployments.live import LiveDeployments
from gateway.request.chat_request import parse_chat
from gateway.request.conversation import Conversation
from gateway.routing.route_explanation import explain
from gateway.routing.routing import Routing
from router.model.serving import Router
from tests.gateway.running import EMBEDDINGS, entry, gateway, write_portfolio

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


async def test_best_takes_the_highest_p_and_explains_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, portfolio()) as run:
        decision = await explained(run, "auto:best")
        candidates = decision["candidates"]
        assert decision["chosen"] == decision["serving"] == candidates[0]["model"]
        assert candidates[0]["p_correct"] == max(c["p_correct"] for c in candidates)
        assert candidates[0]["why"].startswith("highest P(correct)")
        assert candidates[0]["why"] == "; ".join(decision["why"])
        assert (decision["rule"]["name"], decision["rule"]["value"], decision["rule"]["best"]) == (
            "cost_weight",
            0,
            decision["chosen"],
        )
        assert ("unlike the evaluated ones" in candidates[0]["why"]) == (decision["familiarity"] < 0.5)
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
        assert "from each P(correct), 1.5 times its standard error is taken off" in decision["why"]
        sure = await explained(run, "auto:sure")
        assert sure["why"][0].startswith("no model reaches the minimum P(correct) of 1.00")


async def test_cheap_takes_the_cheapest_that_is_good_enough(tmp_path: Path) -> None:
    prices = {"llama_8b": 2.0, "llama_70b": 3.0, "mistral_7b": 1.0}
    models = portfolio(**{name: {"price": {"input": p, "output": p}} for name, p in prices.items()})
    policies = {"low": {"min_p_correct": 0.0}, "high": {"min_p_correct": 1.0}}
    async with gateway(tmp_path, models, policies=policies, default_policy="low") as run:
        easy = await explained(run, "auto")
        assert easy["chosen"] == "mistral-7b"
        assert all("but it costs" in c["why"] for c in easy["candidates"] if c["model"] != "mistral-7b")
        assert (easy["rule"]["min_p_correct"], easy["rule"]["min_p_correct_reached"]) == (0.0, True)


async def test_a_minimum_that_no_model_reaches_gives_the_cheapest_within_one_standard_error_of_the_best(
    tmp_path: Path,
) -> None:
    prices = {"llama_8b": 2.0, "llama_70b": 3.0, "mistral_7b": 1.0}
    models = portfolio(**{name: {"price": {"input": p, "output": p}} for name, p in prices.items()})
    policies = {"high": {"min_p_correct": 1.0}}
    async with gateway(tmp_path, models, policies=policies, default_policy="high") as run:
        decision = await explained(run, "auto")
        best = max(decision["candidates"], key=lambda c: c["p_correct"])
        lowest = best["p_correct"] - best["standard_error"]
        near = [c for c in decision["candidates"] if c["p_correct"] >= lowest]
        assert decision["chosen"] == min(near, key=lambda c: c["price_usd"])["model"]
        assert decision["rule"]["min_p_correct_reached"] is False
        assert decision["rule"]["lowest_p_correct"] == pytest.approx(lowest, abs=1e-6)
        assert decision["rule"]["best"] == best["model"]
        assert decision["why"][0].startswith("no model reaches the minimum P(correct) of 1.00")


async def test_cheap_is_the_cheapest_within_the_largest_loss_of_the_best(tmp_path: Path) -> None:
    prices = {"llama_8b": 2.0, "llama_70b": 3.0, "mistral_7b": 1.0}
    models = portfolio(**{name: {"price": {"input": p, "output": p}} for name, p in prices.items()})
    policies = {"any": {"max_loss": 1.0}, "none": {"max_loss": 0.0}}
    async with gateway(tmp_path, models, policies=policies, default_policy="any") as run:
        assert (await explained(run, "auto"))["chosen"] == "mistral-7b"
        decision = await explained(run, "auto:none")
        best = max(decision["candidates"], key=lambda c: c["p_correct"])
        assert decision["chosen"] == decision["rule"]["best"] == best["model"]
        assert decision["why"][0].startswith("cheapest model within 0 of the best")


async def test_quality_goes_from_cheap_to_best(tmp_path: Path) -> None:
    prices = {"llama_8b": 2.0, "llama_70b": 3.0, "mistral_7b": 1.0}
    models = portfolio(**{name: {"price": {"input": p, "output": p}} for name, p in prices.items()})
    policies = {f"q{quality}": {"quality": quality} for quality in range(11)}
    async with gateway(tmp_path, models, policies=policies, default_policy="q5") as run:
        decisions = [await explained(run, f"auto:q{quality}") for quality in range(11)]
        weights = [decision["rule"]["cost_weight"] for decision in decisions]
        assert weights == sorted(weights, reverse=True)
        assert weights[10] == 0
        chosen = [next(c for c in d["candidates"] if c["model"] == d["chosen"]) for d in decisions]
        for key in ("p_correct", "price_usd"):
            assert [c[key] for c in chosen] == sorted(c[key] for c in chosen)
        assert decisions[10]["chosen"] == (await explained(run, "auto:q10"))["rule"]["best"]
        for c in decisions[5]["candidates"]:
            assert c["utility"] == pytest.approx(c["p_correct"] - weights[5] * c["price_usd"], abs=1e-6)


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
        (
            {"messages": [{"role": "user", "content": "word " * 12_000}]},
            {"context_window": 32_768},
            "context window 8192",
        ),
        (
            {"messages": [{"role": "user", "content": "word " * 7_800}], "max_tokens": 2_000},
            {"context_window": 32_768},
            "context window 8192",
        ),
    ],
)
async def test_only_a_capable_model_is_chosen(tmp_path: Path, needs: Any, only: Any, lack: str) -> None:
    async with gateway(tmp_path, portfolio(mistral_7b=only)) as run:
        decision = await explained(run, "auto:best", **needs)
        assert decision["chosen"] == "mistral-7b"
        others = [c for c in decision["candidates"] if c["model"] != "mistral-7b"]
        assert all(lack in c["why"] and not c["eligible"] for c in others)


@pytest.mark.parametrize("model", ["auto", "llama-8b"])
async def test_an_error_names_the_missing_key_if_no_deployment_has_one(tmp_path: Path, model: str) -> None:
    keyless = entry("llama-8b", REFUSED)
    keyless["deployments"][0]["api_key"] = "os.environ/LOCUS_TEST_UNSET"
    async with gateway(tmp_path, [keyless]) as run:
        refused = await run.http.post("/v1/chat/completions", json={"model": model, "messages": ASK})
    assert (refused.status_code, refused.headers["x-should-retry"]) == (503, "false")
    assert refused.json()["error"]["code"] == "upstreams_failed"
    assert "llama-8b/0: LOCUS_TEST_UNSET is not set" in refused.json()["error"]["message"]


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


async def test_a_model_without_a_key_is_not_chosen(tmp_path: Path) -> None:
    models = portfolio()
    models[0]["deployments"][0]["api_key"] = "os.environ/LOCUS_TEST_UNSET"
    async with gateway(tmp_path, models) as run:
        decision = await explained(run, "auto:best")
        assert decision["chosen"] != "llama-8b"
        (left_out,) = [c for c in decision["candidates"] if c["model"] == "llama-8b"]
        assert not left_out["available"]
        assert "LOCUS_TEST_UNSET is not set" in left_out["why"]


async def test_the_nearest_model_stands_in_for_one_that_cools_down(tmp_path: Path) -> None:
    async with gateway(tmp_path, portfolio(), gateway={"breaker_failures": 1, "cool_down": 60}) as run:
        chosen = (await explained(run, "auto:best"))["chosen"]
        for live in run.service.in_force.deployments.models[chosen].deployments:
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


def routing(
    folder: Path, models: list[dict[str, Any]], router: Router | None = None, **more: Any
) -> tuple[Routing, LiveDeployments]:
    portfolio = load_portfolio(write_portfolio(folder, models, **more), {})
    live = LiveDeployments(portfolio)
    return Routing(portfolio, router or Router.load(), live), live


def chat(model: str, *turns: str) -> Any:
    """Turns of user and assistant, the last one of the user."""
    roles = ["user" if (len(turns) - i) % 2 else "assistant" for i in range(len(turns))]
    messages = [{"role": role, "content": turn} for role, turn in zip(roles, turns, strict=True)]
    return parse_chat(orjson.dumps({"model": model, "messages": messages}))


async def test_the_conversation_before_the_last_user_turn_does_not_change_the_choice(tmp_path: Path) -> None:
    models = portfolio(**{name.replace("-", "_"): {"context_window": 10**9} for name in EMBEDDINGS})
    routes, _ = routing(tmp_path, models)
    question = ASK[0]["content"]
    alone, after = [
        (await routes.decide(chat("auto:best", *turns, question))).scores for turns in ([], ["more talk"] * 1_000)
    ]
    assert alone is not None
    assert after is not None
    assert alone.p_correct.tolist() == after.p_correct.tolist()


async def test_text_beyond_the_limit_does_not_change_the_choice(tmp_path: Path) -> None:
    models = portfolio(**{name.replace("-", "_"): {"context_window": 10**9} for name in EMBEDDINGS})
    routes, _ = routing(tmp_path, models)
    head = "How many eggs are left? " * 1_000  # the query is its first 8,000 characters
    one, other = [(await routes.decide(chat("auto:best", head + tail))).scores for tail in ("", "1 2 3 $4" * 100_000)]
    assert one is not None
    assert other is not None
    assert one.p_correct.tolist() == other.p_correct.tolist()


async def test_stand_ins_are_sorted_by_distance_and_unknown_ones_are_last(tmp_path: Path) -> None:
    models = [
        entry("mystery", REFUSED),
        *portfolio(),
        entry("twin", REFUSED, embedding=EMBEDDINGS["mistral-7b"]),
        entry("riddle", REFUSED),
    ]
    routes, live = routing(tmp_path, models)
    request = chat("mistral-7b", "Why?")
    candidates = list(routes.candidates(request, await routes.decide(request)))
    space = Router.load().space
    named = {embedding: name for name, embedding in EMBEDDINGS.items()}
    near = space.neighbors(EMBEDDINGS["mistral-7b"], among=named)
    expected = ["mistral-7b", "twin", *(named[n.model] for n in near), "mystery", "riddle"]
    assert [candidate.model.name for candidate in candidates] == expected
    distances = [candidate.distance for candidate in candidates]
    assert distances[:2] + distances[-2:] == [None, 0.0, None, None]
    assert distances[2:4] == pytest.approx([n.distance for n in near], abs=1e-5)
    unknown = chat("mystery", "Why?")
    order = [candidate.model.name for candidate in routes.candidates(unknown, await routes.decide(unknown))]
    assert order == ["mystery", *(name for name in live.models if name != "mystery")]


async def test_one_deployment_that_can_be_called_is_enough(tmp_path: Path) -> None:
    models = [entry(name, REFUSED, REFUSED.replace("9", "10")) for name in EMBEDDINGS]
    routes, live = routing(tmp_path, models)
    request = chat("auto:best", "How many eggs are left for the market?")
    chosen = (await routes.decide(request)).model
    first, second = live.models[chosen].deployments
    now = live.clock()
    first.breaker.take_out(now, "key refused")
    assert (await routes.decide(request)).model == chosen
    second.breaker.take_out(now, "key refused")
    assert (await routes.decide(request)).model != chosen
    second.breaker.take_out(now - 2 * TAKEN_OUT_S, "key refused")  # no later than before
    assert (await routes.decide(request)).model != chosen


async def test_a_model_is_a_candidate_again_after_its_take_out(tmp_path: Path) -> None:
    routes, live = routing(tmp_path, portfolio())
    request = chat("auto:best", "How many eggs are left for the market?")
    chosen = (await routes.decide(request)).model
    (only,) = live.models[chosen].deployments
    only.breaker.take_out(live.clock() - TAKEN_OUT_S, "key refused")
    assert (await routes.decide(request)).model == chosen


async def test_a_model_is_chosen_even_if_all_are_taken_out(tmp_path: Path) -> None:
    routes, live = routing(tmp_path, portfolio())
    request = chat("auto:best", "How many eggs are left for the market?")
    chosen = (await routes.decide(request)).model
    for model in live.models.values():
        for deployment in model.deployments:
            deployment.breaker.take_out(live.clock(), "key refused")
    assert (await routes.decide(request)).model == chosen


async def test_a_named_model_does_not_wait_for_a_slow_encoder(tmp_path: Path) -> None:
    router = Router.load()
    router.encoder.quick = False
    routes, _ = routing(tmp_path, portfolio(), router)
    pinned, auto = chat("llama-8b", "How many eggs are left?"), chat("auto", "How many eggs are left?")
    decision = await routes.decide(pinned)
    candidates = list(routes.candidates(pinned, decision))
    assert [candidate.model.name for candidate in candidates[1:]] == ["llama-70b", "mistral-7b"]
    assert [candidate.predicted_loss for candidate in candidates[1:]] == [None, None]
    waiting = routes.decide(auto)
    with pytest.raises(StopIteration):
        routes.decide(pinned).send(None)
    assert (await waiting).p_chosen is not None
    assert all(
        candidate.predicted_loss is not None for candidate in list(routes.candidates(pinned, decision))[1:]
    )  # known by now
    another = chat("llama-8b", "Another one?")
    shown = await explain(routes, another, Conversation(), await routes.decide(another))
    assert all(c["p_correct"] is not None for c in shown["candidates"])


async def test_a_limit_on_stand_ins_applies_with_a_slow_encoder(tmp_path: Path) -> None:
    router = Router.load()
    router.encoder.quick = False
    held = {"policies": {"held": {"cost_weight": 0, "max_predicted_loss": 1.0}}, "default_policy": "held"}
    routes, _ = routing(tmp_path, portfolio(), router, **held)
    pinned = chat("llama-8b", "How many eggs are left?")
    candidates = list(routes.candidates(pinned, await routes.decide(pinned)))[1:]
    assert [(candidate.barred, candidate.predicted_loss is None) for candidate in candidates] == [(False, False)] * 2
