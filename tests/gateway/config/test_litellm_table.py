import subprocess
import sys

import pytest

from gateway.config.litellm_table import model_facts


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
    assert (listed.usd_per_mtok_in, listed.usd_per_mtok_out, listed.context_window) == (usd_in, usd_out, window)


def test_capabilities_are_those_that_requests_ask_for() -> None:
    mini, embedding = model_facts("openai/gpt-4o-mini"), model_facts("openai/text-embedding-3-small")
    assert mini is not None
    assert mini.capabilities == {"tools", "vision", "json_schema", "files"}
    assert embedding is not None
    assert embedding.capabilities == frozenset()


def test_what_is_in_a_providers_cache_has_a_price_of_its_own() -> None:
    cached = [
        listed.usd_per_mtok_cached for m in ("gpt-4o", "voyage/voyage-3") if (listed := model_facts(m)) is not None
    ]
    assert cached == [1.25, None]


@pytest.mark.parametrize("model", ["openai/no-such-model-xyz", "no-such-model-xyz", "openai/", ""])
def test_a_model_that_the_table_lacks_has_no_entry(model: str) -> None:
    assert model_facts(model) is None


def test_reading_the_table_does_not_import_litellm() -> None:
    code = (
        "import sys; from gateway.config.litellm_table import model_facts; assert model_facts('openai/gpt-4o-mini').usd_per_mtok_in == 0.15; "
        "print(sorted(m for m in ('litellm', 'openai', 'torch', 'pyarrow') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
