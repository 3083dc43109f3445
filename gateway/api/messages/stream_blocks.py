"""The content blocks of one Messages stream.

Chat deltas may switch between text and several tool calls at any time; the blocks of a Messages stream come one after another.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from gateway.api.messages.answer_from_chat import tool_id
from gateway.api.messages.types import BlockDelta, ContentBlock
from gateway.bodies.lenient_json import dumps


def encoded_event(event_type: str, /, **fields: object) -> bytes:
    """Return one event of a Messages stream as bytes."""
    return b"event: %b\ndata: %b\n\n" % (event_type.encode(), dumps({"type": event_type} | fields))


@dataclass(slots=True, eq=False)
class _Block:
    """A block that is not closed yet.

    Attributes:
        start: the block in its `content_block_start` event; None until the name of a tool is known. Not used for a block that a
            provider's own event has opened.
        call_id: of a tool call, the id from the provider.
        pending: deltas that are not written yet.
        index: its position in the message; None until it is opened.
        arguments: of a tool call, all pieces of its arguments.
        finished: True if no more deltas can follow.
    """

    kind: str
    start: ContentBlock | None
    call_id: str = ""
    pending: list[BlockDelta] = field(default_factory=list)
    index: int | None = None
    arguments: list[str] = field(default_factory=list)
    finished: bool = False

    @property
    def can_close(self) -> bool:
        """True if the block may be closed when others wait behind it; of a tool call, if its arguments are a JSON object."""
        if self.kind != "tool_use" or self.finished:
            return True
        if not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(orjson.loads("".join(self.arguments)), dict)
        except orjson.JSONDecodeError:
            return False


class BlockSequence:
    """Takes pieces of blocks in any order and writes events in which one block at a time is open.

    The first open block is written immediately. Pieces of later blocks wait until the first block can be closed, or until the
    end of the stream.

    Args:
        names: the client's names of tools, by the names that the models were given instead.

    Attributes:
        has_tool_call: True if there is a tool call among the blocks.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.has_tool_call = False
        self._names = names
        self._next_index = 0
        self._queue: deque[_Block] = deque()
        self._calls: dict[object, _Block] = {}
        self._last_call: object = None

    def add_text(self, text: str) -> None:
        block = self._last_or_new("text", {"type": "text", "text": ""})
        block.pending.append({"type": "text_delta", "text": text})

    def add_thinking(self, text: str) -> None:
        self._thinking_block().pending.append({"type": "thinking_delta", "thinking": text})

    def add_signature(self, signature: str) -> None:
        """Add the signature of the thinking before it, which ends that block."""
        block = self._thinking_block()
        block.pending.append({"type": "signature_delta", "signature": signature})
        block.finished = True

    def add_redacted_thinking(self, data: str) -> None:
        self._queue.append(_Block("redacted_thinking", {"type": "redacted_thinking", "data": data}, finished=True))

    def add_tool_call(self, call: Mapping[str, object]) -> None:
        """Add one entry of a chat delta's `tool_calls`. The first entry of a call has its id and name."""
        function = call.get("function")
        function = function if isinstance(function, dict) else {}
        index, given_id, name = call.get("index"), call.get("id"), function.get("name")
        call_id = given_id if isinstance(given_id, str) else ""
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
            self.has_tool_call = True
        arguments = function.get("arguments")
        if isinstance(arguments, dict):
            arguments = orjson.dumps(arguments).decode()
        if isinstance(arguments, str) and arguments:
            block.arguments.append(arguments)
            block.pending.append({"type": "input_json_delta", "partial_json": arguments})

    def note_start(self, index: int, kind: str) -> None:
        """Note that a provider's own event has opened a block."""
        finished = kind not in ("text", "thinking", "tool_use")
        block = _Block(kind, {"type": "text", "text": ""}, index=index, finished=finished)
        self._queue.append(block)
        if kind == "tool_use":  # chat deltas find a call by its position among the calls
            self._calls[len(self._calls)] = block
        self._next_index = max(self._next_index, index + 1)
        self.has_tool_call = self.has_tool_call or kind == "tool_use"

    def note_stop(self, index: int) -> None:
        """Note that a provider's own event has closed a block."""
        self._queue = deque(block for block in self._queue if block.index != index)

    def events(self, *, last: bool = False) -> bytes:
        """Return the events that can be written now.

        Args:
            last: True at the end of the stream: everything is written and closed.
        """
        events = []
        while self._queue:
            block = self._queue[0]
            if block.start is None:  # a tool call whose name is not known yet
                if not last:
                    break
                self._queue.popleft()
                continue
            if block.index is None:
                block.index, self._next_index = self._next_index, self._next_index + 1
                events.append(encoded_event("content_block_start", index=block.index, content_block=block.start))
            events += [encoded_event("content_block_delta", index=block.index, delta=delta) for delta in block.pending]
            block.pending.clear()
            if not last and (len(self._queue) == 1 or not block.can_close):
                break
            events.append(encoded_event("content_block_stop", index=block.index))
            self._queue.popleft()
        return b"".join(events)

    def _thinking_block(self) -> _Block:
        return self._last_or_new("thinking", {"type": "thinking", "thinking": "", "signature": ""})

    def _last_or_new(self, kind: str, start: ContentBlock) -> _Block:
        """Return the last block if it is of this kind and not finished, else a new one."""
        if not self._queue or self._queue[-1].kind != kind or self._queue[-1].finished:
            self._queue.append(_Block(kind, start))
        return self._queue[-1]
