"""Tools of the Responses API as chat functions.

A function is nested one level deeper in chat. A freeform tool (`custom`, as Codex's `apply_patch`) becomes a function with
one string. The functions of a namespace get its name in front of theirs. The search for tools that a client runs is a function
too; what it found are functions from then on. Where the provider searches itself, all tools are offered at once.

The tools that a provider runs itself (web search, MCP, …) exist only in this API, so they are left out.
"""

from collections.abc import Iterable
from typing import Any

from gateway.api.provider_tools import MOST_TOLD, told_type
from gateway.api.responses import freeform_tools
from gateway.api.responses.checks import invalid, item, optional, text
from gateway.api.responses.tool_names import SEARCH, ClientTool, Kind, ToolNames
from gateway.core.fields import expected

TRANSLATED = frozenset({"function", "custom"})
BRINGING = ("tool_search_output", "additional_tools")  # input items with tools
MODES = frozenset({"auto", "none", "required"})
_QUERY = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


class ChatTools:
    """The tools of a request, checked.

    Args:
        items: of the conversation, each with its place in the request; some bring tools.

    Attributes:
        fields: `tools`, `tool_choice` and `parallel_tool_calls` of the chat request, as far as it has them.
        names: of the tools, the client's and those of chat.
        left_out: the tools that only the provider has, as `tools.web_search`.
        foreign: the field that asks for a tool which only the provider has.
    """

    def __init__(self, fields: dict[str, Any], items: Iterable[tuple[str, dict[str, Any]]] = ()) -> None:
        self.fields: dict[str, Any] = {}
        self.names = ToolNames()
        self.left_out: tuple[str, ...] = ()
        self.foreign: str | None = None
        self._functions: list[dict[str, Any]] = []
        self._provider: dict[str, None] = {}  # types of the tools that only the provider has, in order
        self._add(optional(fields, "tools", list, "a list of tools") or [], "tools")
        for where, brought in items:
            if brought.get("type") in BRINGING:
                self._add(optional(brought, "tools", list, "a list of tools", where) or [], f"{where}.tools")
        self._choose(fields.get("tool_choice"))
        self.left_out = tuple(f"tools.{kind}" for kind in self._provider)[:MOST_TOLD]
        if self._functions:
            self.fields["tools"] = self._functions
            parallel = optional(fields, "parallel_tool_calls", bool, "true or false")
            if parallel is not None:
                self.fields["parallel_tool_calls"] = parallel
        elif self._provider and self.foreign is None and fields.get("tool_choice") != "none":
            self.foreign = f"tools: {', '.join(list(self._provider)[:MOST_TOLD])}"

    def _add(self, tools: list[Any], where: str, space: dict[str, Any] | None = None) -> None:
        for i, given in enumerate(tools):
            at = f"{where}[{i}]"
            tool = item(given, at)
            kind = text(tool, "type", at, "a type of tool")
            if kind in TRANSLATED:
                self._add_function(tool, kind, at, space)
            elif kind == "namespace" and space is None:
                text(tool, "name", at)
                self._add(optional(tool, "tools", list, "a list of tools", at) or [], f"{at}.tools", tool)
            elif kind == SEARCH:
                if tool.get("execution") == "client":
                    self._add_search(tool, at)
            else:
                self._provider[told_type(kind)] = None

    def _add_function(self, tool: dict[str, Any], kind: str, where: str, space: dict[str, Any] | None) -> None:
        called: Kind = "function_call" if kind == "function" else "custom_tool_call"
        known = ClientTool(called, text(tool, "name", where), space["name"] if space is not None else None)
        function = _custom(tool, where) if kind == "custom" else _function(tool, where)
        if "description" not in function and space is not None and isinstance(space.get("description"), str):
            function["description"] = space["description"]
        self._append(known, function)

    def _add_search(self, tool: dict[str, Any], where: str) -> None:
        parameters = optional(tool, "parameters", dict, "a JSON schema", where) or _QUERY
        description = optional(tool, "description", str, "a string", where) or "Searches for tools that can be called."
        self._append(ClientTool("tool_search_call", SEARCH), {"description": description, "parameters": parameters})

    def _append(self, tool: ClientTool, function: dict[str, Any]) -> None:
        name = self.names.add(tool)
        if name is not None:
            self._functions.append({"type": "function", "function": {"name": name} | function})

    def _choose(self, choice: Any) -> None:
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            choice = self._allow(choice)
        if choice is None:
            return
        if isinstance(choice, str):
            if choice not in MODES:
                invalid(f"`tool_choice` must be none, auto or required, not `{choice[:40]}`.", "tool_choice")
            if self._functions:
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
        chat = self.names.chat_name(name, optional(choice, "namespace", str, "a string", "tool_choice"))
        if not any(function["function"]["name"] == chat for function in self._functions):
            invalid(f"`tool_choice` names a tool `{name[:80]}` that is not in `tools`.", "tool_choice.name")
        self.fields["tool_choice"] = {"type": "function", "function": {"name": chat}}

    def _allow(self, choice: dict[str, Any]) -> str:
        """Keeps the tools that may be called, since few servers know the form; tells whether one must be."""
        mode = text(choice, "mode", "tool_choice")
        if mode not in ("auto", "required"):
            invalid(f"`tool_choice.mode` must be auto or required, not `{mode[:40]}`.", "tool_choice.mode")
        tools = choice.get("tools")
        if not isinstance(tools, list):
            invalid(expected("tools", "a list", choice, "tool_choice"), "tool_choice.tools")
        names, spaces = set(), set()
        provider: dict[str, None] = {}
        for i, given in enumerate(tools):
            at = f"tool_choice.tools[{i}]"
            tool = item(given, at)
            kind = text(tool, "type", at)
            if kind in TRANSLATED:
                names.add(
                    self.names.chat_name(text(tool, "name", at), optional(tool, "namespace", str, "a string", at))
                )
            elif kind == "namespace":
                spaces.add(text(tool, "name", at))
            elif told_type(kind) in self._provider:
                provider[told_type(kind)] = None
        self._provider = provider
        self._functions = [
            function
            for function in self._functions
            if (name := function["function"]["name"]) in names or self.names.client_tool(name).namespace in spaces
        ]
        return mode


def _function(tool: dict[str, Any], where: str) -> dict[str, Any]:
    function: dict[str, Any] = {}
    if description := optional(tool, "description", str, "a string", where):
        function["description"] = description
    parameters = optional(tool, "parameters", dict, "a JSON schema", where)
    if parameters is not None:
        function["parameters"] = parameters
    strict = optional(tool, "strict", bool, "true or false", where)
    if strict is not None:
        function["strict"] = strict
    return function


def _custom(tool: dict[str, Any], where: str) -> dict[str, Any]:
    """A freeform tool, with what a grammar demands in its description, for models whose output is not held to it."""
    said = [optional(tool, "description", str, "a string", where)]
    form = optional(tool, "format", dict, "an object", where)
    if form is not None and form.get("type") == "grammar":
        syntax = text(form, "syntax", f"{where}.format")
        definition = text(form, "definition", f"{where}.format")
        said.append(f"The input must follow this grammar ({syntax}):\n{definition}")
    function: dict[str, Any] = {"parameters": freeform_tools.parameters()}
    if description := "\n\n".join(part for part in said if part):
        function["description"] = description
    return function
