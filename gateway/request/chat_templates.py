"""The order in which chat templates take messages. Pure: messages in, messages out.

Servers render a chat by the template of its model. Many templates refuse a request whose system message is not the first,
where the user speaks directly after a tool, or where two turns in a row are of one role. OpenAI takes no images from tools.
"""

from typing import Any

from gateway.request.query_text import message_text

Message = dict[str, Any]
Part = dict[str, Any]

REMINDER = "<system-reminder>\n{text}\n</system-reminder>"  # agents mark such text alike, so that models know the mark
MEDIA_NOTE = "(The images and files of this result are in the user's next message.)"
MEDIA_OF = "(Of the result of the tool call {call}:)"
NO_REASONING = " "  # as other gateways write it
BRIDGE = "I have the results of the tools."  # what the assistant says between a tool and the user
_SYSTEM = frozenset({"system", "developer"})
_TOOLS = frozenset({"tool", "function"})
_PLAIN = frozenset({"role", "content"})


def system_first(messages: list[Message]) -> list[Message]:
    """The messages with one system message, which is the first. The same list where it is so already.

    System messages at the beginning become one. A later one goes into the user's turn or the tool result before it, marked
    as a `system-reminder`; behind an assistant's turn it goes into the user's next turn, or is a turn of its own. What has
    been sent before never changes when another one is added, so that the provider's prompt cache holds.
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
        if waiting and role not in _TOOLS:  # results follow their calls, whatever stands between
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
    """The messages in an order that every known template takes. An equal list where they are in it already.

    Beside `system_first`: the assistant speaks between a tool and the user, and neighbours of one role are one turn.
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
    """The messages in the strict order, with the system's words at the beginning of the user's first turn."""
    first, *rest = strict_order(messages)
    if first["role"] not in _SYSTEM:
        return [first, *rest]
    words = first.get("content")
    if rest and rest[0]["role"] == "user":
        return [rest[0] | {"content": _joined([words, rest[0].get("content")])}, *rest[1:]]
    return [{"role": "user", "content": words}, *rest]


def with_reasoning(messages: list[Message]) -> list[Message]:
    """The messages with some reasoning where tools are called without any, as by another model: some servers demand it.

    Reasoning that goes by its other name, as of OpenRouter and vLLM, is that reasoning.
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
    """The messages with their content as a string where all of its parts are text."""
    return [
        message | {"content": "\n\n".join(part["text"] for part in content)}
        if isinstance(content := message.get("content"), list) and all(isinstance(p.get("text"), str) for p in content)
        else message
        for message in messages
    ]


def tool_result(call: str, text: str, media: list[Part]) -> tuple[Message, list[Part]]:
    """The message of a tool's result, and the parts for the user's message behind the last of the results.

    Args:
        call: id of the call.
        media: images and files of the result, for which a tool's message has no room.
    """
    if not media:
        return {"role": "tool", "tool_call_id": call, "content": text}, []
    said = f"{text}\n{MEDIA_NOTE}" if text else MEDIA_NOTE
    parts = [{"type": "text", "text": MEDIA_OF.format(call=call)}, *media]
    return {"role": "tool", "tool_call_id": call, "content": said}, parts


class _Turns:
    """Collects messages; content may be added to the last one, in linear time."""

    def __init__(self) -> None:
        self._messages: list[Message] = []
        self._more: list[Any] = []  # contents that the last message gets besides its own

    @property
    def role(self) -> str | None:
        """Of the last message."""
        return self._messages[-1]["role"] if self._messages else None

    @property
    def plain(self) -> bool:
        """Whether the last message has nothing but content."""
        return self._messages[-1].keys() <= _PLAIN

    def add(self, message: Message) -> None:
        self._close()
        self._messages.append(message)

    def extend(self, contents: Any) -> None:
        """Adds contents to the last message."""
        self._more += contents

    def finished(self) -> list[Message]:
        self._close()
        return self._messages

    def _close(self) -> None:
        if self._more:
            last = self._messages[-1]
            self._messages[-1] = last | {"content": _joined([last.get("content"), *self._more])}
            self._more = []


def _joined(contents: list[Any]) -> Any:
    """Several contents as one: a string where all are strings, else parts."""
    given = [content for content in contents if content]
    if all(isinstance(content, str) for content in given):
        return "\n\n".join(given)
    parts: list[Part] = []
    for content in given:
        parts += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return parts
