"""Service tiers and web searches, as each provider reports them."""

from typing import Any

import pytest

from gateway.core.chat_types import ChatUsage
from gateway.core.extras import Extras, extras_of, with_extras


@pytest.mark.parametrize(
    ("answer", "extras"),
    [
        ({}, Extras()),
        ({"service_tier": "default", "usage": None}, Extras()),
        ({"service_tier": "flex"}, Extras("flex")),
        ({"usage": {"service_tier": "standard", "server_tool_use": None}}, Extras()),
        ({"usage": {"service_tier": "priority", "server_tool_use": {"web_search_requests": 2}}}, Extras("priority", 2)),
        ({"usage": {"server_tool_use": {"web_search_requests": -1}}}, Extras()),
        (
            {"service_tier": "priority", "output": [{"type": "web_search_call"}, {"type": "message"}, 3]},
            Extras("priority", 1),
        ),
        ({"output": [{"type": "image_generation_call"}]}, Extras(None, 0, True)),
        ({"output": [{"type": "image_generation_call"}, {"type": "web_search_call"}]}, Extras(None, 1, True)),
        ({"choices": [{"message": {"images": [{"image_url": {"url": "data:"}}]}}]}, Extras(None, 0, True)),
        ({"choices": [{"message": {"images": []}}, 3]}, Extras()),
        ({"usage": {"completion_tokens_details": {"image_tokens": 1120}}}, Extras(None, 0, True)),
        ({"usage": {"completion_tokens_details": {"image_tokens": 0}}}, Extras()),
        ({"service_tier": 3, "usage": [], "output": "x"}, Extras()),
    ],
)
def test_extras_of_an_answer(answer: dict[str, Any], extras: Extras) -> None:
    assert extras_of(answer) == extras
    usage: ChatUsage = {"prompt_tokens": 1}
    assert extras_of({"usage": with_extras(usage, extras)}) == extras
