"""Everyday prompts under the default policies: trivial ones go to a cheap model, hard ones to a strong one.

The twelve models are current ones at the prices of their first host; the policies are those of the default portfolio. Cheap is the
cheapest third of them, strong the better half by general ability: some cheap models are strong, and none of the weaker half may
get a hard prompt because of its price.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from router.explore.model_prices import CHARS_PER_TOKEN
from router.model.policy import RULES, Policy, choose, cost_weight
from router.model.serving import Router
from tests.gateway.running import entry, gateway
from tests.router.everyday.prompts import everyday_pairs

POLICIES = yaml.safe_load((Path(__file__).parents[3] / "config/portfolio.yaml").read_text("utf-8"))["policies"]
# Name -> USD per million tokens of input and of output.
MODELS = {
    "google/gemma-4-e4b-it": (0.02, 0.10),
    "openai/gpt-oss-20b": (0.03, 0.14),
    "openai/gpt-oss-120b": (0.037, 0.17),
    "deepseek-ai/DeepSeek-V4-Flash": (0.09, 0.18),
    "google/gemma-4-31b-it": (0.20, 0.40),
    "MiniMaxAI/MiniMax-M3": (0.28, 1.10),
    "Qwen/Qwen3.6-27B": (0.32, 3.20),
    "zai-org/GLM-5.1": (1.05, 3.50),
    "anthropic/claude-haiku-4-5-20251001": (1.00, 5.00),
    "moonshotai/Kimi-K3": (2.85, 14.25),
    "anthropic/claude-opus-5": (5.00, 25.00),
    "openai/gpt-5.5-2026-04-23:medium": (5.00, 30.00),
}
NAMES = list(MODELS)
PRICES = np.array(list(MODELS.values()))  # (M, 2)
THIRD = len(MODELS) // 3
SAMPLE = (0, 1, 12, 33, 38)  # pairs that go through a gateway: English ones and others
REFUSED = "http://127.0.0.1:1/v1"

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load()


@pytest.fixture(scope="module")
def strong(router: Router) -> set[str]:
    """The better half by general ability."""
    ability = router.space.embeddings.ability[router.space.rows(NAMES)]
    return {NAMES[i] for i in np.argsort(-ability)[: len(NAMES) // 2]}


@pytest.fixture(scope="module")
def cheap() -> set[str]:
    """The cheapest third, for a short prompt."""
    return {NAMES[i] for i in np.argsort(prices_usd("What?"))[:THIRD]}


def prices_usd(prompt: str) -> NDArray[np.float64]:
    """The expected price of one request at each model, (M,), USD."""
    usd: NDArray[np.float64] = PRICES @ np.array([len(prompt) / CHARS_PER_TOKEN, EXPECTED_OUTPUT_TOKENS]) / 1e6
    return usd


def policy(name: str) -> Policy:
    ((rule, value),) = POLICIES[name].items()
    return Policy(name, RULES[RULES.index(rule)], float(value))


def chosen(router: Router, prompts: list[str], by: Policy) -> list[str]:
    predicted = router.predict(prompts, NAMES)
    eligible = np.ones(len(NAMES), np.bool_)
    found = []
    for prompt, p, error in zip(prompts, predicted.p_correct, predicted.standard_error, strict=True):
        usd = prices_usd(prompt)
        choice = choose(p, error, usd, eligible, by, cost_weight(by, usd))
        assert choice is not None
        found.append(NAMES[choice.model])
    return found


@pytest.mark.parametrize("name", ["cheap", "balanced"])
@pytest.mark.parametrize("english", [True, False])
def test_trivial_prompts_go_to_a_cheap_model(router: Router, cheap: set[str], name: str, english: bool) -> None:
    prompts = [pair.easy for pair in everyday_pairs() if (pair.language == "en") == english]
    assert np.mean([model in cheap for model in chosen(router, prompts, policy(name))]) >= 0.9


@pytest.mark.parametrize("name", ["cheap", "balanced", "best"])
@pytest.mark.parametrize("english", [True, False])
def test_hard_prompts_go_to_a_strong_model(router: Router, strong: set[str], name: str, english: bool) -> None:
    prompts = [pair.hard for pair in everyday_pairs() if (pair.language == "en") == english]
    assert np.mean([model in strong for model in chosen(router, prompts, policy(name))]) >= 0.9


@pytest.mark.parametrize("name", ["cheap", "balanced"])
def test_hard_prompts_cost_more_than_trivial_ones(router: Router, name: str) -> None:
    def mean_price(prompts: list[str]) -> float:
        return float(np.mean([PRICES[NAMES.index(model), 1] for model in chosen(router, prompts, policy(name))]))

    pairs = everyday_pairs()
    assert mean_price([pair.hard for pair in pairs]) > 3 * mean_price([pair.easy for pair in pairs])


async def test_a_gateway_decides_in_the_same_way(tmp_path: Path, cheap: set[str], strong: set[str]) -> None:
    models = [
        entry(f"m{i}", REFUSED, embedding=name, price={"input": usd[0], "output": usd[1]})
        for i, (name, usd) in enumerate(MODELS.items())
    ]
    async with gateway(tmp_path, models, policies=POLICIES, default_policy="balanced") as run:

        async def route(model: str, prompt: str) -> Mapping[str, object]:
            body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
            response = await run.http.post("/v1/route", json=body)
            assert response.status_code == 200, response.text
            decision: dict[str, object] = response.json()
            return decision

        pairs = everyday_pairs()
        to_cheap, to_strong = [], []
        for pair in (pairs[i] for i in SAMPLE):
            for model in ("auto:cheap", "auto:balanced", "auto"):
                easy, hard = await route(model, pair.easy), await route(model, pair.hard)
                to_cheap.append(NAMES[int(str(easy["chosen"])[1:])] in cheap)
                to_strong.append(NAMES[int(str(hard["chosen"])[1:])] in strong)
        assert np.mean(to_cheap) >= 0.9
        assert np.mean(to_strong) >= 0.9
