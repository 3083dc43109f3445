"""The stream of one member: read to its end before the client gets any of it, which is only if this answer counts."""

import asyncio
from typing import Any

from gateway.answering.attempts import Attempts
from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.failover import Dispatch
from gateway.answering.open_call import OpenCall
from gateway.answering.written_answer import streamed_answer
from gateway.api.dialect import Writer
from gateway.bodies.json_cost import BYTES_PER_BYTE
from gateway.bodies.lenient_json import dumps
from gateway.bodies.memory_budget import charge
from gateway.bodies.offload import offloaded
from gateway.config.settings import Settings
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError, StreamBroken
from gateway.core.usage import Usage
from gateway.ensemble.total_usage import event_with_usage
from router.probes.checkers.answer import Answer

MAX_RECORDED_BYTES = 16 << 20  # of one member's stream
_STOP = b"\n"  # written so that the read of the stream ends
CHUNKS_AT_ONCE = 64  # written for the client before other requests have their turn


class ChunkRecorder:
    """A `Writer` that keeps the chunks in place of writing them. Their memory is charged to the request.

    Attributes:
        chunks: each with the fields that the client is to get, and the name of the model that wrote it.
        size: of all chunks, bytes.
        refused: why no further chunk is kept; None: chunks are kept.
    """

    def __init__(self) -> None:
        self.chunks: list[tuple[Chunk, ChatChunk, str]] = []
        self.size = 0
        self.refused: str | None = None

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        if self.refused is None:
            self._keep(chunk, fields, model)
        return b"" if self.refused is None else _STOP

    def _keep(self, chunk: Chunk, fields: ChatChunk, model: str) -> None:
        size = len(chunk.raw) or len(dumps(fields))
        self.size += size
        if self.size > MAX_RECORDED_BYTES:
            self.refused = f"is larger than {MAX_RECORDED_BYTES >> 20} MiB"
            return
        try:
            charge(BYTES_PER_BYTE * size)
        except GatewayError:
            self.refused = "needs more memory than the gateway has left"
            return
        self.chunks.append((chunk, fields, model))

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        return b""

    def error(self, error: GatewayError) -> bytes:
        return b""


class RecordedStream(ContinuedStream):
    """The stream of one member. `record` reads it; after `release` the client can read it.

    Args:
        recorder: the writer of the calls of `dispatch`.
    """

    def __init__(
        self,
        open_call: OpenCall,
        dispatch: Dispatch,
        recorder: ChunkRecorder,
        settings: Settings,
        attempts: Attempts,
        *,
        prompt_tokens: int,
    ) -> None:
        super().__init__(open_call, dispatch, settings.stream_recovery, attempts, prompt_tokens=prompt_tokens)
        self._recorder = recorder
        self._writer: Writer | None = None
        self._position = 0
        self._locus: dict[str, Any] | None = None

    async def record(self) -> Answer:
        """Reads the stream to its end; returns what the model wrote.

        Raises:
            StreamBroken: it broke, no deployment of the model could continue it, or it is too large.
        """
        if await super().read() is not None:  # the recorder writes nothing as long as it keeps the chunks
            raise StreamBroken(f"The answer of {self.calls[0].candidate.model.name} {self._recorder.refused}.")
        chunks = [fields for _, fields, _ in self._recorder.chunks]
        return await offloaded(self._recorder.size, streamed_answer, chunks)

    def release(self, writer: Writer, others: Usage, text: str | None = None) -> None:
        """From now on `read` gives the answer to the client.

        Args:
            writer: writes it in the client's format.
            others: the tokens of other calls for the same request.
            text: replaces what the model wrote; None: nothing does.
        """
        self._writer, self._others = writer, others
        if text is not None:
            self._replace_text(text)

    def add_locus_fields(self, fields: dict[str, Any]) -> None:
        self._locus = fields

    async def read(self) -> bytes | None:
        """The next bytes for the client; None at the end. Cannot fail."""
        writer, chunks = self._writer, self._recorder.chunks
        assert writer is not None, "the stream is not released"
        while self._position < len(chunks):
            begin, self._position = self._position, self._position + CHUNKS_AT_ONCE
            data = b"".join([self._written(*entry, writer) for entry in chunks[begin : self._position]])
            await asyncio.sleep(0)
            if data:
                return data
        return None

    def _written(self, chunk: Chunk, fields: ChatChunk, model: str, writer: Writer) -> bytes:
        choices = fields["choices"]
        if self._locus is not None:
            fields = fields | {"locus": fields.get("locus", {}) | self._locus}
            if chunk.has_content:
                self._locus = None
        # The last event of two formats has the usage. In the others the writer writes it at the end.
        has_usage = chunk.raw and chunk.api in ("messages", "responses") and fields.get("usage")
        ends = not choices or any(choice.get("finish_reason") for choice in choices)
        if has_usage and ends and (usage := self.total_usage()) is not None:
            chunk = chunk._replace(raw=event_with_usage(chunk.raw, chunk.api, usage))
        return writer.write(chunk, fields, model)

    def _replace_text(self, text: str) -> None:
        _, first, model = self._recorder.chunks[0]
        base: Any = {key: value for key, value in first.items() if key not in ("choices", "usage")}
        begin = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        chunks: list[Any] = [base | {"choices": [choice]} for choice in (begin, end)]
        self._recorder.chunks[:] = [(Chunk(b"", fields), fields, model) for fields in chunks]
        self.transcript.pieces[:] = [text]
