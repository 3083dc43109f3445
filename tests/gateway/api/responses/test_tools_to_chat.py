"""Namespaces of tools and searches for tools: chat functions with flat names, and calls under the client's own names."""

import asyncio
from typing import Any

import orjson
import pytest

from gateway.api.responses.tool_names import ClientTool, ToolNames
from tests.conformance import validate
from tests.gateway.api.exchanges import FUNCTION, call, chunk, complete, dialect, events, parsed, proper, written

pytestmark = pytest.mark.anyio
READ = {"type": "function", "name": "read", "description": "Reads a page.", "parameters": {"type": "object"}}
WEB = {
    "type": "namespace",
    "name": "mcp__web__",
    "description": "Web pages.",
    "tools": [READ, {"type": "custom", "name": "note"}],
}
SEARCH = {"type": "tool_search", "execution": "client", "description": "Finds tools.", "parameters": {"type": "object"}}
FILES = {
    "type": "namespace",
    "name": "mcp__files__",
    "description": "Files.",
    "tools": [READ | {"defer_loading": True}],
}
SEARCHED = [
    {"type": "tool_search_call", "call_id": "s", "execution": "client", "status": "completed", "arguments": {"query": "files"}},
    {"type": "tool_search_output", "call_id": "s", "execution": "client", "status": "completed", "tools": [FILES]},
]  # fmt: skip


def names(fields: dict[str, Any]) -> list[str]:
    return [tool["function"]["name"] for tool in fields.get("tools", ())]


def parts(item: dict[str, Any]) -> dict[str, Any]:
    return {key: item[key] for key in ("type", "namespace", "name", "arguments", "input") if key in item}


async def answered(deltas: list[dict[str, Any]], **fields: Any) -> list[dict[str, Any]]:
    """The output items of a stream of these deltas; those of the whole answer are the same."""
    given = dialect()
    request = await parsed(given, **fields)
    to = given.writer(request)
    data = written(to, *[chunk(delta) for delta in deltas], chunk({}, "tool_calls")) + to.end(None, "m1")
    streamed = proper(events(data))["output"]
    calls = [
        {"id": "c", "function": {"name": d["function"]["name"], "arguments": d["function"]["arguments"]}}
        for delta in deltas
        for d in delta["tool_calls"]
    ]
    whole = orjson.loads(
        given.complete_answer(request, complete({"content": None, "tool_calls": calls}, "tool_calls"), "m1")
    )
    validate(whole, "Response")
    assert [parts(item) for item in whole["output"]] == [parts(item) for item in streamed]
    return [parts(item) for item in streamed]


async def test_functions_of_a_namespace_have_its_name_in_front() -> None:
    request = await parsed(dialect(), tools=[FUNCTION, WEB], tool_choice="auto")
    assert names(request.fields) == ["weather", "mcp__web__read", "mcp__web__note"]
    assert request.fields["tools"][1]["function"]["description"] == "Reads a page."
    assert request.fields["tools"][2]["function"]["description"] == "Web pages."
    assert request.requirements.api is None


async def test_calls_come_back_under_the_clients_names() -> None:
    deltas = [
        call(0, '{"a":1}', "c", "mcp__web__read"),
        call(1, '{"input":"x"}', "d", "mcp__web__note"),
        call(2, "{}", "e", "weather"),
        call(3, "{}", "f", "made_up"),
    ]
    assert await answered(deltas, tools=[FUNCTION, WEB]) == [
        {"type": "function_call", "namespace": "mcp__web__", "name": "read", "arguments": '{"a":1}'},
        {"type": "custom_tool_call", "namespace": "mcp__web__", "name": "note", "input": "x"},
        {"type": "function_call", "name": "weather", "arguments": "{}"},
        {"type": "function_call", "name": "made_up", "arguments": "{}"},
    ]


async def test_earlier_calls_have_the_same_names() -> None:
    items = [
        {"role": "user", "content": "hi"},
        {"type": "function_call", "call_id": "a", "namespace": "mcp__web__", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "page"},
        {"type": "function_call", "call_id": "b", "namespace": "gone.", "name": "old", "arguments": "{}"},
    ]
    request = await parsed(dialect(), input=items, tools=[WEB])
    called = [c["function"]["name"] for m in request.fields["messages"] for c in m.get("tool_calls", ())]
    assert called == ["mcp__web__read", "gone_old"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "function", "name": "read", "namespace": "mcp__web__"}, "mcp__web__read"),
        ({"type": "custom", "name": "note", "namespace": "mcp__web__"}, "mcp__web__note"),
    ],
)
async def test_a_tool_of_a_namespace_can_be_demanded(choice: dict[str, Any], expected: str) -> None:
    request = await parsed(dialect(), tools=[WEB], tool_choice=choice)
    assert request.fields["tool_choice"]["function"]["name"] == expected


async def test_a_namespace_can_be_all_that_is_allowed() -> None:
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "namespace", "name": "mcp__web__"}]}
    assert names((await parsed(dialect(), tools=[FUNCTION, WEB], tool_choice=allowed)).fields) == [
        "mcp__web__read",
        "mcp__web__note",
    ]


def test_names_fit_chat_and_stay_apart() -> None:
    known = ToolNames()
    tools = [
        ClientTool("function_call", "c", "a_b_"),
        ClientTool("function_call", "b_c", "a_"),
        ClientTool("function_call", "a_b_c"),
        ClientTool("function_call", "b.c", "a."),
        ClientTool("custom_tool_call", "x" * 100, "n" * 60),
        ClientTool("custom_tool_call", "x" * 101, "n" * 60),
    ]
    given = [known.add(tool) for tool in tools]
    assert given[0] == "a_b_c"
    assert len(set(given)) == len(given)
    for tool, name in zip(tools, given, strict=True):
        assert name is not None
        assert len(name) <= 64
        assert name.replace("_", "").isalnum()
        assert known.client_tool(name) == tool
        assert known.chat_name(tool.name, tool.namespace) == name
    assert known.add(tools[0]) is None
    assert known.freeform_functions == {given[4], given[5]}


async def test_a_search_for_tools_is_a_function_and_brings_tools() -> None:
    request = await parsed(dialect(), tools=[FUNCTION, SEARCH])
    assert names(request.fields) == ["weather", "tool_search"]
    deltas = [call(0, '{"query":', "s", "tool_search")]
    deltas[0]["tool_calls"][0]["function"]["arguments"] = '{"query":"files"}'
    assert await answered(deltas, tools=[SEARCH]) == [{"type": "tool_search_call", "arguments": {"query": "files"}}]

    request = await parsed(dialect(), tools=[SEARCH], input=[{"role": "user", "content": "hi"}, *SEARCHED])
    assert names(request.fields) == ["tool_search", "mcp__files__read"]
    assistant, tool = request.fields["messages"][1:]
    assert assistant["tool_calls"][0]["function"] == {"name": "tool_search", "arguments": '{"query":"files"}'}
    assert tool["content"] == "Found: mcp__files__."
    found = [call(0, "{}", "c", "mcp__files__read")]
    assert (await answered(found, tools=[SEARCH], input=SEARCHED))[0]["namespace"] == "mcp__files__"


async def test_where_the_provider_would_search_all_tools_are_offered() -> None:
    request = await parsed(dialect(), tools=[FILES, {"type": "tool_search"}])
    assert names(request.fields) == ["mcp__files__read"]
    assert request.requirements.api is None


async def test_tools_that_only_a_provider_has_are_not_all_that_is_offered() -> None:
    hosted = [{"type": "web_search"}, {"type": "mcp", "server_label": "x"}, {"type": "web_search"}]
    request = await parsed(dialect(), tools=hosted)
    assert (request.requirements.api, request.requirements.api_field) == ("responses", "tools: web_search, mcp")
    assert (await parsed(dialect(), tools=[*hosted, FUNCTION])).requirements.api is None
    assert (await parsed(dialect(), tools=hosted, tool_choice="none")).requirements.api is None


def test_many_items_take_linear_time() -> None:
    """Of 15,000 of each kind that once took quadratic time; with that, it would be minutes."""
    many: Any = [{"role": "developer", "content": "note " * 20}] * 15_000
    said: Any = [{"role": "assistant", "content": "note " * 20}] * 15_000
    called = {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "a", "output": "x"}
    items = [*many, called, *said, output, *many, called, *[output] * 15_000]
    messages = asyncio.run(parsed(dialect(), input=items)).fields["messages"]
    assert len(messages) < 10
