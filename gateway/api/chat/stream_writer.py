"""Chat chunks -> the chat completions stream of one client. The bytes of a chunk pass, with the public name of the model."""

import re

from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.sse import DONE, json_event
from gateway.core.answer import Chunk, Complete
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError

_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')


class ChatWriter:
    """Writes one stream. A chunk keeps its bytes if nothing but the model name has to change.

    Args:
        usage_requested: the client wants a last chunk with the usage.
    """

    def __init__(self, *, usage_requested: bool) -> None:
        self._usage_requested = usage_requested
        self._last: ChatChunk = {"choices": []}
        self._model = ""
        self._model_bytes = b""
        self._seen_model: object = None  # the model in the last chunk, and its field as the provider wrote it
        self._seen_bytes = b""

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        self._last = fields
        raw = chunk.raw
        if not raw or fields is not chunk.fields:
            return json_event(fields | {"model": model})
        if model != self._model:
            self._model, self._seen_bytes = model, b""
            self._model_bytes = json_event({"model": model})[len(b"data: {") : -len(b"}\n\n")]
        if fields.get("model") != self._seen_model or not self._seen_bytes:
            matches = _MODEL_FIELD.findall(raw)
            self._seen_model = fields.get("model")
            # If the chunk has no model of its own, the match is a field of a nested object.
            self._seen_bytes = matches[0] if len(matches) == 1 and isinstance(self._seen_model, str) else b""
        if self._seen_bytes and self._seen_bytes in raw:
            return raw.replace(self._seen_bytes, self._model_bytes)
        return json_event(fields | {"model": model})

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if usage is None or not self._usage_requested:
            return DONE
        kept = {key: value for key, value in self._last.items() if key != "locus"}
        return json_event(kept | {"choices": [], "usage": usage, "model": model}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """Return an error event. `[DONE]` does not follow it, since the answer is not complete."""
        return json_event(error.envelope())


def with_model_name(complete: Complete, model: str) -> bytes:
    """Return the bytes of an answer, with the public name of the model."""
    body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
    return dumps(complete.fields | {"model": model}) if body is None else body
