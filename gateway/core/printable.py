"""Text of others made fit for a log line or a terminal: what would move the cursor or begin a line is shown as its code."""

MAX_CHARS = 4_000  # of one log message; more tells nothing more


def printable(text: str) -> str:
    """The text with line breaks, control, bidirectional and other invisible characters escaped as in Python.

    `printable("a\\n\\x1b[31m")` is `"a\\\\n\\\\x1b[31m"`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def log_line(text: str) -> str:
    """The text as one log line, cut where it is longer than any message of ours."""
    return printable(text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}… ({len(text)} characters)")
