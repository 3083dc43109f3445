"""Relay: one provider's stream -> the bytes of one client's stream.

The relay holds all chunks back until the first content. If the stream fails before that, another deployment can answer, and the
client sees nothing of the failure. It removes the usage from chat chunks: a client that asked for it gets it once, at the end.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.answering.splice import Diverged, Splice
from gateway.answering.transcript import Transcript
from gateway.api.dialect import Writer
from gateway.bodies.offload import LARGE, offloaded
from gateway.core.answer import Chunk, ChunkStream
from gateway.core.chat_types import ChatChunk, ChatUsage, ChunkChoice
from gateway.core.usage import Usage
from gateway.core.vocabulary import CHARS_PER_TOKEN
from gateway.provider_errors.failures import Cause, UpstreamFailure

MAX_HELD_CHUNKS = 10_000  # without content
USAGE_TIMEOUT_S = 2.0  # for the usage or the end of the stream, after the answer is finished
_ONCE = frozenset({"role", "content", "reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"})


class Relay:
    """Reads a provider's stream for one client.

    Args:
        source: the provider's open stream; owned by the relay from here on.
        model: the public name that every chunk gets.
        transcript: the part of the answer that the client has; the relay adds the chunks that it returns.
        writer: writes chunks in the client's format.
        idle_s: longest silence, seconds.
        thinking_s: longest time without content, seconds, even with signs of life.
        alone: returns True if no other deployment could continue the stream.
        splice: for a stream that continues a broken one. Its role and reasoning are left out, because the client has them.
    """

    def __init__(
        self,
        source: ChunkStream,
        model: str,
        transcript: Transcript,
        writer: Writer,
        idle_s: float,
        thinking_s: float,
        alone: Callable[[], bool],
        splice: Splice | None = None,
    ) -> None:
        self.transcript = transcript
        self.usage: Usage | None = None
        self.usage_fields: ChatUsage | None = None  # as the provider reported it
        self.service_tier: object = None  # as well
        self.first_chunk: ChatChunk | None = None  # as the provider sent it
        self._source = source
        self._model = model
        self._writer = writer
        self._idle_s = idle_s
        self._thinking_s = thinking_s
        self._alone = alone
        self._splice = splice
        self._loop = asyncio.get_running_loop()
        self._held: list[Chunk] = []
        self._size = 0  # bytes of the largest read of the held chunks
        self._contents = -1  # `transcript.contents` when the deadlines below were set
        self._due = self._latest = 0.0
        self._over = False  # the client has the complete answer
        self._first = (len(transcript.pieces), transcript.contents)
        self._last: tuple[int, int] | None = None  # the same at the end of this stream

    @property
    def estimate(self) -> int:
        """The tokens that the provider has probably written: one for each chunk, or one for four characters."""
        first_piece, first_content = self._first
        last_piece, last_content = self._last or (len(self.transcript.pieces), self.transcript.contents)
        chars = sum(map(len, self.transcript.pieces[first_piece:last_piece]))
        return max(last_content - first_content, -(-chars // CHARS_PER_TOKEN))

    async def open(self, deadline: float) -> None:
        """Reads up to the first content that the client does not have yet.

        Args:
            deadline: the time by which the provider must begin, on the loop's clock. Each sign of life of a new stream
                postpones it, so that the gateway waits for a model that thinks.

        Raises:
            UpstreamFailure: the stream failed or ended before its first content.
        """
        latest = self._loop.time() + self._thinking_s
        while True:
            chunks = await self._source.read(deadline)
            if chunks is None:
                raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended before any content")
            self._size = max(self._size, self._source.size)
            if chunks and self.first_chunk is None:
                self.first_chunk = chunks[0].fields
            begun = any(chunk.has_content for chunk in chunks)
            if self._splice is not None:
                chunks = await offloaded(self._size, self._spliced, chunks, self._splice)
            self._held += chunks
            if len(self._held) > MAX_HELD_CHUNKS:
                raise UpstreamFailure(Cause.UNREADABLE, detail="a stream of empty chunks")
            if any(chunk.has_content for chunk in chunks):
                return
            if begun:
                deadline = self._loop.time() + self._idle_s
            elif self._splice is None:
                deadline = min(max(deadline, self._loop.time() + self._idle_s), latest)

    async def read(self) -> bytes | None:
        """The next bytes for the client, always complete events; None after a proper ending. The caller adds `[DONE]`.

        Raises:
            UpstreamFailure: the stream was cut, stalled or broke, or ended without a finish reason.
        """
        while True:
            if self._held:
                chunks: list[Chunk] | None
                chunks, self._held = self._held, []
                size = self._size
            else:
                try:
                    chunks = await self._source.read(self._deadline())
                except UpstreamFailure:
                    if self.transcript.complete:
                        return None  # the client has the complete answer; only the end of the connection failed
                    raise
                size = self._source.size
                if chunks and self._splice is not None:
                    chunks = await offloaded(size, self._spliced, chunks, self._splice)
            if chunks is None:
                if not self.transcript.ended:
                    raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended without a finish reason")
                return None
            if data := self._written(chunks) if size < LARGE else await offloaded(size, self._written, chunks):
                return data

    def _deadline(self) -> float:
        """The time by which more must come.

        Comments, pings and empty deltas count as silence if another deployment can continue the stream, otherwise as signs of
        life.
        """
        transcript = self.transcript
        if transcript.contents != self._contents:
            self._contents = transcript.contents
            now = self._loop.time()
            self._due, self._latest = now + self._idle_s, now + self._thinking_s
        elif not self._over and (transcript.not_continuable is not None or self._alone()):
            self._due = min(self._loop.time() + self._idle_s, self._latest)
        if transcript.complete and not self._over:
            self._over, self._due = True, self._loop.time() + min(self._idle_s, USAGE_TIMEOUT_S)
        return self._due

    async def aclose(self) -> None:
        self._last = (len(self.transcript.pieces), self.transcript.contents)
        await self._source.aclose()

    def _written(self, chunks: list[Chunk]) -> bytes:
        return b"".join([self._write(chunk) for chunk in chunks])

    def _write(self, chunk: Chunk) -> bytes:
        fields = chunk.fields
        if "service_tier" in fields:
            self.service_tier = fields["service_tier"]
        if fields.get("usage"):
            if (usage := Usage.read(fields["usage"])) is not None:
                self.usage, self.usage_fields = usage, fields["usage"]
            if chunk.api == "chat" or not chunk.raw:
                if not fields["choices"]:
                    return b""
                fields = fields.copy()
                del fields["usage"]
                chunk = Chunk(b"", fields)
        return self._writer.write(chunk, self.transcript.add(fields) or fields, self._model)

    def _spliced(self, chunks: list[Chunk], splice: Splice) -> list[Chunk]:
        """The chunks with the new part of their text; chunks that only repeat are left out."""
        try:
            return [new for chunk in chunks if (new := _spliced(chunk, splice)) is not None]
        except Diverged as exc:
            raise UpstreamFailure(Cause.DIVERGED) from exc


def _spliced(chunk: Chunk, splice: Splice) -> Chunk | None:
    choice = next((choice for choice in chunk.fields["choices"] if choice["index"] == 0), None)
    if choice is None:
        return chunk._replace(raw=b"") if chunk.fields.get("usage") else None
    given = choice["delta"]
    delta: Any = {key: value for key, value in given.items() if key not in _ONCE and value}
    finish = choice.get("finish_reason")
    text = given.get("content")
    new = splice.feed(text) if isinstance(text, str) and text else ""
    if delta or finish is not None:
        new += splice.close()
    if new:
        delta["content"] = new
    if not delta and finish is None and not chunk.fields.get("usage"):
        return None
    rest: ChunkChoice = {"index": 0, "delta": delta, "finish_reason": finish}
    if new == text and choice.get("logprobs"):
        rest["logprobs"] = choice["logprobs"]
    return Chunk(b"", chunk.fields | {"choices": [rest]})
