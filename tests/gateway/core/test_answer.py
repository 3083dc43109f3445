"""Usage as providers write it, and the content of chunks."""

from typing import Any

import pytest

from gateway.core.answer import MAX_TOKENS, Chunk, Usage


@pytest.mark.parametrize(
    ("value", "usage"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 3}, Usage(7, 3)),
        ({"prompt_tokens": 7.0, "completion_tokens": None}, Usage(7, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 5}}, Usage(7, 3, 5)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "prompt_cache_hit_tokens": 6}, Usage(7, 3, 6)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "cache_read_input_tokens": 99}, Usage(7, 3, 7)),
        ({"prompt_tokens": 7, "completion_tokens": 3, "cached_tokens": "5"}, Usage(7, 3)),
        (None, None),
        ([], None),
        ({}, None),
        ({"prompt_tokens": 0, "completion_tokens": 0}, None),
        ({"prompt_tokens": 0, "completion_tokens": 3}, Usage(0, 3)),
        ({"prompt_tokens": "7", "completion_tokens": 3}, None),
        ({"prompt_tokens": -1, "completion_tokens": 3}, None),
        ({"prompt_tokens": 7.5, "completion_tokens": 3}, None),
        ({"prompt_tokens": MAX_TOKENS + 1, "completion_tokens": 3}, None),
    ],
)
def test_usage_is_read(value: Any, usage: Usage | None) -> None:
    assert Usage.read(value) == usage


def test_reasoning_tokens_are_added_only_if_the_total_shows_that_they_are_missing() -> None:
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "completion_tokens_details": {"reasoning_tokens": 90}}
    assert Usage.read(usage | {"total_tokens": 100}) == Usage(7, 93)
    assert Usage.read(usage | {"total_tokens": 10}) == Usage(7, 3)
    assert Usage.read(usage) == Usage(7, 3)


def test_usages_are_added() -> None:
    assert Usage(1, 2, 3).plus(Usage(10, 20, 30)) == Usage(11, 22, 33)


@pytest.mark.parametrize(
    ("choices", "content"),
    [
        ([], False),
        ([{"index": 0, "delta": {"role": "assistant", "content": ""}}], False),
        ([{"index": 0, "delta": {"content": "a"}}], True),
        ([{"index": 0, "delta": {}}, {"index": 1, "delta": {"tool_calls": [{}]}}], True),
        ([{"index": 0, "delta": {}, "finish_reason": "stop"}], True),
    ],
)
def test_a_chunk_has_content(choices: Any, content: bool) -> None:
    assert Chunk(b"", {"choices": choices}).has_content is content
