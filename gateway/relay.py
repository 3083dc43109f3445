"""Relay: one provider's stream -> the bytes of one client's stream.

Holds everything back until the first content, so that until then a failure can be answered by somebody else unseen.
Chunks keep their bytes; only the model name changes, and usage that the client did not ask for is left out.
"""

import re

from gateway.sse import encode
from gateway.upstream.answer import Chunk, ChunkStream, Usage
from gateway.upstream.failures import Cause, UpstreamFailure

_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')


class Relay:
    """A client's view of a provider's stream.

    Args:
        source: the provider's open stream; owned by the relay from here on.
        model: the public name that every chunk shall carry.
        usage_asked: did the client ask for a usage chunk?
        choices: how many choices it asked for.
    """

    def __init__(self, source: ChunkStream, model: str, *, usage_asked: bool, choices: int = 1) -> None:
        self.usage: Usage | None = None
        self._source = source
        self._model = model
        self._model_bytes = encode({"model": model})[len(b"data: {") : -len(b"}\n\n")]
        self._usage_asked = usage_asked
        self._choices = choices
        self._held: list[bytes] = []
        self._seen_model: object = None  # the provider's name, and the field's bytes as it writes them
        self._seen_bytes = b""
        self._begun: set[int] = set()  # indices of choices
        self._finished: set[int] = set()

    async def open(self) -> None:
        """Reads up to the first content.

        Raises:
            UpstreamFailure: the stream failed or ended before any content.
        """
        while True:
            chunks = await self._source.read()
            if chunks is None:
                raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended before any content")
            self._held.append(self._render(chunks))
            if any(chunk.has_content for chunk in chunks):
                return

    async def read(self) -> bytes | None:
        """The next bytes for the client, whole events only; None after a proper ending. The caller adds `[DONE]`.

        Raises:
            UpstreamFailure: cut, stalled or broken, or ended, without a finish reason.
        """
        if self._held:
            held, self._held = b"".join(self._held), []
            return held
        while True:
            try:
                chunks = await self._source.read()
            except UpstreamFailure:
                if len(self._finished) >= self._choices and not self._begun - self._finished:
                    return None  # the client has all of it: what broke is only how the provider hangs up
                raise
            if chunks is None:
                if not self._finished or self._begun - self._finished:
                    raise UpstreamFailure(Cause.UNREADABLE, detail="the stream ended without a finish reason")
                return None
            if data := self._render(chunks):
                return data

    async def aclose(self) -> None:
        await self._source.aclose()

    def _render(self, chunks: list[Chunk]) -> bytes:
        return b"".join([self._one(chunk) for chunk in chunks])

    def _one(self, chunk: Chunk) -> bytes:
        fields = chunk.fields
        choices = fields.get("choices") or ()
        for choice in choices:
            index = choice.get("index", 0)
            self._begun.add(index)
            if choice.get("finish_reason") is not None:
                self._finished.add(index)
        if fields.get("usage"):
            self.usage = Usage.read(fields["usage"]) or self.usage
            if not self._usage_asked:
                if not choices:
                    return b""
                rest = {key: value for key, value in fields.items() if key != "usage"}
                return encode(rest | {"model": self._model})
        if fields.get("model") != self._seen_model or not self._seen_bytes:
            found = _MODEL_FIELD.findall(chunk.raw)
            self._seen_model = fields.get("model")
            # Without a model of its own, what was found is a field of some nested object.
            self._seen_bytes = found[0] if len(found) == 1 and isinstance(self._seen_model, str) else b""
        if self._seen_bytes and self._seen_bytes in chunk.raw:
            return chunk.raw.replace(self._seen_bytes, self._model_bytes)
        return encode(fields | {"model": self._model})
