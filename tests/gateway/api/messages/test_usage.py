"""The usage of Messages: what was billed, and there and back."""

from typing import Any

import pytest
from anthropic.types import Usage as AnthropicUsage

from gateway.api.messages.usage import added_usage, billed_usage, message_usage, read_usage
from gateway.core.usage import Usage


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 10, "output_tokens": 2}, Usage(10, 2)),
        ({"input_tokens": 10.0, "output_tokens": 2.0}, Usage(10, 2)),
        ({"input_tokens": 0, "output_tokens": 0}, Usage()),
        ({"output_tokens": 2}, Usage(0, 2)),
        (
            {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 15},
            Usage(100, 7, 80, 15),
        ),
        (
            {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 15}
            | {"cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 11}}
            | {"service_tier": "standard", "server_tool_use": None, "output_tokens_details": {"thinking_tokens": 3}},
            Usage(100, 7, 80, 4, 11, reasoning_tokens=3),
        ),
        (
            {
                "input_tokens": 5,
                "output_tokens": 7,
                "cache_read_input_tokens": None,
                "cache_creation_input_tokens": None,
            }
            | {"cache_creation": None, "output_tokens_details": None},
            Usage(5, 7),
        ),
    ],
)
def test_the_input_excludes_what_the_cache_has(counts: dict[str, Any], usage: Usage) -> None:
    assert read_usage(counts) == billed_usage({"usage": counts}) == usage


@pytest.mark.parametrize(
    "counts",
    [
        None,
        [],
        {},
        {"cache_read_input_tokens": 8},
        {"output_tokens": -1},
        {"input_tokens": "5"},
        {"input_tokens": 1 << 60},
    ],
)
def test_usage_that_no_provider_could_bill(counts: Any) -> None:
    assert billed_usage({"usage": counts}) is None


@pytest.mark.parametrize("usage", [Usage(), Usage(10, 2), Usage(100, 7, 80, 4, 11, reasoning_tokens=3)])
def test_usage_is_the_same_there_and_back(usage: Usage) -> None:
    counts = message_usage(usage.in_chat())
    assert read_usage(counts) == usage
    AnthropicUsage.model_validate(counts, strict=True)


def test_reasoning_that_a_provider_counts_beside_the_completion_is_in_the_output() -> None:
    reported = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    counts = message_usage(reported | {"completion_tokens_details": {"reasoning_tokens": 100}})
    assert counts["output_tokens"] == 105
    assert counts["output_tokens_details"] == {"thinking_tokens": 100}


def test_counts_of_a_stream_are_totals_that_do_not_fall() -> None:
    counts = added_usage(
        {}, {"input_tokens": 9, "output_tokens": 1, "cache_creation": {"ephemeral_1h_input_tokens": 4}}
    )
    counts = added_usage(counts, {"input_tokens": 0, "output_tokens": 7, "cache_creation": None})
    assert counts == {"input_tokens": 9, "output_tokens": 7, "cache_creation": {"ephemeral_1h_input_tokens": 4}}
    assert added_usage(counts, None) == counts
    assert (
        added_usage({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 9, "output_tokens": 7})["input_tokens"]
        == 9
    )
