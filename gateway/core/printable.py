"""Escapes control characters in text from outside, so that it is safe in a log line and on a terminal."""

import json

MAX_CHARS = 4_000  # longest log message


def printable(text: str) -> str:
    """Escape line breaks, control, bidirectional and other invisible characters as Python does.

    `printable("a\\n\\x1b[31m")` is `"a\\\\n\\\\x1b[31m"`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def log_line(text: str) -> str:
    """Return the text as one log line of at most `MAX_CHARS` characters; a longer text is cut and its length appended."""
    return printable(text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS]}… ({len(text)} characters)")


def printable_json(text: str) -> str:
    """Return JSON with the characters that a terminal would not print as escapes of JSON."""
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)
