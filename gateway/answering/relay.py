"""Relay: one provider's stream -> the bytes of one client's stream.

Holds everything back until the first content, so that until then a failure can be answered by another deployment unseen.
Usage is taken out of chat chunks: the client gets it once, at the end, if it asked.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from gateway.answering.splice import Diverged, Splice
from gateway.answering.transcript import Transcript
from gateway.api.dialect import Writer
from gateway.bodies.offload import LARGE, offloaded
from gateway.core.answer import Chunk, ChunkStream, Usage
from gateway.core.chat_types import ChatUsage, ChunkChoice
from gateway.provider_errors.failures import Cause, UpstreamFailure

MAX_EMPTY = 10_000  # chunks that are held while a stream brings no content
USAGE_S = 2.0  # a provider that has finished its answer may take so long to report the usage, or to hang up
_ONCE = frozenset({"role", "content", "reasoning", "reasoning_content", "reasoning_details", "thinking_blocks"})


class Relay:
    """A client's view of a provider's stream.

    Args:
        source: the provider's open stream; owned by the relay from here on.
        model: the public name that every chunk shall carry.
        transcript: what the client has so far; the relay adds what it hands out.
        writer: writes it in the client's format.
        idle_s: longest silence, seconds.
        thinking_s: longest time without content, seconds, whatever signs of life come.
        alone: whether there is no other deployment that could go on.
        splice: where the stream goes on with one that broke; its reasoning and role are left out then, since the client
            has had those.
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
        self.usage_fields: ChatUsage | None = None  # as it was reported
        self._source = source
        self._model = model
        self._writer = writer
        self._idle_s = idle_s
        self._thinking_s = thinking_s
        self._alone = alone
        self._splice = splice
        self._loop = asyncio.get_running_loop()
        self._held: list[Chunk] = []
        self._size = 0  # of what is held, bytes; or of its largest part
        self._contents = -1  # when the silence was last broken, and until when the next may last
        self._due = self._latest = 0.0
        self._over = False  # the client has all of it
        self._first = (len(transcript.pieces), transcript.contents)
        self._last: tuple[int, int] | None = None  # the same at its end: others may write after it

    @property
    def estimate(self) -> Usage:
        """What the provider will have billed for its part of the answer, where it does not say: a token a chunk, or more."""
        first_piece, first_content = self._first
        last_piece, last_content = self._last or (len(self.transcript.pieces), self.transcript.contents)
        chars = sum(map(len, self.transcript.pieces[first_piece:last_piece]))
        return Usage(0, max(last_content - first_content, -(-chars // 4)))

    async def open(self, deadline: float) -> None:
        """Reads up to the first content that the client does not have yet.

        Args:
            deadline: until when the provider must begin, by the loop's clock. A sign of life postpones it: one that thinks
                and says so is waited for. From the first content on its silence is limited as always.

        Raises:
            UpstreamFailure: the stream failed or ended before that.
        """
        latest = self._loop.time() + self._thinking_s
        while True:
            chunks = await self._source.read(deadline)
            if chunks is None:
                raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended before any content")
            self._size = max(self._size, self._source.size)
            begun = any(chunk.has_content for chunk in chunks)
            if self._splice is not None:
                chunks = await offloaded(self._size, self._spliced, chunks, self._splice)
            self._held += chunks
            if len(self._held) > MAX_EMPTY:
                raise UpstreamFailure(Cause.UNREADABLE, detail="a stream of empty chunks")
            if any(chunk.has_content for chunk in chunks):
                return
            if begun:
                deadline = self._loop.time() + self._idle_s
            elif self._splice is None:
                deadline = min(max(deadline, self._loop.time() + self._idle_s), latest)

    async def read(self) -> bytes | None:
        """The next bytes for the client, whole events only; None after a proper ending. The caller adds `[DONE]`.

        Raises:
            UpstreamFailure: cut, stalled or broken, or ended, without a finish reason.
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
                        return None  # the client has all of it: what broke is only how the provider hangs up
                    raise
                size = self._source.size
                if chunks and self._splice is not None:
                    chunks = await offloaded(size, self._spliced, chunks, self._splice)
            if chunks is None:
                if not self.transcript.ended:
                    raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended without a finish reason")
                return None
            if data := self._all(chunks) if size < LARGE else await offloaded(size, self._all, chunks):
                return data

    def _deadline(self) -> float:
        """Until when more must come.

        Comments, pings and empty deltas are silence where another deployment can go on; where none can, they are signs of life.
        """
        transcript = self.transcript
        if transcript.contents != self._contents:
            self._contents = transcript.contents
            now = self._loop.time()
            self._due, self._latest = now + self._idle_s, now + self._thinking_s
        elif not self._over and (transcript.whole is not None or self._alone()):
            self._due = min(self._loop.time() + self._idle_s, self._latest)
        if transcript.complete and not self._over:
            self._over, self._due = True, self._loop.time() + min(self._idle_s, USAGE_S)
        return self._due

    async def aclose(self) -> None:
        self._last = (len(self.transcript.pieces), self.transcript.contents)
        await self._source.aclose()

    def _all(self, chunks: list[Chunk]) -> bytes:
        return b"".join([self._one(chunk) for chunk in chunks])

    def _one(self, chunk: Chunk) -> bytes:
        fields = chunk.fields
        if fields.get("usage"):
            if (usage := Usage.read(fields["usage"])) is not None:
                self.usage, self.usage_fields = usage, fields["usage"]
            if chunk.api == "chat" or not chunk.raw:
                if not fields["choices"]:
                    return b""
                fields = fields.copy()
                del fields["usage"]
                chunk = Chunk(b"", fields)
        return self._writer.write(chunk, self.transcript.take(fields) or fields, self._model)

    def _spliced(self, chunks: list[Chunk], splice: Splice) -> list[Chunk]:
        """The chunks with what is new of their text; those that only repeat are left out."""
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
