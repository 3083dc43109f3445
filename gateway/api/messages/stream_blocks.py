"""The content blocks of one Messages stream. Chat deltas may mix what they add to; blocks come one after another."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.api.messages.answer_from_chat import tool_id
from gateway.bodies.lenient_json import dumps


def event(kind: str, **fields: Any) -> bytes:
    """One event of a Messages stream."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), dumps({"type": kind} | fields))


@dataclass(slots=True, eq=False)
class _Block:
    """A block on its way.

    Attributes:
        start: as it begins; None while the name of a tool has not come.
        waiting: deltas that are not written yet.
        index: its own, once it is open.
        arguments: of a tool call, all of them.
        whole: nothing more can come, whatever it holds.
    """

    kind: str
    start: dict[str, Any] | None
    call_id: str = ""
    waiting: list[dict[str, Any]] = field(default_factory=list)
    index: int | None = None
    arguments: list[str] = field(default_factory=list)
    whole: bool = False

    @property
    def complete(self) -> bool:
        """Whether it may be closed where others wait behind it. A tool call may when its arguments are a whole object."""
        if self.kind != "tool_use" or self.whole:
            return True
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(orjson.loads("".join(self.arguments)), dict)
        except orjson.JSONDecodeError:
            return False


class BlockSequence:
    """Takes pieces in any order; gives events in which one block is open at a time.

    The first block is written as it comes. What belongs to others waits until it is complete, which a tool call is when its
    arguments parse, or until the end.

    Attributes:
        called: whether there is a tool call among them.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.called = False
        self._names = names
        self._next = 0
        self._queue: deque[_Block] = deque()
        self._calls: dict[object, _Block] = {}
        self._last_call: object = None

    def text(self, text: str) -> None:
        block = self._tail("text", {"type": "text", "text": ""})
        block.waiting.append({"type": "text_delta", "text": text})

    def thinking(self, text: str) -> None:
        self._thinking().waiting.append({"type": "thinking_delta", "thinking": text})

    def signature(self, signature: str) -> None:
        """Ends the thinking before it."""
        block = self._thinking()
        block.waiting.append({"type": "signature_delta", "signature": signature})
        block.whole = True

    def redacted(self, data: str) -> None:
        self._queue.append(_Block("redacted_thinking", {"type": "redacted_thinking", "data": data}, whole=True))

    def call(self, delta: Mapping[str, Any]) -> None:
        """One entry of a chat delta's tool calls: id and name come with the first of a call."""
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        index, given, name = delta.get("index"), delta.get("id"), function.get("name")
        call_id = given if isinstance(given, str) else ""
        key = index if isinstance(index, int) else call_id or self._last_call
        block = self._calls.get(key)
        if block is None or (name and call_id and block.call_id not in ("", call_id)):
            block = self._calls[key] = _Block("tool_use", None, call_id)
            self._queue.append(block)
        self._last_call = key
        block.call_id = block.call_id or call_id
        if block.start is None and isinstance(name, str) and name:
            name = self._names.get(name, name)
            block.start = {"type": "tool_use", "id": tool_id(block.call_id), "name": name, "input": {}}
            self.called = True
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            block.arguments.append(arguments)
            block.waiting.append({"type": "input_json_delta", "partial_json": arguments})

    def opened(self, index: int, kind: str) -> None:
        """A block that another model began to write."""
        block = _Block(kind, {}, index=index, whole=kind not in ("text", "thinking", "tool_use"))
        self._queue.append(block)
        if kind == "tool_use":  # whose place among the calls in chat is that of its beginning
            self._calls[len(self._calls)] = block
        self._next = max(self._next, index + 1)
        self.called = self.called or kind == "tool_use"

    def closed(self, index: int) -> None:
        """A block that another model has written to its end."""
        self._queue = deque(block for block in self._queue if block.index != index)

    def events(self, *, last: bool = False) -> bytes:
        """What can be written by now.

        Args:
            last: nothing more comes: all is written and closed.
        """
        written = []
        while self._queue:
            block = self._queue[0]
            if block.start is None:  # a call without a name
                if not last:
                    break
                self._queue.popleft()
                continue
            if block.index is None:
                block.index, self._next = self._next, self._next + 1
                written.append(event("content_block_start", index=block.index, content_block=block.start))
            written += [event("content_block_delta", index=block.index, delta=delta) for delta in block.waiting]
            block.waiting.clear()
            if not last and (len(self._queue) == 1 or not block.complete):
                break
            written.append(event("content_block_stop", index=block.index))
            self._queue.popleft()
        return b"".join(written)

    def _thinking(self) -> _Block:
        return self._tail("thinking", {"type": "thinking", "thinking": "", "signature": ""})

    def _tail(self, kind: str, start: dict[str, Any]) -> _Block:
        """The last block, where it is of this kind and goes on; else a new one."""
        if not self._queue or self._queue[-1].kind != kind or self._queue[-1].whole:
            self._queue.append(_Block(kind, start))
        return self._queue[-1]
