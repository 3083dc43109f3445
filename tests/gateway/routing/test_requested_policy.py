from pathlib import Path
from typing import Any

import pytest

from gateway.config.access import Allowed
from gateway.config.ensemble import Ensemble
from gateway.config.portfolio import Portfolio
from gateway.config.portfolio_file import load_portfolio
from gateway.core.errors import GatewayError, InvalidRequest, ModelNotAllowed, UnknownModel
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.requirements import Requirements
from gateway.routing.requested_policy import check_model_names, requested_ensemble, requested_policy
from router.model.policy import Policy
from tests.gateway.running import entry, write_portfolio

URL = "http://127.0.0.1:9/v1"
POLICIES = {
    "best": {"cost_weight": 0},
    "balanced": {"cost_weight": 10},
    "cheap": {"max_loss": 0.05},
    "enough": {"min_p_correct": 0.6},
}


def portfolio(folder: Path) -> Portfolio:
    vectors = {"name": "vectors", "deployments": [{"model": "openai/v", "api_base": URL, "api_key": "k"}]}
    file = write_portfolio(folder, [entry("llama-8b", URL)], embedding_models=[vectors], policies=POLICIES)
    return load_portfolio(file, {})


def asked(model: str, **overrides: Any) -> ChatRequest:
    requirements = Requirements(frozenset(), 1, None)
    return ChatRequest(b"", {}, model, requirements, overrides=Overrides(**overrides))


@pytest.mark.parametrize(
    ("request_", "policy"),
    [
        (asked("auto:best"), Policy("best")),
        (asked("auto:cheap"), Policy("cheap", "max_loss", 0.05)),
        (asked("auto:cheap", policy="balanced"), Policy("balanced", "cost_weight", 10.0)),
        (asked("auto:cheap", rule=("max_loss", 0.1)), Policy("cheap", "max_loss", 0.1)),
        (asked("auto:best", rule=("quality", 7.5)), Policy("best", "quality", 7.5)),
        (asked("auto:cheap", rule=("cost_weight", 3.0)), Policy("cheap", "cost_weight", 3.0)),
        (asked("auto:best", min_p_correct=0.8), Policy("best", min_p_correct=0.8)),
        (asked("auto:enough", min_p_correct=0.8), Policy("enough", "min_p_correct", 0.8)),
        (asked("auto:enough", rule=("quality", 5.0)), Policy("enough", "quality", 5.0)),
        (
            asked("auto:enough", rule=("quality", 5.0), min_p_correct=0.8),
            Policy("enough", "quality", 5.0, min_p_correct=0.8),
        ),
    ],
)
def test_the_model_name_and_the_overrides_give_the_policy(
    tmp_path: Path, request_: ChatRequest, policy: Policy
) -> None:
    assert requested_policy(portfolio(tmp_path), request_) == policy


def test_auto_is_the_default_policy(tmp_path: Path) -> None:
    given = portfolio(tmp_path)
    assert requested_policy(given, asked("auto")) is given.policies[given.default_policy]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (asked("llama-8"), "`llama-8b`"),
        (asked("auto:chaep"), "There are auto:balanced, auto:best, auto:cheap, auto:enough."),
        (asked("auto", policy="fast"), "There is no policy `fast`"),
    ],
)
def test_unknown_names(tmp_path: Path, request_: ChatRequest, says: str) -> None:
    with pytest.raises(UnknownModel) as caught:
        requested_policy(portfolio(tmp_path), request_)
    assert says in caught.value.message


@pytest.mark.parametrize("name", ["vectors", "locus-encoder"])
def test_an_embedding_model_cannot_chat(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidRequest, match="embedding model"):
        requested_policy(portfolio(tmp_path), asked(name))


def test_allowed_and_excluded_models_must_exist() -> None:
    names = ("a", "b")
    check_model_names(Overrides(allow=frozenset({"a"}), exclude=frozenset({"b"})), names)
    for overrides, param in (
        (Overrides(allow=frozenset({"c"})), "x-locus-allow"),
        (Overrides(exclude=frozenset({"c"})), "x-locus-exclude"),
    ):
        with pytest.raises(UnknownModel) as caught:
            check_model_names(overrides, names)
        assert caught.value.param == param


PANEL = {
    "panel": {"cost_weight": 0, "ensemble": {"size": 4, "max_calls": 5, "tools": True}},
    "best": {"cost_weight": 0},
}


@pytest.mark.parametrize(
    ("policy", "wish", "ensemble"),
    [
        ("panel", None, Ensemble(size=4, max_calls=5, tools=True)),
        ("panel", True, Ensemble(size=4, max_calls=5, tools=True)),
        ("panel", False, None),
        ("panel", 2, Ensemble(size=2, max_calls=5, tools=True)),
        ("best", None, None),
        ("best", False, None),
        ("best", True, Ensemble()),
        ("best", 9, Ensemble(size=9, max_calls=18)),
    ],
)
def test_the_policy_and_the_request_say_how_many_models_may_answer(
    tmp_path: Path, policy: str, wish: bool | int | None, ensemble: Ensemble | None
) -> None:
    file = write_portfolio(tmp_path, [entry("llama-8b", URL)], policies=PANEL, default_policy="best")
    given = load_portfolio(file, {})
    request = asked(f"auto:{policy}", ensemble=wish, rule=("quality", 3.0))
    assert requested_ensemble(given, request, requested_policy(given, request)) == ensemble


def test_an_ensemble_that_a_request_cannot_have(tmp_path: Path) -> None:
    file = write_portfolio(tmp_path, [entry("llama-8b", URL)], policies=PANEL, default_policy="best")
    given, own = load_portfolio(file, {}), Allowed(policies=("panel", "best"))

    def refused(kind: type[GatewayError], policy: Policy | None, **overrides: Any) -> str:
        with pytest.raises(kind) as caught:
            requested_ensemble(given, asked("auto", **overrides), policy)
        assert caught.value.param == "x-locus-ensemble"
        return caught.value.message

    assert "name `auto`" in refused(InvalidRequest, None, ensemble=True)
    assert "6 models need 6 calls; the policy `panel` allows 5" in refused(InvalidRequest, Policy("panel"), ensemble=6)
    for policy, wish in ((Policy("best"), True), (Policy("best"), 3), (Policy("panel"), 3)):
        assert "Its policies: `panel`, `best`." in refused(ModelNotAllowed, policy, ensemble=wish, allowed=own)
    for policy, wish in (
        (Policy("best"), False),
        (Policy("panel"), False),
        (Policy("panel"), True),
        (Policy("panel"), 4),
    ):
        requested_ensemble(given, asked("auto", ensemble=wish, allowed=own), policy)
    assert requested_ensemble(given, asked("llama-8b", ensemble=False), None) is None
