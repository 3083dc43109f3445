"""Servers that refuse the order or the form of messages are asked again in a way that they take, and so from then on."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import Call, ScriptedProvider, answer, error

pytestmark = pytest.mark.anyio
Messages = list[dict[str, Any]]

SYSTEM, USER = (
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Which files are there, and why?"},
)
LATER = {"role": "system", "content": "Ten minutes are left."}
CALL = {"id": "c1", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "a.txt"}
PARTS = {"role": "user", "content": [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]}


def roles(messages: Messages) -> list[str]:
    return [message["role"] for message in messages]


def _neighbours(messages: Messages) -> set[tuple[str, str]]:
    return set(pairwise(roles(messages)))


@pytest.mark.parametrize(
    ("messages", "refuses", "words"),
    [
        (
            [SYSTEM, USER, LATER],
            lambda messages: "system" in roles(messages)[1:],
            "System message must be at the beginning.",
        ),
        (
            [USER, CALLED, RESULT, USER],
            lambda messages: ("tool", "user") in _neighbours(messages),
            "Unexpected role 'user' after role 'tool'",
        ),
        (
            [USER, CALLED, USER, RESULT],
            lambda messages: ("assistant", "user") in _neighbours(messages),
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
        ),
        (
            [USER, CALLED, USER],
            lambda messages: "tool" not in roles(messages),
            "Not the same number of function calls and responses",
        ),
        (
            [USER, RESULT],
            lambda messages: "tool" in roles(messages),
            "Messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
        ),
        (
            [USER, USER],
            lambda messages: ("user", "user") in _neighbours(messages),
            "Conversation roles must alternate user/assistant/user/assistant/...",
        ),
        ([SYSTEM, USER], lambda messages: "system" in roles(messages), "System role not supported"),
        (
            [USER, CALLED, RESULT],
            lambda messages: any("tool_calls" in m and not m.get("reasoning_content") for m in messages),
            "The `reasoning_content` in the thinking mode must be passed back to the API.",
        ),
        (
            [PARTS],
            lambda messages: any(isinstance(m["content"], list) for m in messages),
            "content must be a string",
        ),
    ],
)
async def test_a_strict_server_is_asked_in_a_way_that_it_takes(
    tmp_path: Path, messages: Messages, refuses: Callable[[Messages], bool], words: str
) -> None:
    async def strict(call: Call, writer: Any) -> Any:
        reply = error(400, words) if refuses(call.body["messages"]) else answer("fine")
        return await reply(call, writer)

    async with ScriptedProvider(strict) as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        body = {"model": "llama-8b", "messages": messages}
        assert (await run.http.post("/v1/chat/completions", json=body)).status_code == 200
        asked = len(up.calls)
        assert asked > 1
        assert (await run.http.post("/v1/chat/completions", json=body)).status_code == 200
        assert len(up.calls) == asked + 1, "the deployment's way is known now"
