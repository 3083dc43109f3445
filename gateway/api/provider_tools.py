"""The tools that only a provider runs itself, such as web search: what of them is told to clients."""

MOST_TOLD = 10  # of the types that are told
_CHARS = 40


def told_type(kind: str) -> str:
    """The type of a tool in words that may stand in a header and in an error; `unknown` where it is no plain name."""
    return kind if len(kind) <= _CHARS and kind.isascii() and kind.isidentifier() else "unknown"
