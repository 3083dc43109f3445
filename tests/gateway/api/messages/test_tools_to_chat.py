"""The tools of a Messages request as chat functions."""

from typing import Any

import pytest

from gateway.api.function_names import short_name
from gateway.api.messages.tools_to_chat import ChatTools, is_strict, long_names
from gateway.core.errors import InvalidRequest

CLOSED = {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"], "additionalProperties": False}
ADD = {"name": "add", "description": "Adds.", "input_schema": CLOSED}
SEARCH = {"type": "web_search_20250305", "name": "web_search"}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({"type": "string"}, True),
        (CLOSED | {"additionalProperties": True}, False),
        (CLOSED | {"required": []}, False),
        (CLOSED | {"properties": {"a": {"type": "object"}}}, False),
        ({"anyOf": [CLOSED, {"type": "object", "properties": {}, "additionalProperties": False}]}, True),
        ({"anyOf": [{"properties": {"a": {}}}]}, False),
    ],
)
def test_schemas_that_chat_accepts_as_strict(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


def test_long_names_are_shortened() -> None:
    name = "mcp__" + "x" * 100
    assert long_names({"tools": [ADD, {"name": name}, SEARCH]}) == {short_name(name): name}
    assert long_names({}) == {}


def test_a_function() -> None:
    tools = ChatTools(
        {"tools": [ADD | {"strict": True}], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    )
    function = {"name": "add", "description": "Adds.", "parameters": CLOSED, "strict": True}
    assert tools.functions == [{"type": "function", "function": function}]
    assert tools.choice == {"tool_choice": "required", "parallel_tool_calls": False}
    assert (tools.left_out, tools.native_only) == ((), None)


def test_tools_of_the_provider_are_left_out_unless_there_are_no_others() -> None:
    assert ChatTools({"tools": [ADD, SEARCH]}).left_out == ("tools.web_search_20250305",)
    assert ChatTools({"tools": [ADD, SEARCH]}).native_only is None
    assert ChatTools({"tools": [SEARCH]}).native_only == "tools.web_search_20250305"
    assert ChatTools({"tools": [SEARCH], "tool_choice": {"type": "none"}}).native_only is None


def test_a_choice_of_a_tool_that_is_not_offered() -> None:
    with pytest.raises(InvalidRequest) as caught:
        ChatTools({"tools": [ADD], "tool_choice": {"type": "tool", "name": "sub"}})
    assert caught.value.param == "tool_choice.name"
