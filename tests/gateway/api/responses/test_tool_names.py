"""Names of tools in both directions."""

from gateway.api.responses.tool_names import ClientTool, ToolNames


def test_a_namespace_is_a_prefix() -> None:
    names = ToolNames()
    page = ClientTool("function_call", "fetch_page", "mcp__web__")
    assert names.add(page) == "mcp__web__fetch_page"
    assert names.chat_name("fetch_page", "mcp__web__") == "mcp__web__fetch_page"
    assert names.client_tool("mcp__web__fetch_page") == page


def test_names_that_no_tool_has() -> None:
    names = ToolNames()
    assert names.chat_name("old.name") == "old_name"
    assert names.client_tool("invented") == ClientTool("function_call", "invented")
    assert names.freeform_functions == frozenset()
