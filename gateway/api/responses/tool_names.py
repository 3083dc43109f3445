"""The names of a Responses request's tools, and those of the chat functions that stand for them.

The API groups functions in namespaces (`mcp__web__` with `fetch_page`). Chat has one flat list, here with `mcp__web__fetch_page`.
"""

from typing import Literal, NamedTuple

from gateway.api.function_names import allowed_name, hashed_name

Kind = Literal["function_call", "custom_tool_call", "tool_search_call"]
SEARCH = "tool_search"  # the chat function for a search for tools that the client runs


class ClientTool(NamedTuple):
    """A tool as the client knows it.

    Attributes:
        kind: the type of the items that call it.
    """

    kind: Kind
    name: str
    namespace: str | None = None


class ToolNames:
    """The names of one request's tools, in both directions."""

    def __init__(self) -> None:
        self._tools: dict[str, ClientTool] = {}
        self._chat: dict[tuple[str | None, str], str] = {}

    def add(self, tool: ClientTool) -> str | None:
        """The name that chat has for a tool from now on; None where a tool of its name and namespace has been added before."""
        key = (tool.namespace, tool.name)
        if key in self._chat:
            return None
        name = allowed_name(f"{tool.namespace or ''}{tool.name}")
        if name in self._tools:  # `a` with `b_c` beside `a_b` with `c`
            name = hashed_name(name, repr(key))
        if name in self._tools:
            return None
        self._tools[name] = tool
        self._chat[key] = name
        return name

    def chat_name(self, name: str, namespace: str | None = None) -> str:
        """The name in chat of the client's tool; also of one that is not offered, as an earlier turn may have called it."""
        return self._chat.get((namespace, name)) or allowed_name(f"{namespace or ''}{name}")

    def client_tool(self, name: str) -> ClientTool:
        """The client's tool of a chat function; a function of that name where the model made it up."""
        return self._tools.get(name) or ClientTool("function_call", name)

    @property
    def freeform_functions(self) -> frozenset[str]:
        """The chat names of the tools whose input is any text."""
        return frozenset(name for name, tool in self._tools.items() if tool.kind == "custom_tool_call")
