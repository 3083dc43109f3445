"""The text that a conversation is routed by."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

QUERY_MIN_CHARS = 24  # below this a last user turn ("go on") says nothing by itself
QUERY_MAX_CHARS = 8_000  # well above the encoder's 512 tokens; bounds the work per request
# What agents put around the words of their user: the state of an editor, reminders, instructions from files.
_WRAPPING = "system-reminder|environment_details|environment_context|user_instructions|additional_data"
_OPENING = re.compile(rf"<({_WRAPPING})\b[^<>]{{0,1000}}>")  # bounded, so that many unclosed tags take linear time
_SPACE = re.compile(r"\s*")
SEARCHED_CHARS = 300_000  # of one message, and
SEARCHED_TAGS = 2_000  # bound the work on a message that is nearly all wrapping


def query_text(messages: list[dict[str, Any]]) -> str:
    """The text that represents a conversation to the query encoder.

    The last user turn, without what agents put around it (`<system-reminder>`, `<environment_details>` and their like);
    while that is shorter than 24 characters ("go on"), the user turn before it is put in front. Without any user turn, the
    last message that has text. At most 8,000 characters, from the start.
    """
    turns: list[str] = []
    length = 0
    for message in reversed(messages):
        if message["role"] == "user":
            text = user_text(message)[:QUERY_MAX_CHARS]
            turns.append(text)
            length += len(text)
            if length >= QUERY_MIN_CHARS:
                break
    if not length:
        turns = next(([text] for m in reversed(messages) if (text := message_text(m))), [])
    return "\n".join(reversed(turns))[:QUERY_MAX_CHARS]


def user_text(message: dict[str, Any]) -> str:
    """The text of one message, without what agents put around it."""
    return _own_words(message_text(message))


def _own_words(text: str) -> str:
    """What the user wrote; all of it where nothing else is left."""
    if "</" not in text:
        return text
    return _unwrapped(text[:SEARCHED_CHARS]).strip() or text


def _unwrapped(text: str) -> str:
    """`text` without its wrapped parts, as far as the query needs it. Linear: no stretch is searched twice for one tag."""
    kept: list[str] = []
    end = length = 0
    closed_at: dict[str, int] = {}  # the next closing tag of each kind, or -1 where there is no further one
    for tag in islice(_OPENING.finditer(text), SEARCHED_TAGS):
        start = tag.start()
        if start < end:  # inside of what was left out
            continue
        name = tag.group(1)
        closing = closed_at.get(name, 0)
        if 0 <= closing < tag.end():
            closing = closed_at[name] = text.find(f"</{name}>", tag.end())
        if closing < 0:
            continue
        kept.append(text[end:start])
        length += len(kept[-1].strip())
        space = _SPACE.match(text, closing + len(name) + 3)
        assert space is not None  # an empty match at least
        end = space.end()
        if length >= QUERY_MAX_CHARS:
            break
    kept.append(text[end : end + 2 * QUERY_MAX_CHARS])
    return "".join(kept)


def message_text(message: Mapping[str, Any]) -> str:
    """The text of one message; the text parts joined by newlines where its content is a list of parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""
