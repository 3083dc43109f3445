"""Tools that only a provider can run itself, such as web search: their names in headers and error messages."""

MAX_LISTED_TOOLS = 10  # in one header or message
_MAX_CHARS = 40


def displayable_name(name: str) -> str:
    """Return a tool's type or name if it is a plain identifier, which is safe in a header; otherwise `unknown`."""
    return name if len(name) <= _MAX_CHARS and name.isascii() and name.isidentifier() else "unknown"
