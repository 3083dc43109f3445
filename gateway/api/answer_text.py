"""The text of a chat message or delta, for the writers of the other formats."""

from collections.abc import Mapping


def content_text(content: object) -> str:
    """Return the text of `content`; of a list of parts, the text of those parts that have one."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


def reasoning_text(message: Mapping[str, object]) -> str:
    """Return the reasoning of a chat message or delta; providers use two names for it."""
    return content_text(message.get("reasoning_content")) or content_text(message.get("reasoning"))
