"""Server-sent events (WHATWG HTML, section 9.2): an incremental parser, and the encoder for the gateway's own events.

The result does not depend on how the bytes are split. Events keep their raw bytes, so that a relay can pass them on unchanged.
"""

import re
from typing import NamedTuple

from gateway.bodies.lenient_json import dumps

MAX_EVENT_BYTES = 16 << 20
SEAM = 4096  # up to this size the pieces of an unfinished event are joined and searched again with each piece
DONE = b"data: [DONE]\n\n"
_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n)){2}")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event.

    Attributes:
        raw: its bytes as received, with the blank line at its end.
        data: its `data` lines, joined; None for a comment.
        kind: value of its `event` line; empty if there is none.
    """

    raw: bytes
    data: bytes | None
    kind: bytes = b""


class EventReader:
    """Splits a byte stream into events.

    `feed(b'data: {"a":1}\\n\\ndata: [DO')` returns one event with data `{"a":1}`; the rest is kept until more bytes arrive.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # pieces of an incomplete event
        self._size = 0
        self._tail = b""
        self._started = False

    @property
    def held(self) -> int:
        """Size of the incomplete event, bytes."""
        return self._size

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are complete after these bytes.

        Raises:
            ValueError: an event is longer than 16 MiB.
        """
        if self._rest:
            seam = self._tail + data  # the end of an event is at most four bytes long
            self._rest.append(data)
            self._size += len(data)
            self._tail = seam[-3:]
            if self._size > SEAM and not _may_end(seam):  # joining the pieces each time would be quadratic
                self._check()
                return []
            data = b"".join(self._rest)
        if not self._started:
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._keep(data)
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        if b"\r" in data:
            events, rest = _split_any(data)
        else:
            *complete, rest = data.split(b"\n\n")
            events = [_event(part + b"\n\n") for part in complete]
        self._keep(rest)
        self._check()
        return events

    def _keep(self, rest: bytes) -> None:
        self._rest = [rest] if rest else []
        self._size = len(rest)
        self._tail = rest[-3:]

    def _check(self) -> None:
        if self._size > MAX_EVENT_BYTES:
            raise ValueError(f"an event of the stream is longer than {MAX_EVENT_BYTES} bytes")

    def close(self) -> list[Event]:
        """Return the event, if any, that the stream ended in without a blank line."""
        rest = b"".join(self._rest)
        self._keep(b"")
        event = _event(rest.rstrip(b"\r\n") + b"\n\n")
        return [] if event.data is None else [event]


def _may_end(seam: bytes) -> bool:
    """Return True if an event may end in these bytes. A CR at the end may be half of a CRLF."""
    if b"\r" not in seam:
        return b"\n\n" in seam
    return _BLANK_LINE.search(seam, 0, len(seam) - seam.endswith(b"\r")) is not None


def _split_any(buffer: bytes) -> tuple[list[Event], bytes]:
    """Split a buffer whose lines end in CR, LF or CRLF into events and rest. A CR at the end may be half of a CRLF."""
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
    data = []
    kind = b""
    if raw.startswith(b"{"):  # some servers omit the field name `data:`
        return Event(b"", raw.strip())
    for line in _LINE_END.split(raw):
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif line == b"data":
            data.append(b"")
        elif line.startswith(b"event:"):
            kind = line[6:].strip()
    return Event(raw, b"\n".join(data) if data else None, kind)


def json_event(value: object) -> bytes:
    """Return one event with `value` as JSON data."""
    return b"data: " + dumps(value) + b"\n\n"
