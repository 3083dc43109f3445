"""The usage of Response objects: what was billed, and there and back."""

from typing import Any

import pytest
from openai.types.responses import ResponseUsage

from gateway.api.responses.usage import billed_usage, usage_from_chat
from gateway.core.usage import Usage


@pytest.mark.parametrize(
    ("counts", "usage"),
    [
        ({"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}, Usage(7, 5)),
        ({"input_tokens": 7.0, "output_tokens": 5.0, "total_tokens": 12.0}, Usage(7, 5)),
        ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, Usage()),
        (
            {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
            | {"input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30}}
            | {"output_tokens_details": {"reasoning_tokens": 40}},
            Usage(100, 50, 60, 30, reasoning_tokens=40),
        ),
        (
            {
                "input_tokens": 10,
                "output_tokens": 5,
                "total_tokens": 115,
                "output_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(10, 105, reasoning_tokens=100),
        ),
        ({"input_tokens": 7}, None),
        ({"input_tokens": -5, "output_tokens": 1}, None),
        ([], None),
        (None, None),
    ],
)
def test_billed_usage(counts: Any, usage: Usage | None) -> None:
    assert billed_usage({"usage": counts}) == usage


@pytest.mark.parametrize("usage", [Usage(), Usage(10, 2), Usage(100, 50, 60, 30, reasoning_tokens=40)])
def test_usage_is_the_same_there_and_back(usage: Usage) -> None:
    counts = usage_from_chat(usage.in_chat())
    assert billed_usage({"usage": counts}) == usage
    ResponseUsage.model_validate(counts, strict=True)


def test_no_usage_stays_unknown() -> None:
    assert usage_from_chat(None) is None
