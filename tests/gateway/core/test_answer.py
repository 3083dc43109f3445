"""The content of chunks."""

from typing import Any

import pytest

from gateway.core.answer import Chunk


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
