from typing import Any

import orjson
import pytest

from gateway.request.reasoning_setting import reasoning_setting
from tests.gateway.running import DIALECTS


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({}, None),
        ({"reasoning_effort": "high"}, "high"),
        ({"reasoning_effort": "minimal"}, "minimal"),
        ({"reasoning_effort": "as you like"}, None),
        ({"reasoning_effort": 3}, None),
        ({"reasoning_effort": {"effort": "low", "summary": "auto"}}, "low"),
        ({"reasoning": {"effort": "xhigh"}}, "xhigh"),
        ({"reasoning": []}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking"),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, "no-thinking"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "no-thinking"),
        ({"extra_body": {"chat_template_kwargs": {"enable_thinking": True}}}, "thinking"),
        ({"extra_body": {"reasoning": {"effort": "none"}}}, "none"),
    ],
)
def test_fields_of_all_formats_say_how_much_to_think(fields: dict[str, Any], setting: str | None) -> None:
    assert reasoning_setting(fields) == setting


ASK = [{"role": "user", "content": "How many eggs are left?"}]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "fields", "setting"),
    [
        ("/chat/completions", {"messages": ASK, "reasoning_effort": "low"}, "low"),
        ("/responses", {"input": "How many?", "reasoning": {"effort": "medium"}}, "medium"),
        (
            "/messages",
            {"messages": ASK, "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}},
            "thinking",
        ),
        ("/messages", {"messages": ASK, "max_tokens": 10}, None),
    ],
)
async def test_a_client_states_it_in_its_own_format(path: str, fields: dict[str, Any], setting: str | None) -> None:
    body = orjson.dumps({"model": "auto"} | fields)
    request = await DIALECTS[path].parse(body, {})
    assert request.reasoning_setting == setting
