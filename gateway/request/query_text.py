"""Extracts from a conversation the text by which it is routed."""

import re
from collections.abc import Mapping
from itertools import islice

from gateway.core.json_types import JsonObject

QUERY_MIN_CHARS = 24  # a shorter last user turn ("go on") does not identify the task
QUERY_MAX_CHARS = 8_000  # much more than the encoder's 512 tokens; bounds the work per request
# Elements that agents add to the text of the user: the state of an editor, reminders, instructions from files.
_ELEMENTS = "system-reminder|environment_details|environment_context|user_instructions|additional_data"
_OPENING = re.compile(rf"<({_ELEMENTS})\b[^<>]{{0,1000}}>")  # bounded, so that the search takes linear time
_SPACE = re.compile(r"\s*")
SEARCHED_CHARS = 300_000  # at the beginning of one message
SEARCHED_TAGS = 2_000  # of one message


def query_text(messages: list[JsonObject]) -> str:
    """Return the text that the query encoder encodes for a conversation: at most 8,000 characters.

    The text is the last user turn, without the elements that agents add (`<system-reminder>`, `<environment_details>` and
    similar ones). If it is shorter than 24 characters ("go on"), earlier user turns are put before it. If no user turn has
    text, the text is the last message that has any.
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


def user_text(message: JsonObject) -> str:
    """Return the text of one message without the elements that agents add; the whole text if nothing else is left."""
    text = message_text(message)
    if "</" not in text:
        return text
    return _without_elements(text[:SEARCHED_CHARS]).strip() or text


def _without_elements(text: str) -> str:
    """Return the beginning of `text` that the query needs, without the elements of agents.

    It takes linear time: no part of the text is searched twice for the same tag.
    """
    parts: list[str] = []
    end = length = 0
    closed_at: dict[str, int] = {}  # position of the next closing tag of each name; -1 if there is no further one
    for tag in islice(_OPENING.finditer(text), SEARCHED_TAGS):
        start = tag.start()
        if start < end:  # inside an element that was removed
            continue
        name = tag.group(1)
        closing = closed_at.get(name, 0)
        if 0 <= closing < tag.end():
            closing = closed_at[name] = text.find(f"</{name}>", tag.end())
        if closing < 0:
            continue
        parts.append(text[end:start])
        length += len(parts[-1].strip())
        space = _SPACE.match(text, closing + len(name) + 3)
        assert space is not None  # the pattern matches the empty string
        end = space.end()
        if length >= QUERY_MAX_CHARS:
            break
    parts.append(text[end : end + 2 * QUERY_MAX_CHARS])
    return "".join(parts)


def message_text(message: Mapping[str, object]) -> str:
    """Return the text of one message. If its content is a list of parts, their texts are joined by newlines."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if isinstance(part.get("text"), str))
    return ""
