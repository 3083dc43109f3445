"""The tools of a Responses request -> chat functions.

A function is nested one level deeper in chat. A freeform tool (`custom`, such as Codex's `apply_patch`) becomes a function with
one string parameter. The functions of a namespace get its name as a prefix. Tool search that the client runs becomes a function;
the tools that it finds are functions from then on. If the provider would run the search, all tools are offered at once.

Tools that a provider runs itself (web search, MCP, …) exist only in the Responses API, so they are left out.
"""

from collections.abc import Iterable

from gateway.api.provider_tools import MAX_LISTED_TOOLS, displayable_name
from gateway.api.responses import freeform_tools
from gateway.api.responses.tool_names import SEARCH, ClientTool, Kind, ToolNames
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import json_object, optional, string, wrong_type

TRANSLATED = frozenset({"function", "custom"})
ITEMS_WITH_TOOLS = ("tool_search_output", "additional_tools")  # types of input items
CHOICE_MODES = frozenset({"auto", "none", "required"})
_QUERY_SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


class ChatTools:
    """The tools of a request, checked and translated.

    Args:
        items: the items of the conversation, each with its path in the request; some contain tools.

    Attributes:
        fields: the chat fields `tools`, `tool_choice` and `parallel_tool_calls`, if set.
        names: the names of the tools, in the client's request and in chat.
        left_out: the provider's tools, such as `tools.web_search`.
        native_only: the field that requires one of the provider's tools, if any.
    """

    def __init__(self, fields: JsonObject, items: Iterable[tuple[str, JsonObject]] = ()) -> None:
        self.fields: JsonObject = {}
        self.names = ToolNames()
        self.left_out: tuple[str, ...] = ()
        self.native_only: str | None = None
        self._functions: list[JsonObject] = []
        self._provider: dict[str, None] = {}  # types of the provider's tools, as an ordered set
        self._add(optional(fields, "tools", list, "a list of tools") or [], "tools")
        for where, given in items:
            if given.get("type") in ITEMS_WITH_TOOLS:
                self._add(optional(given, "tools", list, "a list of tools", where) or [], f"{where}.tools")
        self._choose(fields.get("tool_choice"))
        self.left_out = tuple(f"tools.{kind}" for kind in self._provider)[:MAX_LISTED_TOOLS]
        if self._functions:
            self.fields["tools"] = self._functions
            parallel = optional(fields, "parallel_tool_calls", bool, "true or false")
            if parallel is not None:
                self.fields["parallel_tool_calls"] = parallel
        elif self._provider and self.native_only is None and fields.get("tool_choice") != "none":
            self.native_only = f"tools: {', '.join(list(self._provider)[:MAX_LISTED_TOOLS])}"

    def _add(self, tools: list[object], where: str, namespace: JsonObject | None = None) -> None:
        for i, given in enumerate(tools):
            at = f"{where}[{i}]"
            tool = json_object(given, at)
            kind = string(tool, "type", at, "a type of tool")
            if kind in TRANSLATED:
                self._add_function(tool, kind, at, namespace)
            elif kind == "namespace" and namespace is None:
                string(tool, "name", at)
                self._add(optional(tool, "tools", list, "a list of tools", at) or [], f"{at}.tools", tool)
            elif kind == SEARCH:
                if tool.get("execution") == "client":
                    self._add_search(tool, at)
            else:
                self._provider[displayable_name(kind)] = None

    def _add_function(self, tool: JsonObject, kind: str, where: str, namespace: JsonObject | None) -> None:
        call_type: Kind = "function_call" if kind == "function" else "custom_tool_call"
        client_tool = ClientTool(
            call_type, string(tool, "name", where), None if namespace is None else namespace["name"]
        )
        function = _freeform_function(tool, where) if kind == "custom" else _function(tool, where)
        if "description" not in function and namespace is not None and isinstance(namespace.get("description"), str):
            function["description"] = namespace["description"]
        self._append(client_tool, function)

    def _add_search(self, tool: JsonObject, where: str) -> None:
        parameters = optional(tool, "parameters", dict, "a JSON schema", where) or _QUERY_SCHEMA
        description = optional(tool, "description", str, "a string", where) or "Searches for tools that can be called."
        self._append(ClientTool("tool_search_call", SEARCH), {"description": description, "parameters": parameters})

    def _append(self, tool: ClientTool, function: JsonObject) -> None:
        name = self.names.add(tool)
        if name is not None:
            self._functions.append({"type": "function", "function": {"name": name} | function})

    def _choose(self, choice: object) -> None:
        if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
            choice = self._restrict_to_allowed(choice)
        if choice is None:
            return
        if isinstance(choice, str):
            if choice not in CHOICE_MODES:
                raise InvalidRequest(
                    f"`tool_choice` must be none, auto or required, not `{choice[:40]}`.", param="tool_choice"
                )
            if self._functions:
                self.fields["tool_choice"] = choice
            elif choice == "required":
                self.native_only = "tool_choice"
            return
        if not isinstance(choice, dict):
            raise wrong_type({"tool_choice": choice}, "tool_choice", "a string or an object")
        if string(choice, "type", "tool_choice") not in TRANSLATED:
            self.native_only = "tool_choice"
            return
        name = string(choice, "name", "tool_choice")
        chat = self.names.chat_name(name, optional(choice, "namespace", str, "a string", "tool_choice"))
        if not any(function["function"]["name"] == chat for function in self._functions):
            raise InvalidRequest(
                f"`tool_choice` names a tool `{name[:80]}` that is not in `tools`.", param="tool_choice.name"
            )
        self.fields["tool_choice"] = {"type": "function", "function": {"name": chat}}

    def _restrict_to_allowed(self, choice: JsonObject) -> str:
        """Keep only the allowed tools, because few servers support `allowed_tools`; return the mode, `auto` or `required`."""
        mode = string(choice, "mode", "tool_choice")
        if mode not in ("auto", "required"):
            raise InvalidRequest(
                f"`tool_choice.mode` must be auto or required, not `{mode[:40]}`.", param="tool_choice.mode"
            )
        tools = choice.get("tools")
        if not isinstance(tools, list):
            raise wrong_type(choice, "tools", "a list", "tool_choice")
        names, namespaces = set(), set()
        provider: dict[str, None] = {}
        for i, given in enumerate(tools):
            at = f"tool_choice.tools[{i}]"
            tool = json_object(given, at)
            kind = string(tool, "type", at)
            if kind in TRANSLATED:
                names.add(
                    self.names.chat_name(string(tool, "name", at), optional(tool, "namespace", str, "a string", at))
                )
            elif kind == "namespace":
                namespaces.add(string(tool, "name", at))
            elif displayable_name(kind) in self._provider:
                provider[displayable_name(kind)] = None
        self._provider = provider
        self._functions = [
            function
            for function in self._functions
            if (name := function["function"]["name"]) in names or self.names.client_tool(name).namespace in namespaces
        ]
        return mode


def _function(tool: JsonObject, where: str) -> JsonObject:
    function: JsonObject = {}
    if description := optional(tool, "description", str, "a string", where):
        function["description"] = description
    parameters = optional(tool, "parameters", dict, "a JSON schema", where)
    if parameters is not None:
        function["parameters"] = parameters
    strict = optional(tool, "strict", bool, "true or false", where)
    if strict is not None:
        function["strict"] = strict
    return function


def _freeform_function(tool: JsonObject, where: str) -> JsonObject:
    """Return the function for a freeform tool. Its description contains the grammar, which chat cannot enforce."""
    descriptions = [optional(tool, "description", str, "a string", where)]
    form = optional(tool, "format", dict, "an object", where)
    if form is not None and form.get("type") == "grammar":
        syntax = string(form, "syntax", f"{where}.format")
        definition = string(form, "definition", f"{where}.format")
        descriptions.append(f"The input must follow this grammar ({syntax}):\n{definition}")
    function: JsonObject = {"parameters": freeform_tools.function_parameters()}
    if description := "\n\n".join(part for part in descriptions if part):
        function["description"] = description
    return function
