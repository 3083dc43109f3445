"""Sections of a template: the lines that begin them, and where the section with the user's words ends."""

import re
from itertools import islice

SEARCHED_LINES = 200  # of each kind, in one message
_LINE_CHARS = 200  # of a line that is read
_FENCE = "\n```"
HEADING = re.compile(r"^#{1,6}[ \t]+(?=\S)", re.MULTILINE)
_BOLD = re.compile(r"^\*\*[^*\n]{1,60}\*\*:?", re.MULTILINE)
# Lines such as `=== USER ===` and `[USER]`: they are rare in a user's own words.
_BANNER = re.compile(
    r"^(?:[=~-]{2,} ?\w[^\n]{0,60}[=~-]{2,}|\*{3,} ?\w[^\n]{0,60}\*{3,}|\[/?[A-Za-z][^\[\]\n]{0,60}\])[ \t]*$",
    re.MULTILINE,
)
_ABOUT_ANSWER = re.compile(
    r"\b(?:output|format|formatting|response|instructions?|guidelines|rules|answer|reminder|constraints|assistant)\b",
    re.IGNORECASE,
)


def begins_section(line: str) -> bool:
    """Return True if a line is a heading, a bold line or a banner."""
    bold = _BOLD.match(line)
    return (
        HEADING.match(line) is not None
        or _BANNER.match(line) is not None
        or (bold is not None and bold.group() == line)
    )


def end_of_section(text: str, label: int, start: int) -> int:
    """Return where the section with the user's words ends: at the next banner, or at the last sections about the answer.

    Args:
        label: where the line begins that names the section. Headings of lower levels are the user's.
        start: where the user's words begin.
    """
    if _BANNER.match(text, label):
        banner = _BANNER.search(text, start)
        return len(text) if banner is None else banner.start()
    heading = HEADING.match(text, label)
    if heading is None and _BOLD.match(text, label) is None:
        return len(text)
    level = 0 if heading is None else heading.group().count("#")
    found = islice((HEADING if level else _BOLD).finditer(text, start), SEARCHED_LINES)
    cut = len(text)
    for line in reversed([match for match in found if match.group().count("#") <= level]):
        title = text[line.start() : line.start() + _LINE_CHARS].split("\n", 1)[0]
        if _ABOUT_ANSWER.search(title) is None or in_code(text, line.start()):
            break
        cut = line.start()
    return cut


def in_code(text: str, at: int) -> bool:
    """Return True if the position is in a block of code."""
    before = text.count(_FENCE, 0, at) + text.startswith("```")
    return before % 2 == 1 and text.find(_FENCE, at) >= 0
