"""Chat completions, the format that everything inside is in: bytes pass, but for the model's name."""

import re

from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps
from gateway.bodies.sse import DONE, encode
from gateway.core.answer import Chunk, Complete
from gateway.core.chat_types import ChatChunk, ChatUsage
from gateway.core.errors import GatewayError

_MODEL_FIELD = re.compile(rb'"model"\s*:\s*"(?:[^"\\]|\\.)*"')


class ChatWriter:
    """Chunks keep their bytes where they can.

    Args:
        usage_requested: whether the client wants a last chunk with the usage.
    """

    def __init__(self, *, usage_requested: bool) -> None:
        self._usage_requested = usage_requested
        self._last: ChatChunk = {"choices": []}
        self._model = ""
        self._model_bytes = b""
        self._seen_model: object = None  # the provider's name, and the field's bytes as it writes them
        self._seen_bytes = b""

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        self._last = fields
        raw = chunk.raw
        if not raw or fields is not chunk.fields:
            return encode(fields | {"model": model})
        if model != self._model:
            self._model, self._seen_bytes = model, b""
            self._model_bytes = encode({"model": model})[len(b"data: {") : -len(b"}\n\n")]
        if fields.get("model") != self._seen_model or not self._seen_bytes:
            found = _MODEL_FIELD.findall(raw)
            self._seen_model = fields.get("model")
            # Without a model of its own, what was found is a field of some nested object.
            self._seen_bytes = found[0] if len(found) == 1 and isinstance(self._seen_model, str) else b""
        if self._seen_bytes and self._seen_bytes in raw:
            return raw.replace(self._seen_bytes, self._model_bytes)
        return encode(fields | {"model": model})

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if usage is None or not self._usage_requested:
            return DONE
        kept = {key: value for key, value in self._last.items() if key != "locus"}
        return encode(kept | {"choices": [], "usage": usage, "model": model}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """An error event without `[DONE]`, which is no clean ending."""
        return encode(error.envelope())


def renamed(complete: Complete, model: str) -> bytes:
    """The bytes of an answer with the model's public name."""
    body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
    return dumps(complete.fields | {"model": model}) if body is None else body
