from dataclasses import replace

import orjson
import pytest

from gateway.config.access import Allowed
from gateway.record.needs import Needs, needs_of, unpack_needs
from gateway.request.chat_request import Overrides, parse_chat

BODY = {
    "model": "auto",
    "messages": [{"role": "user", "content": "What is in this picture of a cat?"}],
    "tools": [{"type": "function", "function": {"name": "zoom"}}],
    "max_tokens": 50,
    "reasoning_effort": "high",
}


@pytest.mark.parametrize(
    ("allow", "allowed", "models"),
    [
        (None, None, None),
        ({"a", "b"}, None, ("a", "b")),
        (None, {"c", "b"}, ("b", "c")),
        ({"a", "b"}, {"b", "c"}, ("b",)),
    ],
)
def test_what_restricts_a_request(
    allow: set[str] | None, allowed: set[str] | None, models: tuple[str, ...] | None
) -> None:
    request = parse_chat(orjson.dumps(BODY))
    overrides = Overrides(
        rule=("max_loss", 0.1),
        allow=None if allow is None else frozenset(allow),
        exclude=frozenset({"z"}),
        allowed=Allowed(None if allowed is None else frozenset(allowed)),
        cost_factor=4.0,
    )
    found = needs_of(replace(request, overrides=overrides), request.requirements)
    assert (found.capabilities, found.output_tokens, found.reasoning) == (("tools",), 50, "high")
    assert (found.models, found.exclude, found.rule, found.cost_factor) == (models, ("z",), ("max_loss", 0.1), 4.0)
    assert found.requirements.prompt_tokens == request.requirements.prompt_tokens
    assert found.overrides.exclude == {"z"}
    assert found.overrides.allow == (None if models is None else {*models})
    assert unpack_needs(orjson.loads(found.pack())) == found


def test_a_plain_request_takes_few_bytes() -> None:
    request = parse_chat(b'{"model": "auto", "messages": [{"role": "user", "content": "Hi"}]}')
    packed = needs_of(request, request.requirements).pack()
    assert packed == f'{{"prompt_tokens":{request.requirements.prompt_tokens}}}'


def test_what_a_newer_version_recorded_is_read_as_far_as_it_is_known() -> None:
    newer = {"prompt_tokens": 7, "rule": ["best_value", 1], "api": "smoke", "region": "eu"}
    assert unpack_needs(newer) == Needs(prompt_tokens=7)
