"""Moves the results of tool calls directly after the message with the calls, where chat APIs require them.

The Messages API and the Responses API match calls and results by id, and allow other messages between them. Chat APIs do not.
"""

from collections import defaultdict, deque
from collections.abc import Sequence

from gateway.core.json_types import JsonObject
from gateway.request.chat_templates import tool_result

Message = JsonObject
Parts = list[JsonObject]
_Content = str | Parts  # of a tool message or a user message
_Place = tuple[int, int]  # of a call: the index of its message, and the index of the call in it
NO_RESULT = "(no result)"


def results_after_calls(messages: list[Message]) -> list[Message]:
    """Return the messages with each result directly after its call, and messages between them moved after the results.

    A call without a result gets a placeholder. A result without a call becomes a user message. Images and files, which tool
    messages cannot contain, follow in a user message after the last result. The same list is returned if it has this order
    already.

    Args:
        messages: the messages of a chat request. The content of a tool message may be a list of any parts.
    """
    if _in_order(messages):
        return messages
    results, orphans = _matched(messages)
    ordered: list[Message] = []
    media: Parts = []  # of results, for the next user message
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if at not in orphans:
                continue
            message = {"role": "user", "content": message["content"] or NO_RESULT}
        if media:
            if message["role"] == "user":
                message = message | {"content": media + _parts(message["content"])}
            else:
                ordered.append({"role": "user", "content": media})
            media = []
        ordered.append(message)
        for number, call in enumerate(message.get("tool_calls") or ()):
            result, others = _result(call["id"], results.get((at, number), ()))
            ordered.append(result)
            media += others
    if media:
        ordered.append({"role": "user", "content": media})
    return ordered


def can_be_paired(messages: list[Message]) -> bool:
    """Return True if the messages have the ids and contents that `results_after_calls` needs."""
    return all(
        isinstance(message.get("tool_call_id"), str) and _is_content(message.get("content"))
        if message["role"] == "tool"
        else all(isinstance(call, dict) and isinstance(call.get("id"), str) for call in message.get("tool_calls") or ())
        and (message["role"] != "user" or _is_content(message.get("content")))
        for message in messages
    )


def _is_content(content: object) -> bool:
    return isinstance(content, str) or (
        isinstance(content, list)
        and all(isinstance(p, dict) and (p.get("type") != "text" or isinstance(p.get("text"), str)) for p in content)
        and all("type" in part for part in content)
    )


def _in_order(messages: list[Message]) -> bool:
    """Return True if each result is a string and directly follows its calls, which is the usual case."""
    waiting: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting or not isinstance(message["content"], str):
                return False
            waiting.remove(message["tool_call_id"])
        elif waiting:
            return False
        elif calls := message.get("tool_calls"):
            waiting = {call["id"] for call in calls}
            if len(waiting) < len(calls):
                return False
    return not waiting


def _matched(messages: list[Message]) -> tuple[dict[_Place, list[_Content]], set[int]]:
    """Return the contents of the results of each call, and the message indexes of the results without a call.

    Later messages may reuse an id. A result belongs to the last preceding message that has a call with its id; if there is none,
    to the first following one.
    """
    results: dict[_Place, list[_Content]] = defaultdict(list)
    waiting: dict[str, deque[_Place]] = defaultdict(deque)  # by id: calls of its last message that have no result yet
    last: dict[str, _Place] = {}
    early: dict[str, deque[int]] = defaultdict(deque)  # by id: indexes of results that precede their call
    orphans: set[int] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            name = message["tool_call_id"]
            if waiting[name]:
                results[waiting[name].popleft()].append(message["content"])
            elif name in last:
                results[last[name]].append(message["content"])
            else:
                early[name].append(at)
                orphans.add(at)
        for number, call in enumerate(message.get("tool_calls") or ()):
            name, place = call["id"], (at, number)
            last[name] = place
            if early[name]:
                result = early[name].popleft()
                orphans.remove(result)
                results[place].append(messages[result]["content"])
                continue
            if waiting[name] and waiting[name][0][0] != at:
                waiting[name].clear()
            waiting[name].append(place)
    return results, orphans


def _result(call_id: str, contents: Sequence[_Content]) -> tuple[Message, Parts]:
    """Return the tool message for a call, and the parts of its results that are not text, for a user message."""
    texts: list[str] = []
    others: Parts = []
    for content in contents:
        if isinstance(content, str):
            texts.append(content)
            continue
        for part in content:
            if part["type"] == "text":
                texts.append(part["text"])
            else:
                others.append(part)
    return tool_result(call_id, "\n".join(texts) if contents else NO_RESULT, others)


def _parts(content: _Content) -> Parts:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
