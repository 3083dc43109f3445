import subprocess
import sys

import pytest

from gateway.config.litellm_table import model_facts, table_price
from gateway.config.price import Price
from gateway.core.usage import Usage


@pytest.mark.parametrize(
    ("model", "usd_in", "usd_out", "window"),
    [
        ("openai/gpt-4o-mini", 0.15, 0.6, 128_000),  # listed without its provider
        ("gpt-4o-mini", 0.15, 0.6, 128_000),
        ("gemini/gemini-2.5-flash", 0.3, 2.5, 1_048_576),  # listed with it
        ("anthropic/claude-sonnet-4-5", 3.0, 15.0, 200_000),
    ],
)
def test_prices_are_in_usd_per_million_tokens(model: str, usd_in: float, usd_out: float, window: int) -> None:
    listed = model_facts(model)
    assert listed is not None
    assert listed.price is not None
    assert (listed.price.rates[:2], listed.context_window) == ((usd_in, usd_out), window)


def test_capabilities_are_those_that_requests_ask_for() -> None:
    mini, embedding = model_facts("openai/gpt-4o-mini"), model_facts("openai/text-embedding-3-small")
    assert mini is not None
    assert mini.capabilities == {"tools", "vision", "json_schema", "files"}
    assert embedding is not None
    assert embedding.capabilities == frozenset()


@pytest.mark.parametrize(
    ("model", "stated"),
    [
        ("gpt-4o", {"input": 2.5, "output": 10.0, "cached_input": 1.25}),
        (
            "anthropic/claude-sonnet-4-5",
            {"input": 3.0, "output": 15.0, "cached_input": 0.3, "cache_write": 3.75, "cache_write_1h": 6.0},
        ),
        ("deepseek/deepseek-chat", {"input": 0.28, "output": 0.42, "cached_input": 0.028}),  # its writes are not billed
        ("openai/text-embedding-3-small", {"input": 0.02, "output": 0.0}),
        (
            "gemini/gemini-2.5-pro",
            {"input": 1.25, "output": 10.0, "cached_input": 0.125}
            | {"tiers": [{"above": 200_000, "input": 2.5, "output": 15.0, "cached_input": 0.25}]},
        ),
        (
            "gpt-5.4",
            {"input": 2.5, "output": 15.0, "cached_input": 0.25}
            | {"tiers": [{"above": 272_000, "input": 5.0, "output": 22.5, "cached_input": 0.5}]},
        ),
    ],
)
def test_the_kinds_of_tokens_have_prices_of_their_own(model: str, stated: dict[str, object]) -> None:
    listed = model_facts(model)
    assert listed is not None
    assert listed.price is not None
    assert listed.price.stated == stated


def test_an_entry_is_read_by_its_keys() -> None:
    entry = {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 2e-06,
        "output_cost_per_reasoning_token": 3e-06,
        "input_cost_per_audio_token": 4e-06,
        "output_cost_per_audio_token": 5e-06,
        "cache_creation_input_token_cost": 1.25e-06,
        "cache_creation_input_token_cost_above_1hr": 2e-06,
        "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 4e-06,
        "input_cost_per_token_above_128k_tokens": 1.5e-06,
        "input_cost_per_token_above_200k_tokens": 2e-06,
        "input_cost_per_token_batches": 9e-06,
        "input_cost_per_token_priority": 9e-06,
        "input_cost_per_token_above_200k_tokens_flex": 9e-06,
        "input_cost_per_second": 9e-06,
        "output_cost_per_token_above_128k_tokens": None,
    }
    price = table_price(entry)
    assert price is not None
    assert price.rates == (1, 2, 1, 1.25, 2, 3, 4, 5)
    assert [tier.above for tier in price.tiers] == [128_000, 200_000]
    assert price.rates_for(128_001)[:5] == (1.5, 2, 1.5, 1.25, 2)
    assert price.rates_for(200_001)[:5] == (2, 2, 2, 1.25, 4)


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"output_cost_per_token": 1e-06},
        {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0},  # so the table has it where LiteLLM does not know
        {"input_cost_per_token": "1e-06"},
        {"input_cost_per_second": 1e-06},
    ],
)
def test_an_entry_without_a_price_has_none(entry: dict[str, object]) -> None:
    assert table_price(entry) is None


@pytest.mark.parametrize("model", ["openai/no-such-model-xyz", "no-such-model-xyz", "openai/", ""])
def test_a_model_that_the_table_lacks_has_no_entry(model: str) -> None:
    assert model_facts(model) is None


def test_reading_the_table_does_not_import_litellm() -> None:
    code = (
        "import sys; from gateway.config.litellm_table import model_facts; assert model_facts('openai/gpt-4o-mini').price.rates.input == 0.15; "
        "print(sorted(m for m in ('litellm', 'openai', 'torch', 'pyarrow') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_service_tiers_and_searches_have_prices_of_their_own() -> None:
    price = table_price(
        {
            "input_cost_per_token": 2e-06,
            "output_cost_per_token": 8e-06,
            "output_cost_per_reasoning_token": 9e-06,
            "cache_read_input_token_cost": 5e-07,
            "input_cost_per_token_flex": 1e-06,
            "output_cost_per_token_flex": 4e-06,
            "search_context_cost_per_query": {"search_context_size_low": 0.01, "search_context_size_medium": 0.02},
        }
    )
    assert price is not None
    usage = Usage(1_000_000, 1_000_000, 400_000, reasoning_tokens=500_000)
    flex = price.of_service("flex")
    assert flex is not None
    assert price.cost_nusd(usage) == (1_200_000 + 200_000 + 4_000_000 + 4_500_000) * 1000
    assert flex.cost_nusd(usage) == (600_000 + 200_000 + 4_000_000) * 1000  # a cached token as in the usual tier
    assert price.cost_nusd(Usage(), web_searches=3) == 60_000_000
    assert price.of_service(None) is price
    assert price.of_service("priority") is None  # which is not the usual price, and not in the table
    stated = Price.of({"input": 1, "output": 1})
    assert stated.of_service("priority") is stated
