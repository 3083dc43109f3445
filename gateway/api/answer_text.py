"""The text of a chat message or delta, for the writers of the other formats, and how much text a complete answer has."""

from collections.abc import Mapping

from gateway.core.answer import Complete

# The fields of an answer that hold what the model wrote, in any format.
_WRITTEN = frozenset(
    {"content", "text", "reasoning", "reasoning_content", "thinking", "refusal", "arguments", "input", "summary"}
)
_ANSWERS = ("choices", "content", "output")  # of chat and completions, Messages and Responses


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


def answer_chars(complete: Complete) -> int:
    """Return about how many characters the model wrote: text, reasoning and the arguments of tool calls."""
    return sum(_written_chars(complete.fields.get(key), written=False) for key in _ANSWERS)


def _written_chars(value: object, *, written: bool) -> int:
    if isinstance(value, str):
        return len(value) if written else 0
    if isinstance(value, list):
        return sum(_written_chars(item, written=written) for item in value)
    if isinstance(value, dict):
        return sum(_written_chars(item, written=written or key in _WRITTEN) for key, item in value.items())
    return 0
