"""Requests that are half of the Responses API: a freeform tool's input goes out as JSON and comes back as it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.api.chat.mixed_format import MixedWriter
from gateway.core.answer import Chunk
from tests.gateway.running import entry, gateway
from tests.gateway.upstreams import ScriptedProvider, chunk, completion, reply, stream

pytestmark = pytest.mark.anyio
PATCH = '*** Begin Patch\n+say("hi")\n*** End Patch'
ARGUMENTS = '{"input": "*** Begin Patch\\n+say(\\"hi\\")\\n*** End Patch"}'
FLAT = {"type": "custom", "name": "ApplyPatch", "description": "Edits a file."}
ASK = [{"role": "user", "content": "Say hi in the file that is open."}]


def call(arguments: str, **more: Any) -> dict[str, Any]:
    return more | {"id": "c1", "type": "function", "function": {"name": "ApplyPatch", "arguments": arguments}}


@pytest.mark.parametrize("body", [{"messages": ASK}, {"input": ASK}])
async def test_a_freeform_call_comes_back_as_text(tmp_path: Path, body: dict[str, Any]) -> None:
    pieces = [{"index": 0, "function": {"arguments": ARGUMENTS[i : i + 7]}} for i in range(0, len(ARGUMENTS), 7)]
    events = [chunk("m", {"role": "assistant", "tool_calls": [call("", index=0)]})]
    events += [chunk("m", {"tool_calls": [piece]}) for piece in pieces]
    events += [chunk("m", {}, "tool_calls"), b"data: [DONE]\n\n"]
    whole = completion("", "m")
    whole["choices"][0] |= {"message": {"role": "assistant", "content": None, "tool_calls": [call(ARGUMENTS)]}}
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, capabilities=["tools"])]) as run:
            up.replies.extend([reply(200, whole), stream(events)])
            asked = {"model": "auto", "tools": [FLAT]} | body
            answer = (await run.http.post("/v1/chat/completions", json=asked)).json()
            assert answer["choices"][0]["message"]["tool_calls"] == [call(PATCH)]
            assert up.calls[0].path == "/v1/chat/completions"
            assert [tool["type"] for tool in up.calls[0].body["tools"]] == ["function"]
            told = ""
            streamed = await run.http.post("/v1/chat/completions", json=asked | {"stream": True})
            for line in streamed.text.splitlines():
                if line.startswith("data: {"):
                    for choice in json.loads(line[6:])["choices"]:
                        for part in choice["delta"].get("tool_calls", []):
                            told += part["function"]["arguments"]
            assert told == PATCH
            assert streamed.text.endswith("data: [DONE]\n\n")


async def test_freeform_calls_of_the_history_are_json_for_the_upstream(tmp_path: Path) -> None:
    messages = [
        *ASK,
        {"role": "assistant", "content": [], "tool_calls": [call(PATCH)]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, capabilities=["tools"])]) as run:
            body = {"model": "auto", "tools": [FLAT], "messages": messages}
            assert (await run.http.post("/v1/chat/completions", json=body)).status_code == 200
            sent = up.calls[0].body["messages"][1]
            assert sent["content"] is None
            assert '"input"' in sent["tool_calls"][0]["function"]["arguments"]


async def test_what_only_the_responses_api_has_is_refused(tmp_path: Path) -> None:
    async with ScriptedProvider() as up, gateway(tmp_path, [entry("llama-8b", up.base_url)]) as run:
        body = {"model": "auto", "input": ASK, "tools": [{"type": "web_search"}]}
        refused = await run.http.post("/v1/chat/completions", json=body)
        assert refused.status_code == 400
        assert "web_search" in refused.json()["error"]["message"]
        assert not up.calls


def test_the_end_of_one_choice_leaves_the_input_of_another_readable() -> None:
    writer = MixedWriter(frozenset({"ApplyPatch"}), usage_requested=False)

    def piece(index: int, arguments: str, finish: str | None = None, **more: Any) -> dict[str, Any]:
        calls = [{"index": 0, "function": more | {"arguments": arguments}}] if arguments or more else []
        choice = {"index": index, "delta": {"tool_calls": calls} if calls else {}, "finish_reason": finish}
        return {"id": "c", "created": 1, "object": "chat.completion.chunk", "choices": [choice]}

    told = b""
    for fields in (
        piece(0, '{"input": "ab"}', name="ApplyPatch"),
        piece(1, '{"input": "x', name="ApplyPatch"),
        piece(0, "", "tool_calls"),
        piece(1, 'cd"}'),
    ):
        told = writer.write(Chunk(b"", fields), fields, "m")
    last = json.loads(told.removeprefix(b"data: "))["choices"][0]["delta"]["tool_calls"][0]
    assert last["function"]["arguments"] == "cd"


@pytest.mark.parametrize("name", [{}, [], 5, None])
async def test_a_call_whose_name_is_not_a_text_is_no_freeform_call(tmp_path: Path, name: object) -> None:
    history = {"role": "assistant", "tool_calls": [{"id": "c0", "type": "function", "function": {"name": name}}]}
    async with ScriptedProvider() as up:
        async with gateway(tmp_path, [entry("llama-8b", up.base_url, capabilities=["tools"])]) as run:
            up.replies.append(reply(200, completion("hi", "m")))
            body = {"model": "llama-8b", "messages": [*ASK, history, *ASK], "tools": [FLAT]}
            got = await run.http.post("/v1/chat/completions", json=body)
    assert got.status_code == 200, got.text
