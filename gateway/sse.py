"""Server-sent events (WHATWG HTML, section 9.2): bytes -> events, and the few events that the gateway writes itself.

Incremental and exact under any split of the bytes. Events keep their raw bytes, so that a relay hands on what it got.
"""

import re
from dataclasses import dataclass

import orjson

MAX_EVENT_BYTES = 16 << 20
DONE = b"data: [DONE]\n\n"
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its bytes as received with their blank line, and its joined `data` (None for a comment)."""

    raw: bytes
    data: bytes | None


class EventReader:
    """Splits a byte stream into events.

    `feed(b'data: {"a":1}\\n\\ndata: [DO')` gives one event with data `{"a":1}`; the rest waits for more bytes.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._started = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete.

        Raises:
            ValueError: an event is longer than 16 MiB.
        """
        buffer = self._rest + data if self._rest else data
        if not self._started:
            if len(buffer) < len(_BOM) and _BOM.startswith(buffer):
                self._rest = buffer
                return []
            self._started = True
            buffer = buffer.removeprefix(_BOM)
        if b"\r" in buffer:
            events, self._rest = _split_any(buffer)
        else:
            *complete, self._rest = buffer.split(b"\n\n")
            events = [_event(part + b"\n\n") for part in complete]
        if len(self._rest) > MAX_EVENT_BYTES:
            raise ValueError(f"an event of the stream is longer than {MAX_EVENT_BYTES} bytes")
        return events

    def close(self) -> list[Event]:
        """Whatever data the stream ended in without a blank line: an event that a client would never have seen."""
        rest, self._rest = self._rest, b""
        event = _event(rest.rstrip(b"\r\n") + b"\n\n")
        return [] if event.data is None else [event]


def _split_any(buffer: bytes) -> tuple[list[Event], bytes]:
    """Events and rest where lines may end in CR, LF or CRLF. A CR at the very end may be half of a CRLF: it waits."""
    end = len(buffer) - buffer.endswith(b"\r")
    events = []
    start = 0
    for match in _BLANK_LINE.finditer(buffer, 0, end):
        events.append(_event(buffer[start : match.end()]))
        start = match.end()
    return events, buffer[start:]


def _event(raw: bytes) -> Event:
    if raw.startswith(b"data: ") and raw.find(b"\n") == len(raw) - 2 and b"\r" not in raw:
        return Event(raw, raw[6:-2])
    data = [
        line[5:].removeprefix(b" ")
        for line in _LINE_END.split(raw)
        if line.startswith(b"data:") or (line == b"data" and not line[4:])
    ]
    return Event(raw, b"\n".join(data) if data else None)


def encode(value: object) -> bytes:
    """One event with `value` as JSON."""
    return b"data: " + orjson.dumps(value) + b"\n\n"
