"""The order of the stand-ins of one decision, and what may stand in at all."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from gateway.config.portfolio import Model
from gateway.config.settings import Settings
from gateway.core.vocabulary import StandIns
from gateway.model_versions.stored import Trial
from gateway.request.chat_request import Overrides, parse_chat
from gateway.request.conversation import Conversation, Turn
from gateway.routing.candidate import Candidate
from gateway.routing.permission import Permission, permission
from gateway.routing.route_explanation import explain
from gateway.routing.routing import Routing
from gateway.routing.standing import Standing
from router.model.serving import Router
from router.model.stand_ins import LOSS_WEIGHT
from tests.gateway.live import live_routing
from tests.gateway.running import EMBEDDINGS, entry, shipped_router

pytestmark = pytest.mark.anyio
NOWHERE = "http://127.0.0.1:9/v1"
MODELS = {
    **EMBEDDINGS,
    "gpt-4o": "openai/gpt-4o-2024-08-06",
    "gpt-4o-mini": "openai/gpt-4o-mini-2024-07-18",
    "haiku": "anthropic/claude-3-haiku-20240307",
}
PRICES = {"llama-8b": 0.1, "llama-70b": 0.8, "mistral-7b": 0.15, "gpt-4o": 10.0, "gpt-4o-mini": 0.4, "haiku": 1.0}


def models(**more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        entry(name, NOWHERE, embedding=embedding, price={"input": PRICES[name], "output": PRICES[name]})
        | more.get(name.replace("-", "_"), {})
        for name, embedding in MODELS.items()
    ]


def chat(model: str, **more: Any) -> Any:
    messages = [{"role": "user", "content": "What is 17 * 23, and is it a prime number?"}]
    return parse_chat(orjson.dumps({"model": model, "messages": messages} | more))


async def stand_ins(routes: Routing, model: str) -> tuple[list[Candidate], Any]:
    request = chat(model)
    decision = await routes.decide(request)
    return list(routes.candidates(request, decision))[1:], decision


def names(candidates: list[Candidate]) -> list[str]:
    return [candidate.model.name for candidate in candidates]


async def test_for_a_routed_request_the_policys_next_choice_stands_in(tmp_path: Path) -> None:
    routes = live_routing(tmp_path, *models())
    found, decision = await stand_ins(routes, "auto:best")
    p = {name: float(value) for name, value in zip(routes.names, decision.scores.p_correct, strict=True)}
    assert [decision.model, *names(found)] == sorted(MODELS, key=lambda name: -p[name])
    assert {candidate.rule for candidate in found} == {"best"}
    assert found[0].predicted_loss == pytest.approx(p[decision.model] - p[found[0].model.name], abs=1e-6)
    for policy in (
        "auto:cheap",
        "auto:balanced",
    ):  # each is what the policy would choose if the ones before were not there
        found, decision = await stand_ins(routes, policy)
        before = [decision.model]
        for candidate in found:
            rest = chat(policy)
            object.__setattr__(rest, "overrides", Overrides(exclude=frozenset(before)))
            assert (await routes.decide(rest)).model == candidate.model.name
            before.append(candidate.model.name)


async def test_for_a_named_model_the_nearest_for_this_query_stands_in(tmp_path: Path) -> None:
    routes = live_routing(tmp_path, *models())
    space = shipped_router().space
    for named, embedding in MODELS.items():
        found, _ = await stand_ins(routes, named)
        scores = await routes.scores(chat(named))
        p = dict(zip(routes.names, scores.p_correct.tolist(), strict=True))
        apart = {
            name: space.distance(embedding, other) + LOSS_WEIGHT * max(0.0, p[named] - p[name])
            for name, other in MODELS.items()
            if name != named
        }
        assert names(found) == sorted(apart, key=lambda name: apart[name])
        assert {candidate.rule for candidate in found} == {"best"}


@pytest.mark.parametrize("model", ["llama-8b", "auto:best"])
async def test_nearest_is_the_order_of_the_distances(tmp_path: Path, model: str) -> None:
    routes = live_routing(tmp_path, *models(), gateway={"stand_ins": "nearest"})
    found, decision = await stand_ins(routes, model)
    named = {embedding: name for name, embedding in MODELS.items()}
    near = shipped_router().space.neighbors(MODELS[decision.model], among=named)
    assert names(found) == [named[neighbor.model] for neighbor in near]
    assert {candidate.rule for candidate in found} == {"nearest"}


async def test_a_named_request_that_a_slow_encoder_does_not_know_goes_by_the_distance(tmp_path: Path) -> None:
    router = Router.load()
    router.encoder.quick = False
    routes = live_routing(tmp_path, *models(), router=router)
    found, _ = await stand_ins(routes, "llama-8b")
    assert {candidate.rule for candidate in found} == {"nearest"}
    assert [one.distance for one in found] == sorted(one.distance or 0.0 for one in found)


async def test_models_of_unknown_p_come_after_the_policys_choices_in_the_order_of_the_file(tmp_path: Path) -> None:
    routes = live_routing(tmp_path, entry("strange", NOWHERE), *models(), entry("odd", NOWHERE))
    found, _ = await stand_ins(routes, "auto:best")
    assert names(found)[-2:] == ["strange", "odd"]
    assert [candidate.rule for candidate in found] == ["best"] * 5 + ["nearest"] * 2


async def test_fallbacks_come_in_their_own_order_and_alone(tmp_path: Path) -> None:
    own = {"fallbacks": ["haiku", "mistral-7b", "small"]}
    small = entry("small", NOWHERE, context_window=10)
    routes = live_routing(tmp_path, small, *models(llama_8b=own, gpt_4o=own | {"stand_ins": "nearest"}))
    found, _ = await stand_ins(routes, "llama-8b")
    assert names(found) == ["haiku", "mistral-7b"]  # the request does not fit the third one
    assert {candidate.rule for candidate in found} == {"fallbacks"}
    found, _ = await stand_ins(routes, "gpt-4o")
    assert names(found)[:2] == ["haiku", "mistral-7b"]
    assert [one.rule for one in found] == ["fallbacks"] * 2 + ["nearest"] * 3
    assert len(set(names(found))) == 5


@pytest.mark.parametrize("mode", ["best", "nearest"])
async def test_models_on_trial_stand_in_last_and_quarantined_ones_never(tmp_path: Path, mode: str) -> None:
    routes = live_routing(tmp_path, *models(), gateway={"stand_ins": mode})
    before, _ = await stand_ins(routes, "auto:best")
    tried, bad = names(before)[:2]
    standings = {name: Standing() for name in MODELS}
    standings |= {tried: Standing("limited", trial=Trial(0.5)), bad: Standing("quarantined")}
    own = {"fallbacks": [bad, tried]}
    listed = models(llama_8b=own) if tried != "llama-8b" != bad else models(mistral_7b=own)
    routes = live_routing(tmp_path, *listed, gateway={"stand_ins": mode}, standings=standings)
    after, decision = await stand_ins(routes, "auto:best")
    assert set(names(after)) == set(MODELS) - {bad, decision.model}
    assert names(after)[-1] == tried
    after, _ = await stand_ins(routes, "llama-8b" if tried != "llama-8b" != bad else "mistral-7b")
    assert names(after) == [tried]


async def test_a_conversation_that_keeps_its_model_pays_the_switch_to_each_stand_in(tmp_path: Path) -> None:
    """So the price of the switch changes nothing between stand-ins, even under a limit of P(correct)."""
    policies = {"policies": {"enough": {"min_p_correct": 0.3}, "balanced": {"cost_weight": 10}}}
    routes = live_routing(tmp_path, *models(), gateway={"switch_price": 1.0}, **policies)
    request = chat("auto:enough")
    alone = await routes.decide(request)
    turn = Turn("gpt-4o", 10, 0.0, b"")
    conversation = Conversation(last_turn=turn, sticky_turn=turn)
    kept = await routes.decide(request, conversation)
    assert (kept.model, kept.kept) == ("gpt-4o", True)
    order = names(list(routes.candidates(request, kept))[1:])
    fresh = [alone.model, *names(list(routes.candidates(request, alone))[1:])]
    assert order == [name for name in fresh if name != "gpt-4o"]


async def test_a_policys_limit_counts_for_fallbacks_too(tmp_path: Path) -> None:
    held = {"policies": {"held": {"cost_weight": 0, "max_predicted_loss": 0.0}}, "default_policy": "held"}
    routes = live_routing(tmp_path, *models(gpt_4o={"fallbacks": ["mistral-7b"]}), **held)
    (candidate,), _ = await stand_ins(routes, "gpt-4o")
    assert candidate.barred


async def test_nothing_is_computed_for_a_request_that_needs_no_stand_in(tmp_path: Path) -> None:
    routes = live_routing(tmp_path, *models())
    request = chat("auto:best")
    decision = await routes.decide(request)
    order = routes.candidates(request, decision)
    assert next(order).model.name == decision.model
    assert decision.scores is not None
    decision.scores.p_correct[:] = np.nan  # what is read after this must count
    assert {candidate.rule for candidate in order} == {"nearest"}


@pytest.mark.parametrize("model", ["auto:best", "auto:cheap", "llama-8b"])
async def test_route_shows_the_stand_ins_in_the_order_in_which_they_would_be_asked(tmp_path: Path, model: str) -> None:
    routes = live_routing(tmp_path, *models(llama_8b={"fallbacks": ["haiku"], "stand_ins": "best"}))
    found, _ = await stand_ins(routes, model)
    shown = await explain(routes, chat(model), Conversation(), await routes.decide(chat(model)))
    assert [one["model"] for one in shown["stand_ins"]["in_order"]] == names(found)
    first, second = shown["stand_ins"]["in_order"][:2]
    if model == "llama-8b":
        assert first["why"] == "listed in the `fallbacks` of llama-8b"
        assert second["why"].startswith("nearest for this query: distance 0.")
        assert shown["stand_ins"]["allowed"].startswith("its fallbacks, then any model: the portfolio says `fallbacks:")
    else:
        assert first["why"].startswith(
            f"the policy {model.removeprefix('auto:')} would choose it next: its P(correct) is 0."
        )
        assert shown["stand_ins"]["allowed"] == "any model: the portfolio says `stand_ins: best`"
    assert all(one["available"] and one["allowed"] for one in shown["stand_ins"]["in_order"])


async def test_the_order_is_right_while_requests_overlap(tmp_path: Path) -> None:
    routes = live_routing(tmp_path, *models())
    alone, _ = await stand_ins(routes, "auto:best")
    together = await asyncio.gather(*(stand_ins(routes, "auto:best") for _ in range(5)))
    assert all(names(found) == names(alone) for found, _ in together)


def spec(stand_ins: StandIns | None = None, fallbacks: tuple[str, ...] = ()) -> Model:
    return Model("m", (), None, None, 8_192, stand_ins=stand_ins, fallbacks=fallbacks)


@pytest.mark.parametrize(
    ("settings", "model", "request_says", "named", "expected"),
    [
        ({}, spec(), None, True, Permission("best", "the portfolio says `stand_ins: best`")),
        ({"stand_ins": "never"}, spec(), None, False, Permission("never", "the portfolio says `stand_ins: never`")),
        (
            {"stand_ins": "never"},
            spec("nearest"),
            None,
            False,
            Permission("nearest", "the portfolio says `stand_ins: nearest` for m"),
        ),
        (
            {"failover_for_named": "same_model"},
            spec("best"),
            None,
            False,
            Permission("best", "the portfolio says `stand_ins: best` for m"),
        ),
        (
            {"failover_for_named": "same_model"},
            spec("best", ("a",)),
            None,
            True,
            Permission("same_model", "the portfolio says `failover_for_named: same_model`"),
        ),
        (
            {"stand_ins": "never"},
            spec(None, ("a", "b")),
            None,
            True,
            Permission("nearest", "the portfolio says `fallbacks: [a, b]` for m", ("a", "b"), True),
        ),
        (
            {"failover_for_named": "never", "stand_ins": "never"},
            spec("same_model"),
            "nearest",
            True,
            Permission("nearest", "the request says `stand_ins: nearest`"),
        ),
        ({}, spec(None, ("a",)), "never", True, Permission("never", "the request says `stand_ins: never`")),
    ],
)
def test_who_says_what_may_stand_in(
    settings: dict[str, Any], model: Model, request_says: StandIns | None, named: bool, expected: Permission
) -> None:
    found = permission(Settings(**settings), model, Overrides(stand_ins=request_says), named=named)
    assert found == expected
    alone = expected.mode in ("never", "same_model") or expected.only_fallbacks
    assert found.refusal() == (f"No other model may answer: {expected.said_by}." if alone else None)
    assert found.other_models == (bool(expected.fallbacks) or not alone)
