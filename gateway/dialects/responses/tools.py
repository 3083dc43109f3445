"""Tools of the Responses API as chat functions.

A function is nested one level deeper in chat. A freeform tool (`custom`, as Codex's `apply_patch`) becomes a function with
one string. The tools that a provider runs itself (web search, MCP, …) exist only in this API, so they are left out.
"""

from typing import Any

from gateway.dialects.responses import freeform
from gateway.dialects.responses.checks import invalid, item, optional, text
from gateway.fields import expected

TRANSLATED = frozenset({"function", "custom"})
MODES = frozenset({"auto", "none", "required"})


class Tools:
    """The tools of a request, checked.

    Attributes:
        fields: `tools`, `tool_choice` and `parallel_tool_calls` of the chat request, as far as it has them.
        foreign: the field that asks for a tool which only the provider has.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields: dict[str, Any] = {}
        self.foreign: str | None = None
        given = optional(fields, "tools", list, "a list of tools") or []
        tools = [item(tool, f"tools[{i}]") for i, tool in enumerate(given)]
        functions = [function for i, tool in enumerate(tools) if (function := _function(tool, f"tools[{i}]"))]
        choice = fields.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            names, choice = _allowed(choice)
            functions = [function for function in functions if function["function"]["name"] in names]
        self._choose(choice, functions)
        if functions:
            self.fields["tools"] = functions
            parallel = optional(fields, "parallel_tool_calls", bool, "true or false")
            if parallel is not None:
                self.fields["parallel_tool_calls"] = parallel

    def _choose(self, choice: Any, functions: list[dict[str, Any]]) -> None:
        if choice is None:
            return
        if isinstance(choice, str):
            if choice not in MODES:
                invalid(f"`tool_choice` must be none, auto or required, not `{choice[:40]}`.", "tool_choice")
            if functions:
                self.fields["tool_choice"] = choice
            elif choice == "required":
                self.foreign = "tool_choice"
            return
        if not isinstance(choice, dict):
            invalid(expected("tool_choice", "a string or an object", {"tool_choice": choice}), "tool_choice")
        if text(choice, "type", "tool_choice") not in TRANSLATED:
            self.foreign = "tool_choice"
            return
        name = text(choice, "name", "tool_choice")
        if not any(function["function"]["name"] == name for function in functions):
            invalid(f"`tool_choice` names a tool `{name[:80]}` that is not in `tools`.", "tool_choice.name")
        self.fields["tool_choice"] = {"type": "function", "function": {"name": name}}


def freeform_names(fields: dict[str, Any]) -> frozenset[str]:
    """The names of a checked request's freeform tools."""
    tools = fields.get("tools") or ()
    functions = {tool.get("name") for tool in tools if tool.get("type") == "function"}
    return frozenset(
        tool["name"] for tool in tools if tool.get("type") == "custom" and tool.get("name") not in functions
    )


def _function(tool: dict[str, Any], where: str) -> dict[str, Any] | None:
    """The chat function; None for a tool that the provider runs."""
    kind = text(tool, "type", where, "a type of tool")
    if kind not in TRANSLATED:
        return None
    function: dict[str, Any] = {"name": text(tool, "name", where)}
    description = optional(tool, "description", str, "a string", where)
    if kind == "custom":
        description = "\n\n".join(part for part in (description, _format(tool, where)) if part)
        parameters = freeform.parameters()
    else:
        parameters = optional(tool, "parameters", dict, "a JSON schema", where)
    if description:
        function["description"] = description
    if parameters is not None:
        function["parameters"] = parameters
    strict = optional(tool, "strict", bool, "true or false", where) if kind == "function" else None
    if strict is not None:
        function["strict"] = strict
    return {"type": "function", "function": function}


def _format(tool: dict[str, Any], where: str) -> str | None:
    """What a grammar demands, for models that nobody holds to it."""
    form = optional(tool, "format", dict, "an object", where)
    if form is None or form.get("type") != "grammar":
        return None
    syntax = text(form, "syntax", f"{where}.format")
    definition = text(form, "definition", f"{where}.format")
    return f"The input must follow this grammar ({syntax}):\n{definition}"


def _allowed(choice: dict[str, Any]) -> tuple[set[str], str]:
    """Which tools may be called, and whether one must be. Few servers know the form, so the others are not offered."""
    mode = text(choice, "mode", "tool_choice")
    if mode not in ("auto", "required"):
        invalid(f"`tool_choice.mode` must be auto or required, not `{mode[:40]}`.", "tool_choice.mode")
    tools = choice.get("tools")
    if not isinstance(tools, list):
        invalid(expected("tools", "a list", choice, "tool_choice"), "tool_choice.tools")
    names = set()
    for i, given in enumerate(tools):
        tool = item(given, f"tool_choice.tools[{i}]")
        if text(tool, "type", f"tool_choice.tools[{i}]") in TRANSLATED:
            names.add(text(tool, "name", f"tool_choice.tools[{i}]"))
    return names, mode
