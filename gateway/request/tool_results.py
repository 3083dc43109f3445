"""Results of tool calls, put where chat APIs demand them: all of them directly behind the message with the calls.

The Messages and the Responses API pair calls and results by id, so that other messages may stand between. Chat APIs refuse that.
"""

from collections import defaultdict, deque
from typing import Any

from gateway.request.chat_templates import tool_result

Message = dict[str, Any]
Parts = list[dict[str, Any]]
_Place = tuple[int, int]  # of a call: the index of its message, and its own in there
NO_RESULT = "(no result)"


def results_after_calls(messages: list[Message]) -> list[Message]:
    """The messages with every result directly behind its call; what stood between them follows.

    A call without a result gets a short one. A result without a call is a message of the user. Images and files, for which tool
    messages have no room, are shown by the user behind the last result of that message. The same list where it is so already.

    Args:
        messages: of a chat request, in the client's order. The content of a tool message may be a list of any parts.
    """
    if _in_order(messages):
        return messages
    answers, lost = _paired(messages)
    ordered: list[Message] = []
    shown: Parts = []  # of results: what waits for a message of the user
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            if at not in lost:
                continue
            message = {"role": "user", "content": message["content"] or NO_RESULT}
        if shown:
            if message["role"] == "user":
                message = message | {"content": shown + _parts(message["content"])}
            else:
                ordered.append({"role": "user", "content": shown})
            shown = []
        ordered.append(message)
        for number, call in enumerate(message.get("tool_calls") or ()):
            result, others = _result(call["id"], answers.get((at, number), ()))
            ordered.append(result)
            shown += others
    if shown:
        ordered.append({"role": "user", "content": shown})
    return ordered


def can_be_paired(messages: list[Message]) -> bool:
    """Whether a client's own messages have the ids and contents by which `results_after_calls` puts them in order."""
    return all(
        isinstance(message.get("tool_call_id"), str) and _is_content(message.get("content"))
        if message["role"] == "tool"
        else all(isinstance(call, dict) and isinstance(call.get("id"), str) for call in message.get("tool_calls") or ())
        and (message["role"] != "user" or _is_content(message.get("content")))
        for message in messages
    )


def _is_content(content: Any) -> bool:
    return isinstance(content, str) or (
        isinstance(content, list)
        and all(isinstance(p, dict) and (p.get("type") != "text" or isinstance(p.get("text"), str)) for p in content)
        and all("type" in part for part in content)
    )


def _in_order(messages: list[Message]) -> bool:
    """Whether the results, each a text, follow their calls, as they nearly always do."""
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


def _paired(messages: list[Message]) -> tuple[dict[_Place, list[Any]], set[int]]:
    """The contents of the results of each call, and the indexes of the results that have no call.

    Ids may come again in later messages: a result belongs to the last message before it that has a call of its id, or to the
    first one behind it.
    """
    answers: dict[_Place, list[Any]] = defaultdict(list)
    waiting: dict[str, deque[_Place]] = defaultdict(
        deque
    )  # calls of the last message with this id, without a result yet
    last: dict[str, _Place] = {}
    early: dict[str, deque[int]] = defaultdict(deque)
    lost: set[int] = set()
    for at, message in enumerate(messages):
        if message["role"] == "tool":
            name = message["tool_call_id"]
            if waiting[name]:
                answers[waiting[name].popleft()].append(message["content"])
            elif name in last:
                answers[last[name]].append(message["content"])
            else:
                early[name].append(at)
                lost.add(at)
        for number, call in enumerate(message.get("tool_calls") or ()):
            name, place = call["id"], (at, number)
            last[name] = place
            if early[name]:
                came = early[name].popleft()
                lost.remove(came)
                answers[place].append(messages[came]["content"])
                continue
            if waiting[name] and waiting[name][0][0] != at:
                waiting[name].clear()
            waiting[name].append(place)
    return answers, lost


def _result(call_id: str, contents: Any) -> tuple[Message, Parts]:
    """The tool message of a call; and what of its results is no text, for a message of the user."""
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


def _parts(content: Any) -> Parts:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
