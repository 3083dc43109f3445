"""Reasoning in plain text: back to the model that thought it, and to no other."""

from pathlib import Path
from typing import Any

import pytest

from gateway.api.responses.conversation_to_chat import ChatConversation
from gateway.api.responses.tool_names import ToolNames
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider, error

pytestmark = pytest.mark.anyio
USER = {"role": "user", "content": "Which files are there, and why are there so many?"}
THOUGHT = "I should run it."
CALL = {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "ok"}


def reasoning(**more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": THOUGHT}]} | more


def chat(*items: dict[str, Any]) -> list[dict[str, Any]]:
    messages = ChatConversation(ToolNames())
    for i, given in enumerate(items):
        messages.add(given, f"input[{i}]")
    return messages.messages()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (reasoning(id="rs_locus_1"), THOUGHT),
        (reasoning(), THOUGHT),
        (reasoning(id="rs_1", content=[{"type": "reasoning_text", "text": "All of it."}]), "All of it."),
        (reasoning(id="rs_1"), None),
        (reasoning(encrypted_content="gAAA"), None),
        (reasoning(summary=[]), None),
    ],
)
def test_what_a_reasoning_item_says_goes_with_the_calls_behind_it(item: dict[str, Any], expected: str | None) -> None:
    (_, asked, _) = chat(USER, item, CALL, OUTPUT)
    assert asked.get("reasoning_content") == expected
    assert [call["id"] for call in asked["tool_calls"]] == ["c1"]


def test_each_turn_has_its_own_reasoning_and_the_users_has_none() -> None:
    again = CALL | {"call_id": "c2"}
    messages = chat(USER, reasoning(), CALL, OUTPUT, reasoning(), again, OUTPUT | {"call_id": "c2"}, reasoning(), USER)
    assert [message.get("reasoning_content") for message in messages] == [None, THOUGHT, None, THOUGHT, None, None]


CLAUDE_CODE: list[dict[str, Any]] = [
    USER,
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": THOUGHT, "signature": ""},
            {"type": "tool_use", "id": "c1", "name": "Bash", "input": {}},
        ],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "ok"}]},
]
BASH = [{"name": "Bash", "input_schema": {"type": "object"}}]


async def test_a_model_gets_its_own_reasoning_in_every_format(tmp_path: Path) -> None:
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, capabilities=["tools"])]) as run:
            thinking = {"max_tokens": 100, "thinking": {"type": "adaptive"}, "tools": BASH}
            messages = thinking | {"model": "llama-8b", "messages": CLAUDE_CODE}
            item = reasoning(id="rs_locus_1")
            responses = {"model": "llama-8b", "store": False, "input": [USER, item, CALL, OUTPUT]}
            for path, body in (("messages", messages), ("messages", messages), ("responses", responses)):
                got = await run.http.post(f"/v1/{path}", json=body, headers={"x-locus-session": path})
                assert got.status_code == 200
                assert up.calls[-1].body["messages"][1]["reasoning_content"] == THOUGHT


async def test_a_stand_in_gets_no_reasoning_of_the_model_it_stands_in_for(tmp_path: Path) -> None:
    async with ScriptedProvider() as one, ScriptedProvider() as other:
        models = [entry("llama-8b", one.base_url), entry("llama-70b", other.base_url)]
        async with gateway(tmp_path, models) as run:
            asked = [USER, {"role": "assistant", "content": "Let me see.", "reasoning_content": THOUGHT}, USER]
            body = {"model": "llama-8b", "messages": asked}
            session = {"x-locus-session": "s"}
            assert (await run.http.post("/v1/chat/completions", json=body, headers=session)).status_code == 200
            one.default = error(500)
            got = await run.http.post("/v1/chat/completions", json=body, headers=session)
            assert got.headers["x-locus-stand-in"] == "llama-70b"
            assert one.calls[-1].body["messages"] == asked
            assert other.calls[-1].body["messages"] == [USER, {"role": "assistant", "content": "Let me see."}, USER]
