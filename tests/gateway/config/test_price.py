"""What usage costs: by hand for each provider family, and properties of any price."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.api.messages.usage import read_usage
from gateway.api.responses.usage import billed_usage
from gateway.config.litellm_table import model_facts
from gateway.config.price import FREE, MAX_NUSD, Price, Rates
from gateway.core.usage import Usage


def listed(model: str) -> Price:
    facts = model_facts(model)
    assert facts is not None
    assert facts.price is not None
    return facts.price


def usage_of(api: str, reported: dict[str, Any]) -> Usage:
    read = {"chat": Usage.read, "messages": read_usage, "responses": lambda usage: billed_usage({"usage": usage})}[api]
    usage = read(reported)
    assert usage is not None
    return usage


@pytest.mark.parametrize(
    ("model", "api", "reported", "nusd"),
    [
        pytest.param(  # 2.5 and 10 USD per million tokens, 1.25 for cached ones
            "gpt-4o",
            "chat",
            {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306}
            | {"prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0}},
            86 * 2_500 + 1920 * 1_250 + 300 * 10_000,
            id="OpenAI chat",
        ),
        pytest.param(
            "gpt-5.4",
            "responses",
            {"input_tokens": 300_000, "output_tokens": 1000, "total_tokens": 301_000}
            | {"input_tokens_details": {"cached_tokens": 200_000}, "output_tokens_details": {"reasoning_tokens": 900}},
            100_000 * 5_000 + 200_000 * 500 + 1000 * 22_500,
            id="OpenAI responses, a long prompt",
        ),
        pytest.param(
            "anthropic/claude-sonnet-4-5",
            "messages",
            {
                "input_tokens": 12,
                "output_tokens": 400,
                "cache_read_input_tokens": 50_000,
                "cache_creation_input_tokens": 3000,
            }
            | {"cache_creation": {"ephemeral_5m_input_tokens": 2000, "ephemeral_1h_input_tokens": 1000}},
            12 * 3_000 + 50_000 * 300 + 2000 * 3_750 + 1000 * 6_000 + 400 * 15_000,
            id="Anthropic",
        ),
        pytest.param(
            "deepseek/deepseek-chat",
            "chat",
            {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
            | {"prompt_cache_hit_tokens": 896, "prompt_cache_miss_tokens": 104},
            104 * 280 + 896 * 28 + 10 * 420,
            id="DeepSeek",
        ),
        pytest.param(
            "gemini/gemini-2.5-pro",
            "chat",
            {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623},
            20 * 1_250 + 603 * 10_000,
            id="Gemini, thoughts in the total only",
        ),
        pytest.param(
            "mistral/mistral-large-latest",
            "chat",
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "total_tokens": 150,
                "prompt_tokens_details": {"cached_tokens": 64},
            },
            36 * 500 + 64 * 50 + 50 * 1_500,
            id="Mistral",
        ),
    ],
)
def test_the_cost_is_what_the_provider_bills(model: str, api: str, reported: dict[str, Any], nusd: int) -> None:
    assert listed(model).cost_nusd(usage_of(api, reported)) == nusd


def test_audio_and_reasoning_have_their_own_rates() -> None:
    price = Price.of({"input": 2, "output": 8, "reasoning": 3, "audio_input": 40, "audio_output": 80})
    usage = Usage(100, 60, 10, reasoning_tokens=20, prompt_audio_tokens=30, completion_audio_tokens=15)
    assert price.cost_nusd(usage) == 70 * 2_000 + 30 * 40_000 + 25 * 8_000 + 20 * 3_000 + 15 * 80_000


def test_a_tier_counts_for_the_whole_request_from_one_token_more() -> None:
    price = Price.of(
        {"input": 1, "output": 2, "cached_input": 0.1}, {1000: {"input": 2}, 5000: {"input": 4, "cached_input": 0.5}}
    )
    assert price.cost_nusd(Usage(1000, 1)) == 1000 * 1_000 + 2_000
    assert price.cost_nusd(Usage(1001, 1, 1)) == 1000 * 2_000 + 100 + 2_000
    assert price.cost_nusd(Usage(5001, 1, 1)) == 5000 * 4_000 + 500 + 2_000


def test_it_is_rounded_once() -> None:
    assert Price.of({"input": 0.0375, "output": 0}).cost_nusd(Usage(1)) == 38  # 37.5
    assert Price.of({"input": 0.0375, "output": 0}).cost_nusd(Usage(2)) == 75
    assert Price.of({"input": 0.00015, "output": 0.00015}).cost_nusd(Usage(1, 1)) == 0  # 0.3
    assert Price.of({"input": 0.1, "output": 0.2}).cost_nusd(Usage(10**12)) == 10**14


def test_missing_rates_are_those_of_the_prompt_and_the_answer() -> None:
    assert Rates.of({"input": 1, "output": 2}) == (1, 2, 1, 1, 1, 2, 1, 2)
    assert Rates.of({"input": 1, "output": 2, "cache_write": 3, "cached_input": None}) == (1, 2, 1, 3, 3, 2, 1, 2)
    assert FREE.cost_nusd(Usage(10, 10)) == 0


def test_a_cost_that_no_call_can_have_is_bounded() -> None:
    assert Price.of({"input": 1e9, "output": 0}).cost_nusd(Usage(1 << 40)) == MAX_NUSD


RATES = st.fixed_dictionaries(
    {"input": st.integers(0, 10**8), "output": st.integers(0, 10**8)},
    optional=dict.fromkeys(Rates._fields[2:], st.integers(0, 10**8)),
).map(lambda micro: {kind: rate / 10**6 for kind, rate in micro.items()})
COUNTS = st.integers(0, 100_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    cached, short, long, audio, text, reasoning, spoken, answer = (draw(COUNTS) for _ in range(8))
    prompt, completion = cached + short + long + audio + text, reasoning + spoken + answer
    return Usage(prompt, completion, cached, short, long, reasoning, audio, spoken)


@given(RATES, usages(), usages())
def test_within_one_tier_the_cost_is_additive_and_never_falls(rates: dict[str, float], one: Usage, more: Usage) -> None:
    price = Price.of(rates)
    apart, together = price.cost_nusd(one) + price.cost_nusd(more), price.cost_nusd(one.plus(more))
    assert isinstance(together, int)
    assert abs(together - apart) <= 1  # each of the three is rounded once
    assert together >= max(price.cost_nusd(one), price.cost_nusd(more)) >= 0


TIERS = st.dictionaries(st.integers(1, 10**6), RATES, max_size=3)


@given(RATES, TIERS, usages())
def test_no_call_costs_more_than_the_highest_cost(
    rates: dict[str, float], tiers: dict[int, dict[str, float]], usage: Usage
) -> None:
    price = Price.of(rates, tiers)
    assert price.cost_nusd(usage) <= price.highest_nusd(usage.prompt_tokens, usage.completion_tokens)


@given(RATES, TIERS)
def test_a_price_is_the_same_after_it_is_written_to_a_file(
    rates: dict[str, float], tiers: dict[int, dict[str, float]]
) -> None:
    price = Price.of(rates, tiers)
    stated = price.stated
    written = {
        tier["above"]: {kind: rate for kind, rate in tier.items() if kind != "above"}
        for tier in stated.get("tiers", ())
    }
    assert Price.of({kind: rate for kind, rate in stated.items() if kind != "tiers"}, written) == price
