"""Chat chunks -> the stream of a legacy completion. Chunks of an upstream that speaks this format keep their bytes if possible."""

import orjson

from gateway.api.completions.logprobs import legacy_logprobs
from gateway.api.completions.text_completion import (
    API,
    CompletionEnvelope,
    TextChoice,
    additional_fields,
    completion_envelope,
    legacy_finish_reason,
)
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.sse import DONE, EventReader, json_event
from gateway.core.answer import Chunk
from gateway.core.chat_types import ChatChunk, ChatUsage, ChunkChoice
from gateway.core.errors import GatewayError
from gateway.request.query_text import message_text


class CompletionsWriter:
    """Writes one stream; see `gateway.api.dialect.Writer`.

    Args:
        usage_requested: the client asked for a last chunk with the usage.
        identity: the envelope of every chunk; several writers of one stream share it. The first chunk fills it.

    Attributes:
        identity: the same object.
    """

    def __init__(self, *, usage_requested: bool, identity: CompletionEnvelope | None = None) -> None:
        self._usage_requested = usage_requested
        self.identity: CompletionEnvelope = {} if identity is None else identity
        self._chars: dict[int, int] = {}  # written so far, by the index of the choice
        self._usage_chunk: Chunk | None = None  # if an upstream of this format sent it

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        relayable = bool(chunk.raw) and chunk.api == API and fields is chunk.fields
        if fields.get("usage") and not fields["choices"]:
            self._usage_chunk = chunk if relayable else None
            return b""
        if not self.identity:
            self.identity |= completion_envelope(fields, model, keep_id=relayable)
        choices = [self._text_choice(choice) for choice in fields["choices"]]
        if relayable:
            return _renamed_chunk(chunk, model)
        visible = [choice for choice in choices if choice["text"] or choice["finish_reason"] is not None]
        if not visible:
            return b""
        return json_event(self._envelope(model) | {"choices": visible} | additional_fields(fields))

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if usage is None or not self._usage_requested:
            return DONE
        last = self._usage_chunk
        if last is not None and last.fields["usage"] == usage:
            return _renamed_chunk(last, model, keep_usage=True) + DONE
        return json_event(self._envelope(model) | {"choices": [], "usage": usage}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """Return an error event. `[DONE]` does not follow it, since the answer is not complete."""
        return json_event(error.envelope())

    def _envelope(self, model: str) -> dict[str, object]:
        return {**(self.identity or completion_envelope({}, model)), "model": model}

    def _text_choice(self, choice: ChunkChoice) -> TextChoice:
        index = choice.get("index") or 0
        text = message_text(choice.get("delta") or {})
        offset = self._chars.get(index, 0)
        self._chars[index] = offset + len(text)
        return {
            "text": text,
            "index": index,
            "logprobs": legacy_logprobs(choice.get("logprobs"), offset),
            "finish_reason": legacy_finish_reason(choice.get("finish_reason")),
        }


def _renamed_chunk(chunk: Chunk, model: str, *, keep_usage: bool = False) -> bytes:
    """Return the bytes of a chunk with the public name of the model.

    Args:
        keep_usage: False removes the usage, which is sent once, at the end of the stream.
    """
    fields = chunk.fields
    body = None
    if keep_usage or not fields.get("usage"):
        body = replace_model_name(chunk.raw, str(fields.get("model") or ""), model)
    if body is not None:
        return body
    reader = EventReader()  # `close`: a CR at the end of the bytes may be the first half of a CRLF
    data = next(event.data for event in [*reader.feed(chunk.raw), *reader.close()] if event.data)
    changed = orjson.loads(data) | {"model": model}
    return json_event(changed if keep_usage else {key: value for key, value in changed.items() if key != "usage"})
