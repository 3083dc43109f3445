"""Separates the question of a user from the elements (`<name>…</name>`) in which agents wrap it or which they put beside it.

An agent's element begins a line, and its name has at least two words: whose it is, and what it holds (`environment_details`,
`editorContext`, `system-reminder`). Markup that a user asks about rarely has such names. What a user quotes, after a colon or in
a code block, is not removed.
"""

import re
from itertools import islice
from typing import NamedTuple

from gateway.request.user_labels import answers_words

SEARCHED_TAGS = 2_000  # of one message
_OWNERS = (
    "system|environment|workspace|user|editor|session|repo|repository|project|conversation|chat|message|ide|runtime|agent"
    "|additional|extra|important|tools?|git|open|current|custom|attached|recent|recently|cursor|local|available|reminder|task"
    "|todo|working|command|response|output"
)
_KINDS = (
    "reminders?|format|details|info|information|context|history|memory|memories|instructions|rules|guidelines|status|state|files?"
    "|layout|selection|skills|progress|attachments|stdout|stderr|caveat"
)
_OPENING = re.compile(  # attributes are bounded, so that the search takes linear time
    rf"<((?:{_OWNERS})(?:[-_]\w{{1,30}}){{0,3}}[-_]?(?:{_KINDS})|additional_data|(?-i:INSTRUCTIONS))\b[^<>]{{0,1000}}>",
    re.IGNORECASE,
)
_SPACE = re.compile(r"\s*")
_REQUEST = "query|question|request|message|input|prompt|task|feedback"
_USER_REQUEST = re.compile(rf"^<((?:user|human|customer)[-_]?(?:{_REQUEST}))>", re.IGNORECASE | re.MULTILINE)
_QUESTION = re.compile(r"^<(question|query|request)>", re.MULTILINE)
_TAG = re.compile(r"<([a-zA-Z][\w.-]{0,60})[^<>]{0,1000}>")
_WHOLE_REQUEST = re.compile(rf"<({_REQUEST})>")
_RESPONSE = re.compile(r"^<(feedback|user_message|answer)>", re.MULTILINE)
_RESPONSE_CHARS = 400  # at the beginning of the result
_PURPOSE_TAG = re.compile(r"<(?:instructions?|task|role|goal|objective|system)>", re.IGNORECASE)
_HISTORY = re.compile(r"(?:chat|conversation|message)", re.IGNORECASE)
_FENCE = "\n```"
_ANNOUNCEMENT_CHARS = 300
_HEADINGS_CHARS = 500  # longer texts are more than headings


class Remainder(NamedTuple):
    """A text without the elements of agents.

    Attributes:
        text: what is left; the same string if there are no such elements, empty if only headings are left.
        had_history: True if an element with a conversation was removed.
    """

    text: str
    had_history: bool = False


def without_agent_elements(text: str) -> Remainder:
    """Return `text` without the elements of agents. Takes linear time: no part of it is searched twice for the same tag."""
    if "<" not in text or "</" not in text:  # one character is found faster
        return Remainder(text)
    parts: list[str] = []
    end = fences = 0
    had_history = False
    closed_at: dict[str, int] = {}  # position of the next closing tag of each name; -1 if there is no further one
    for tag in islice(_OPENING.finditer(text), SEARCHED_TAGS):
        start = tag.start()
        if start < end or (start > end and text[start - 1] != "\n"):  # inside a removed element, or inside a line
            continue
        name = tag.group(1)
        closing = closed_at.get(name, 0)
        if 0 <= closing < tag.end():
            closing = closed_at[name] = text.find(f"</{name}>", tag.end())
        if closing < 0:
            continue
        before = fences + _fences(text, end, start)
        if (before % 2 and text.find(_FENCE, closing) >= 0) or _is_quoted(text[end:start]):  # in a code block
            continue
        fences = before
        parts.append(text[end:start])
        space = _SPACE.match(text, closing + len(name) + 3)
        assert space is not None  # the pattern matches the empty string
        end = space.end()
        had_history = had_history or _HISTORY.match(name) is not None
    if not end:
        return Remainder(text)
    parts.append(text[end:])
    left = "".join(parts).strip()
    return Remainder("" if _only_headings(left) else left, had_history)


def request_element(text: str, template: bool) -> str | None:
    """Return the content of the element that holds the user's request; None if there is no such element.

    Args:
        text: a message without the elements of agents.
        template: the text begins like a template, and not like a user. Else the element must be the whole text, or among others.
    """
    if "<" not in text or "</" not in text:
        return None
    tag = _USER_REQUEST.search(text)
    if tag is None and text.startswith("<"):
        tag = _QUESTION.search(text)
    whole = _WHOLE_REQUEST.match(text) or _USER_REQUEST.match(text)
    if whole is not None and text.rstrip().endswith(closing := f"</{whole.group(1)}>"):
        return text[whole.end() : text.rindex(closing)].strip() or None
    if tag is None or not (_is_among_elements(text, tag.start()) if text.startswith("<") else template):
        return None
    beginning = text[: tag.start()].split("\n\n", 1)[0]
    if beginning and not answers_words(beginning) and (beginning[0] != "<" or _PURPOSE_TAG.match(beginning)):
        return None
    content, _, after = text[tag.end() :].rpartition(f"</{tag.group(1)}>")
    after = after.strip()
    if after and text.startswith("<") and not (after.startswith("<") and after.endswith(">")):
        return None  # a user's own text about markup
    return content.strip() or None


def _is_among_elements(text: str, start: int) -> bool:
    """Return True if the first element of a text ends before the element that begins at `start`, or is this element."""
    first = _TAG.match(text)
    return start == 0 or (first is not None and text.find(f"</{first.group(1)}>", 0, start) >= 0)


def response_element(result: str) -> str | None:
    """Return the user's words in a tool result that contains their response to the agent (Cline); None if there are none."""
    if _RESPONSE.search(result, 0, _RESPONSE_CHARS) is None:
        return None
    text = without_agent_elements(result).text
    tag = _RESPONSE.search(text)
    closing = "" if tag is None else f"</{tag.group(1)}>"
    return text[tag.end() : text.rindex(closing)].strip() or None if tag and text.endswith(closing) else None


def _is_quoted(before: str) -> bool:
    """Return True if the words before an element announce it; a heading does not."""
    words = before[-_ANNOUNCEMENT_CHARS:].rstrip()
    return words.endswith((":", "：")) and not words.rpartition("\n")[2].startswith("#")


def _only_headings(text: str) -> bool:
    return len(text) <= _HEADINGS_CHARS and all(line.startswith("#") or not line for line in text.split("\n"))


def _fences(text: str, start: int, end: int) -> int:
    """Return the number of lines in this part of `text` that begin or end a code block."""
    return text.count(_FENCE, max(start - 1, 0), end) + (start == 0 and text.startswith("```"))
