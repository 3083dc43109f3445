"""A scripted OpenAI-compatible provider on loopback: a real server, whose next answers a test sets."""

import asyncio
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

Reply = Callable[["Call", asyncio.StreamWriter], Any]


@dataclass
class Call:
    """One request as the provider saw it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: bytes
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # the caller went away before the answer was complete
    at: float = field(default_factory=time.monotonic)
    ended_at: float | None = None
    ended: str = ""  # "whole", "closed by the caller", or how the provider broke it off: "close", "reset"
    tokens: int = 0  # completion tokens written, where the reply counts them


class ScriptedProvider:
    """Speaks HTTP/1.1 over asyncio streams, so that a test can write any bytes at any moment, or none.

    `replies` are used up first, then `default` answers. `async with ScriptedProvider() as provider: provider.base_url`.
    A reply that returns "close" ends the connection in order, one that returns "reset" by a TCP reset. A client that speaks TLS
    to it gets a plain 400.
    """

    def __init__(self, default: Reply | None = None) -> None:
        self.default = default or answer("fine")
        self.replies: deque[Reply] = deque()
        self.calls: list[Call] = []
        self._server: asyncio.Server | None = None
        self._port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def __aenter__(self) -> "ScriptedProvider":
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """From now on connections are refused."""
        if self._server is not None:
            self._server.close()
            for writer in self._writers:
                writer.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                first = await reader.readexactly(1)
                if first == b"\x16":  # a TLS hello
                    writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                    await writer.drain()
                    return
                head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
                request_line, *lines = head.split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
                raw = await reader.readexactly(int(headers.get("content-length", "0")))
                call = Call(request_line.split()[1], headers, orjson.loads(raw) if raw else {}, raw)
                self.calls.append(call)
                reply = self.replies.popleft() if self.replies else self.default
                gone = asyncio.ensure_future(reader.read(1))
                answering = asyncio.ensure_future(reply(call, writer))
                await asyncio.wait([gone, answering], return_when=asyncio.FIRST_COMPLETED)
                call.ended_at = time.monotonic()
                left = not answering.done() or isinstance(answering.exception(), ConnectionError)
                over = left or gone.done() or answering.result() is not None
                call.ended = "closed by the caller" if left else answering.result() or "whole"
                if left:
                    call.closed.set()
                if call.ended == "reset":
                    reset_connection(writer)
                gone.cancel()
                answering.cancel()
                await asyncio.gather(gone, answering, return_exceptions=True)
                if over:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()


def reset_connection(writer: asyncio.StreamWriter) -> None:
    """Ends the connection by RST rather than FIN; what was written before may or may not arrive."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def head(status: int, length: int | None, content_type: str, headers: dict[str, str] | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-type: {content_type}"]
    lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def reply(status: int, value: Any, headers: dict[str, str] | None = None) -> Reply:
    """A whole answer with `value` as JSON, or as it is where it is bytes."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> None:
        body = value if isinstance(value, bytes) else orjson.dumps(value)
        writer.write(head(status, len(body), "application/json", headers) + body)
        await writer.drain()

    return send


def error(status: int, message: str = "no", code: str | None = None, headers: dict[str, str] | None = None) -> Reply:
    return reply(status, {"error": {"message": message, "type": "x", "code": code}}, headers)


def completion(text: str, model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def chunk(model: str, delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": choices} | more
    return b"data: " + orjson.dumps(value) + b"\n\n"


def events(text: str, model: str, *, usage: bool = False) -> list[bytes]:
    """A whole stream: role, one chunk per word, finish, usage where asked, `[DONE]`."""
    words = text.split(" ")
    parts = [chunk(model, {"role": "assistant", "content": ""})]
    parts += [chunk(model, {"content": word if i == 0 else " " + word}) for i, word in enumerate(words)]
    parts.append(chunk(model, {}, "stop"))
    if usage:
        counts = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
        parts.append(chunk(model, None, usage=counts))
    return [*parts, b"data: [DONE]\n\n"]


def stream(parts: list[bytes], *, pause_s: float = 0.0, cut: bool = False, stall: bool = False) -> Reply:
    """Streams `parts`; with `cut` the connection breaks after them, with `stall` it stays silent."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> str | None:
        writer.write(head(200, None, "text/event-stream"))
        for part in parts:
            writer.write(b"%x\r\n%b\r\n" % (len(part), part))
            await writer.drain()
            await asyncio.sleep(pause_s)
        if stall:
            await asyncio.sleep(3600)
        if cut:
            return "close"
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return None

    return send


def answer(text: str) -> Reply:
    """Does what the request asks: a whole answer or a stream, under the model name that it was asked by."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> Any:
        model = call.body.get("model", "?")
        if call.body.get("stream"):
            usage = bool((call.body.get("stream_options") or {}).get("include_usage"))
            return await stream(events(text, model, usage=usage))(call, writer)
        return await reply(200, completion(text, model))(call, writer)

    return send


def silent() -> Reply:
    """Takes the request and never answers."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3600)

    return send


def reset() -> Reply:
    """Closes the connection without an answer."""

    async def send(call: Call, writer: asyncio.StreamWriter) -> str:
        return "close"

    return send
