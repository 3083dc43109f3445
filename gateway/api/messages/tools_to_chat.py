"""The tools of a Messages request -> chat functions."""

from gateway.api.function_names import MAX_NAME_CHARS, short_name
from gateway.api.provider_tools import MAX_LISTED_TOOLS, displayable_name
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import objects, optional, required, string, unknown_value

_SEARCH_TYPE_PREFIX = "tool_search_tool_"


class ChatTools:
    """The tools of a request, translated.

    Attributes:
        functions: the tools with a schema of their own, as chat functions. The provider's tools (web search, bash, …) have no
            equivalent.
        choice: the chat fields `tool_choice` and `parallel_tool_calls`, if set.
        left_out: the provider's tools, such as `tools.web_search_20250305`.
        native_only: the field that requires one of the provider's tools, or the provider's tools if there are no others.
    """

    def __init__(self, fields: JsonObject) -> None:
        self.functions: list[JsonObject] = []
        self.native_only: str | None = None
        self._names: set[str] = set()
        provided: dict[str, None] = {}  # an ordered set
        if fields.get("tools") is not None:
            for where, tool in objects(fields, "tools", "a list of tools"):
                if (name := optional(tool, "name", str, "a string", where)) is not None:
                    self._names.add(name)
                kind = optional(tool, "type", str, "a string", where)
                if kind in (None, "custom") or "input_schema" in tool:
                    self.functions.append(_function(tool, where))
                elif not kind.startswith(_SEARCH_TYPE_PREFIX):  # chat offers all functions without a search
                    provided[f"tools.{displayable_name(kind)}"] = None
        if optional(fields, "mcp_servers", list, "a list of servers"):
            provided["mcp_servers"] = None
        self.left_out = tuple(provided)[:MAX_LISTED_TOOLS]
        choice = optional(fields, "tool_choice", dict, "an object")
        self.choice = self._choice(choice)
        if provided and not self.functions and self.native_only is None and (choice or {}).get("type") != "none":
            # Without any tool, a model would invent the results.
            self.native_only = ", ".join(self.left_out)

    def _choice(self, choice: JsonObject | None) -> JsonObject:
        """Return the chat fields that say how tools are to be used."""
        if choice is None:
            return {}
        one = optional(choice, "disable_parallel_tool_use", bool, "true or false", "tool_choice")
        parallel = {"parallel_tool_calls": False} if one and self.functions else {}
        match string(choice, "type", "tool_choice"):
            case "auto":
                return {"tool_choice": "auto"} | parallel if self.functions else {}
            case "none":
                return {"tool_choice": "none"} if self.functions else {}
            case "any":
                if not self._names:
                    raise InvalidRequest("`tool_choice` demands a tool, and there are no `tools`.", param="tool_choice")
                return {"tool_choice": "required"} | parallel if self.functions else {}
            case "tool":
                return self._named(string(choice, "name", "tool_choice")) | parallel
        raise unknown_value(choice, "type", "`auto`, `any`, `tool` or `none`", "tool_choice")

    def _named(self, name: str) -> JsonObject:
        if name not in self._names:
            at = "tool_choice.name"
            raise InvalidRequest(f"`{at}` is `{name[:100]}`, and no tool has that name.", param=at)
        if not any(function["function"]["name"] == short_name(name) for function in self.functions):
            self.native_only = f"tool_choice.name: {displayable_name(name)}"
            return {}
        return {"tool_choice": {"type": "function", "function": {"name": short_name(name)}}}


def _function(tool: JsonObject, where: str) -> JsonObject:
    function: JsonObject = {"name": short_name(string(tool, "name", where))}
    if (description := optional(tool, "description", str, "a string", where)) is not None:
        function["description"] = description
    function["parameters"] = required(tool, "input_schema", dict, "a JSON schema", where)
    if optional(tool, "strict", bool, "true or false", where) and is_strict(function["parameters"]):
        function["strict"] = True
    return {"type": "function", "function": function}


def long_names(fields: JsonObject) -> dict[str, str]:
    """Return the tool names that were too long for chat, by their shortened names.

    Args:
        fields: of a Messages request that has been checked.
    """
    names = [tool["name"] for tool in fields.get("tools") or () if isinstance(tool.get("name"), str)]
    return {short_name(name): name for name in names if len(name) > MAX_NAME_CHARS}


def is_strict(schema: object) -> bool:
    """Return True if chat APIs accept the schema as strict: objects are closed, and all their properties are required."""
    pending = [schema]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        elif isinstance(value, dict):
            properties = value.get("properties")
            if isinstance(properties, dict) or value.get("type") == "object":
                required = value.get("required")
                named = set(properties) if isinstance(properties, dict) else set()
                given = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
                if value.get("additionalProperties") is not False or named != given:
                    return False
            pending += value.values()
    return True
