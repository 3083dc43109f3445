"""Puts messages into an order that chat templates accept. Pure functions from messages to messages.

Servers render a conversation with the chat template of the model. Many templates refuse a system message that is not the first
message, a user message directly after a tool result, or two consecutive turns of the same role. OpenAI accepts no images in tool
results.
"""

from collections.abc import Iterable, Sequence

from gateway.core.json_types import JsonObject
from gateway.request.agent_turns import RESULT_OF
from gateway.request.query_text import message_text

Message = JsonObject
Content = str | list[JsonObject] | None

REMINDER = "<system-reminder>\n{text}\n</system-reminder>"  # agents mark such text in the same way, so that models know the element
MEDIA_NOTE = "(The images and files of this result are in the user's next message.)"
NO_REASONING = " "  # a space, as other gateways write it
BRIDGE = "I have the results of the tools."  # an assistant turn between a tool result and the user
_SYSTEM = frozenset({"system", "developer"})
_TOOLS = frozenset({"tool", "function"})
_PLAIN = frozenset({"role", "content"})


def system_first(messages: list[Message]) -> list[Message]:
    """Return the messages with a single system message, the first one; the same list if it has this form already.

    System messages at the beginning are joined. A later one is added to the preceding user turn or tool result, marked as a
    `system-reminder`. After an assistant turn it is added to the next user turn, or becomes a user turn. A new message never
    changes earlier messages, so that the provider's prompt cache stays valid.
    """
    if not any(message["role"] in _SYSTEM for message in messages[1:]):
        return messages
    first = next((i for i, message in enumerate(messages) if message["role"] not in _SYSTEM), len(messages))
    turns = _Turns()
    if first:
        turns.add(messages[0])
        turns.extend(message.get("content") for message in messages[1:first])
    waiting: list[str] = []
    for message in messages[first:]:
        role = message["role"]
        if role in _SYSTEM:
            waiting.append(REMINDER.format(text=message_text(message)))
            continue
        if waiting and role not in _TOOLS:  # results must directly follow their calls
            if turns.role == "user" or turns.role in _TOOLS:
                turns.extend(waiting)
            elif role == "user":
                message = message | {"content": _joined([*waiting, message.get("content")])}
            else:
                turns.add({"role": "user", "content": _joined(waiting)})
            waiting = []
            if turns.role == role == "user" and message.keys() <= _PLAIN:
                turns.extend([message.get("content")])
                continue
        turns.add(message)
    if waiting and (turns.role == "user" or turns.role in _TOOLS):
        turns.extend(waiting)
    elif waiting:
        turns.add({"role": "user", "content": _joined(waiting)})
    return turns.finished()


def strict_order(messages: list[Message]) -> list[Message]:
    """Return the messages in an order that every known template accepts; an equal list if they have this order already.

    In addition to `system_first`, an assistant turn is put between a tool result and a user turn, and consecutive turns of the
    same role are joined.
    """
    turns = _Turns()
    for message in system_first(messages):
        role = message["role"]
        if role == "user" and turns.role in _TOOLS:
            turns.add({"role": "assistant", "content": BRIDGE})
        if role == turns.role and role in ("user", "assistant") and turns.plain and message.keys() <= _PLAIN:
            turns.extend([message.get("content")])
        else:
            turns.add(message)
    return turns.finished()


def without_system(messages: list[Message]) -> list[Message]:
    """Return the messages in strict order, with the system prompt at the beginning of the first user turn."""
    first, *rest = strict_order(messages)
    if first["role"] not in _SYSTEM:
        return [first, *rest]
    system_prompt = first.get("content")
    if rest and rest[0]["role"] == "user":
        return [rest[0] | {"content": _joined([system_prompt, rest[0].get("content")])}, *rest[1:]]
    return [{"role": "user", "content": system_prompt}, *rest]


def with_reasoning(messages: list[Message]) -> list[Message]:
    """Return the messages with `reasoning_content` in each assistant message that calls tools: some servers require it.

    The reasoning is taken from the field `reasoning` (OpenRouter, vLLM) if that is set. Calls by another model may have none.
    """
    return [
        message | {"reasoning_content": _reasoning(message)}
        if message.get("tool_calls") and not message.get("reasoning_content")
        else message
        for message in messages
    ]


def _reasoning(message: Message) -> str:
    other = message.get("reasoning")
    return other if isinstance(other, str) and other else NO_REASONING


def with_text_content(messages: list[Message]) -> list[Message]:
    """Return the messages with a string as content wherever all content parts are text."""
    return [
        message | {"content": "\n\n".join(part["text"] for part in content)}
        if isinstance(content := message.get("content"), list) and all(isinstance(p.get("text"), str) for p in content)
        else message
        for message in messages
    ]


def tool_result(call: str, text: str, media: list[JsonObject]) -> tuple[Message, list[JsonObject]]:
    """Return the message for a tool result, and the content parts for the user message after the results.

    Args:
        call: the id of the tool call.
        media: images and files of the result, which a tool message cannot contain.
    """
    if not media:
        return {"role": "tool", "tool_call_id": call, "content": text}, []
    content = f"{text}\n{MEDIA_NOTE}" if text else MEDIA_NOTE
    parts = [{"type": "text", "text": RESULT_OF.format(call=call)}, *media]
    return {"role": "tool", "tool_call_id": call, "content": content}, parts


class _Turns:
    """Collects messages, and adds content to the last one. It takes linear time in total."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._more: list[Content] = []  # contents to add to the last message

    @property
    def role(self) -> str | None:
        """The role of the last message; None if there is no message."""
        return self._messages[-1]["role"] if self._messages else None

    @property
    def plain(self) -> bool:
        """True if the last message has no fields other than its role and content."""
        return self._messages[-1].keys() <= _PLAIN

    def add(self, message: Message) -> None:
        """Add a message after the last one."""
        self._close()
        self._messages.append(message)

    def extend(self, contents: Iterable[Content]) -> None:
        """Add contents to the last message."""
        self._more += contents

    def finished(self) -> list[Message]:
        """Return all messages."""
        self._close()
        return self._messages

    def _close(self) -> None:
        if self._more:
            last = self._messages[-1]
            self._messages[-1] = last | {"content": _joined([last.get("content"), *self._more])}
            self._more = []


def _joined(contents: Sequence[Content]) -> Content:
    """Return several contents as one: a string if all of them are strings, else a list of parts."""
    texts = [content for content in contents if content and isinstance(content, str)]
    not_empty = [content for content in contents if content]
    if len(texts) == len(not_empty):
        return "\n\n".join(texts)
    parts: list[JsonObject] = []
    for content in not_empty:
        parts += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return parts
