"""A model provider for coding agents: it calls the agent's tools in the order of a plan, then says what they answered.

Each step of the plan names a tool by a pattern and gives its arguments. Faults come before an answer, as often as a test says.
"""

import asyncio
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.gateway.upstreams import Call, Reply, ScriptedProvider, error, reply, stream

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Step:
    """One tool call.

    Attributes:
        tool: pattern that the tool's name fits.
        arguments: by the names that different agents give them; those that the tool knows are sent.
    """

    tool: str
    arguments: Mapping[str, Any]


@dataclass
class CodingModel:
    """Answers chat completions.

    Attributes:
        plan: what is called, one step an answer.
        strict: refuses what strict chat templates refuse.
        faults: answer in place of the model, one a call, used up first; None lets the model answer.
        calls: requests of the agent's conversation, without the small ones that agents make on their own.
    """

    plan: Sequence[Step] = ()
    strict: bool = False
    faults: list[Reply | None] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    def provider(self) -> ScriptedProvider:
        return ScriptedProvider(self._answer)

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> Any:
        body = call.body
        if not call.path.endswith("/chat/completions"):
            return await error(404, f"no such path: {call.path}")(call, writer)
        if not body.get("tools"):  # a title, a check of the quota: not the conversation
            return await _say("ok", body)(call, writer)
        self.calls.append(body)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            return await fault(call, writer)
        if self.strict and (refusal := refused(body["messages"])) is not None:
            return await error(400, refusal)(call, writer)
        return await self._next(body)(call, writer)

    def _next(self, body: dict[str, Any]) -> Reply:
        results = [m for m in body["messages"] if m["role"] == "tool"]
        if len(results) >= len(self.plan):
            return _say("Done: " + " | ".join(_text(m) for m in results), body)
        return _call(self.plan[len(results)], body)


def refused(messages: list[dict[str, Any]]) -> str | None:
    """Why a strict chat template refuses these messages; None where it takes them."""
    if any(m["role"] not in ("system", "user", "assistant", "tool") for m in messages):
        return "Only system, user, assistant and tool roles are supported."
    if any(m["role"] == "system" for m in messages[1:]):
        return "System message must be at the beginning."
    for i, message in enumerate(messages):
        ids = [call["id"] for call in message.get("tool_calls") or ()]
        after = messages[i + 1 : i + 1 + len(ids)]
        if sorted(m.get("tool_call_id", "") for m in after) != sorted(ids):
            return "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'."
        if message["role"] == "tool" and i + 1 < len(messages) and messages[i + 1]["role"] == "user":
            return "Unexpected role 'user' after role 'tool'"
    turns = [m["role"] for m in messages if m["role"] in ("user", "assistant") and not m.get("tool_calls")]
    if any(one == other == "user" for one, other in itertools.pairwise(turns)):
        return "Conversation roles must alternate user/assistant/user/assistant/..."
    return None


def overloaded() -> Reply:
    """As Anthropic says that it has too much to do."""
    return error(529, "Overloaded", "overloaded_error")


def cut() -> Reply:
    """A stream that ends in the middle of a tool call's arguments."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        tool = call.body["tools"][0]["function"]["name"]
        function = {"name": tool, "arguments": '{"command": "ec'}
        delta = {
            "tool_calls": [{"index": 0, "id": f"call{next(_numbers):05}", "type": "function", "function": function}]
        }
        return await stream(
            [_chunk(call.body, {"role": "assistant", "content": None}), _chunk(call.body, delta)], cut=True
        )(call, writer)

    return send


def _call(step: Step, body: dict[str, Any]) -> Reply:
    tools = [tool["function"] for tool in body["tools"]]
    tool = next((tool for tool in tools if re.search(step.tool, tool["name"])), None)
    if tool is None:
        return _say(f"There is no tool like {step.tool}: {[tool['name'] for tool in tools]}", body)
    known = tool.get("parameters", {}).get("properties", {})
    arguments = orjson.dumps({k: v for k, v in step.arguments.items() if k in known}).decode()
    call = {
        "id": f"call{next(_numbers):05}",
        "type": "function",
        "function": {"name": tool["name"], "arguments": arguments},
    }
    return _message({"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls", body)


def _say(text: str, body: dict[str, Any]) -> Reply:
    return _message({"role": "assistant", "content": text}, "stop", body)


def _message(message: dict[str, Any], finish: str, body: dict[str, Any]) -> Reply:
    usage = {"prompt_tokens": 50, "completion_tokens": 9, "total_tokens": 59}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": finish}
        head = {"id": "c", "object": "chat.completion", "created": 1, "model": body["model"]}
        return reply(200, head | {"choices": [choice], "usage": usage})
    calls = [call | {"index": i} for i, call in enumerate(message.get("tool_calls") or ())]
    delta = message | ({"tool_calls": calls} if calls else {})
    last = orjson.loads(_chunk(body, {}, finish)[6:]) | {"usage": usage}
    return stream([_chunk(body, delta), b"data: " + orjson.dumps(last) + b"\n\n", b"data: [DONE]\n\n"])


def _chunk(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    fields = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": body["model"], "choices": [choice]}
    return b"data: " + orjson.dumps(fields) + b"\n\n"


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
