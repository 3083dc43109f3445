"""The names of a Responses request's tools, and the names of the chat functions that replace them.

The Responses API groups functions in namespaces, such as `mcp__web__` with `fetch_page`. Chat has one flat list, here with
`mcp__web__fetch_page`.
"""

from typing import Literal, NamedTuple

from gateway.api.function_names import name_with_hash, valid_name

Kind = Literal["function_call", "custom_tool_call", "tool_search_call"]
SEARCH = "tool_search"  # the chat function for tool search that the client runs


class ClientTool(NamedTuple):
    """A tool under the client's name.

    Attributes:
        kind: the type of the items that call it.
    """

    kind: Kind
    name: str
    namespace: str | None = None


class ToolNames:
    """Maps the names of one request's tools, in both directions."""

    def __init__(self) -> None:
        self._tools: dict[str, ClientTool] = {}
        self._chat_names: dict[tuple[str | None, str], str] = {}

    def add(self, tool: ClientTool) -> str | None:
        """Add a tool and return its name in chat; None if a tool of this name and namespace was added before."""
        key = (tool.namespace, tool.name)
        if key in self._chat_names:
            return None
        name = valid_name(f"{tool.namespace or ''}{tool.name}")
        if name in self._tools:  # for example namespace `a` with `b_c`, and namespace `a_b` with `c`
            name = name_with_hash(name, repr(key))
        if name in self._tools:
            return None
        self._tools[name] = tool
        self._chat_names[key] = name
        return name

    def chat_name(self, name: str, namespace: str | None = None) -> str:
        """Return the chat name of the client's tool, also of one that only an earlier turn called."""
        return self._chat_names.get((namespace, name)) or valid_name(f"{namespace or ''}{name}")

    def client_tool(self, name: str) -> ClientTool:
        """Return the client's tool for a chat function; a function of this name if the model invented it."""
        return self._tools.get(name) or ClientTool("function_call", name)

    @property
    def freeform_functions(self) -> frozenset[str]:
        """The chat names of the freeform tools."""
        return frozenset(name for name, tool in self._tools.items() if tool.kind == "custom_tool_call")
