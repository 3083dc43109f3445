"""A provider that costs next to nothing: chat completions of about 600 bytes, streams of 20 chunks, one write each.

    python -m benchmarks.provider PORT

Every answer repeats the number of its question, `#0000000042`, so that a client can tell that it is the right one.
"""

import asyncio
import os
import re
import sys
from typing import cast

import orjson
import uvloop

from benchmarks.machine import LOCAL

CHUNKS = 20
NUMBER = re.compile(rb"#\d{10}")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream": ?true')
_SIGN = b"#" + b"0" * 10
_COMMON = {"id": "chatcmpl-bench", "created": 1_700_000_000, "model": "bench-2024", "system_fingerprint": "fp_bench"}
_USAGE = {"prompt_tokens": 64, "completion_tokens": CHUNKS, "total_tokens": 64 + CHUNKS}


def _whole() -> bytes:
    text = (
        f"{_SIGN.decode()} " + "A heat pump takes warmth from the air outside and gives it off at a higher level. " * 3
    )
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None, "finish_reason": "stop"}
    body = orjson.dumps({**_COMMON, "object": "chat.completion", "choices": [choice], "usage": _USAGE})
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event(orjson.dumps({**_COMMON, "object": "chat.completion.chunk", "choices": [choice]}))


def _event(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def _stream() -> list[bytes]:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
    texts = [_SIGN.decode(), *(" word" for _ in range(CHUNKS - 3))]
    usage = {**_COMMON, "object": "chat.completion.chunk", "choices": [], "usage": _USAGE}
    return [
        head + _chunk({"role": "assistant", "content": ""}),
        *(_chunk({"content": text}) for text in texts),
        _chunk({}, "stop"),
        _event(orjson.dumps(usage)) + _event(b"[DONE]") + b"0\r\n\r\n",
    ]


WHOLE, STREAM = _whole(), _stream()


class Provider(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # which uvloop's is not by its class
        self._socket = transport.get_extra_info("socket").fileno()
        self._parts: list[bytes] = []
        self._missing: int | None = None  # bytes until the request is complete; None before its headers are

    def data_received(self, data: bytes) -> None:
        self._parts.append(data)
        if self._missing is not None:
            self._missing -= len(data)
        else:
            data = b"".join(self._parts)
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(data, 0, end)
            self._missing = end + 4 + (int(found[1]) if found else 0) - len(data)
        if self._missing > 0:
            return
        self._missing = None
        request, self._parts = b"".join(self._parts), []
        number = NUMBER.search(request)
        sign = number[0] if number else _SIGN
        # A stream's pieces are written at once, each by itself: the loop would join them.
        for piece in STREAM if _STREAM.search(request) else [WHOLE]:
            self._write(piece.replace(_SIGN, sign))

    def _write(self, data: bytes) -> None:
        sent = 0
        if not self._transport.get_write_buffer_size():
            try:
                sent = os.write(self._socket, data)
            except BlockingIOError:
                pass
            except OSError:  # the gateway has left
                self._transport.abort()
                return
        if sent < len(data):
            self._transport.write(data[sent:])


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, LOCAL, port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
