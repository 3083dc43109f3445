from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from gateway.config.portfolio_file import load_portfolio
from gateway.deployments.live import LiveDeployments
from gateway.request.chat_request import Overrides, parse_chat
from gateway.request.requirements import Requirements
from gateway.routing.eligibility import ANSWER_TOKENS, Eligibility, allows
from tests.gateway.running import entry, write_portfolio

pytestmark = pytest.mark.anyio
URL = "http://127.0.0.1:9/v1"
NO_KEY = {"model": "openai/up", "api_base": URL, "api_key": "os.environ/NO_SUCH_KEY"}
TEXT = Requirements(frozenset(), prompt_tokens=100, output_tokens=None)


def eligibility(folder: Path, *models: dict[str, Any]) -> tuple[Eligibility, LiveDeployments]:
    portfolio = load_portfolio(write_portfolio(folder, list(models)), {})
    live = LiveDeployments(portfolio, clock=lambda: 50.0)
    return Eligibility(portfolio.models, tuple(live.models[model.name] for model in portfolio.models), live.clock), live


def small_and_large(folder: Path) -> Eligibility:
    small = entry("small", URL, context_window=1_000)
    return eligibility(folder, small, entry("large", URL, context_window=100_000, capabilities=["tools", "vision"]))[0]


@pytest.mark.parametrize(
    ("overrides", "allowed"),
    [
        (Overrides(), [True, True]),
        (Overrides(allow=frozenset({"large"})), [False, True]),
        (Overrides(exclude=frozenset({"large"})), [True, False]),
        (Overrides(allow=frozenset({"large"}), exclude=frozenset({"large"})), [False, False]),
    ],
)
def test_a_client_allows_and_excludes_models(tmp_path: Path, overrides: Overrides, allowed: list[bool]) -> None:
    models = small_and_large(tmp_path)
    assert models.allowed(overrides).tolist() == allowed
    assert [allows(overrides, name) for name in models.names] == allowed


@pytest.mark.parametrize(
    ("requirements", "capable"),
    [
        (TEXT, [True, True]),
        (Requirements(frozenset({"tools"}), 100, None), [False, True]),
        (Requirements(frozenset({"audio"}), 100, None), [False, False]),
        (Requirements(frozenset(), 1_000, None), [True, True]),
        (Requirements(frozenset(), 1_001, None), [False, True]),
        (Requirements(frozenset(), 875, 125), [True, True]),  # an eighth of a small window is enough for the answer
        (Requirements(frozenset(), 875, 9_999), [True, True]),
        (Requirements(frozenset(), 876, 9_999), [False, True]),
        (Requirements(frozenset(), 100_000 - ANSWER_TOKENS, 9_999), [False, True]),
        (Requirements(frozenset(), 100_001 - ANSWER_TOKENS, 9_999), [False, False]),
    ],
)
def test_capabilities_and_the_context_window(tmp_path: Path, requirements: Requirements, capable: list[bool]) -> None:
    models = small_and_large(tmp_path)
    assert models.capable(requirements).tolist() == capable
    lacks = [models.lacks(i, Overrides(), requirements) for i in range(2)]
    assert [not reasons for reasons in lacks] == capable


def test_an_api_format_is_a_requirement(tmp_path: Path) -> None:
    plain = entry("plain", URL)
    claude = entry("claude") | {"deployments": [{"model": "anthropic/c", "api_base": URL, "api_key": "k"}]}
    models, _ = eligibility(tmp_path, plain, claude)
    assert (models.speaks(0, "messages"), models.speaks(1, "messages")) == (False, True)
    requirements = Requirements(frozenset(), 10, None, api="messages", api_field="container")
    assert models.capable(requirements).tolist() == [False, True]
    assert models.lacks(0, Overrides(), requirements) == ["does not speak the messages API, which `container` needs"]


def test_reasons_name_what_a_model_lacks(tmp_path: Path) -> None:
    models = small_and_large(tmp_path)
    requirements = Requirements(frozenset({"vision", "tools"}), 2_000, None)
    assert models.lacks(0, Overrides(exclude=frozenset({"small"})), requirements) == [
        "cannot: tools",
        "cannot: vision",
        "context window 1000 < 2000 tokens",
        "excluded by the request",
    ]
    message = models.none_capable(Overrides(), Requirements(frozenset({"audio"}), 2_000, None)).message
    assert message.endswith("all models: cannot: audio; small: context window 1000 < 2000 tokens.")


def test_a_prompt_that_is_too_long_for_every_model(tmp_path: Path) -> None:
    models = small_and_large(tmp_path)
    requirements = Requirements(frozenset({"tools"}), 200_000, None)
    error = models.too_long(Overrides(), requirements, models.capable(requirements))
    assert error is not None
    assert "needs 200000 tokens" in error.message
    assert "is 100000 tokens (large)" in error.message
    without = Requirements(frozenset({"audio"}), 200_000, None)  # a shorter prompt could not be served either
    assert models.too_long(Overrides(), without, models.capable(without)) is None
    assert models.too_long(Overrides(), TEXT, models.capable(TEXT)) is None


def test_models_that_need_an_operator_are_not_callable(tmp_path: Path) -> None:
    no_key = entry("no-key") | {"deployments": [NO_KEY]}
    both = entry("both", URL)
    both["deployments"].append(NO_KEY)
    models, live = eligibility(tmp_path, no_key, both, entry("taken-out", URL))
    everything = np.ones(3, np.bool_)
    assert models.callable(everything).tolist() == [False, True, True]
    live.models["taken-out"].deployments[0].breaker.out_until = 51.0
    assert models.callable(everything).tolist() == [False, True, False]
    live.models["taken-out"].deployments[0].breaker.out_until = 50.0
    assert models.callable(everything).tolist() == [False, True, True]
    # The last resort: a deployment that was taken out may be called if there is no other, one without a key never.
    live.models["taken-out"].deployments[0].breaker.out_until = 51.0
    assert models.callable(np.array([True, False, True])).tolist() == [False, False, True]


async def test_tokens_are_counted_only_if_the_estimate_leaves_a_window_in_doubt(tmp_path: Path) -> None:
    models = small_and_large(tmp_path)
    for words, exact in ((10, False), (1_500, True), (90_000, True)):
        body = {"model": "auto", "messages": [{"role": "user", "content": "word " * words}]}
        requirements = await models.measured(parse_chat(orjson.dumps(body)))
        assert requirements.prompt_tokens_exact is exact
    assert 90_000 <= requirements.prompt_tokens < 90_020
