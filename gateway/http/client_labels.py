"""What a client says about its own user: OpenAI's `user`, `safety_identifier` and `metadata`, Anthropic's `metadata.user_id`."""

from typing import NamedTuple

import orjson

from gateway.request.request import Request

NAME_CHARS = 256
PAIRS = 16  # of `metadata`, as OpenAI allows
KEY_CHARS, VALUE_CHARS = 64, 512


class ClientLabels(NamedTuple):
    """Labels of a request, for the record only.

    Attributes:
        metadata: a JSON object of texts.
    """

    end_user: str | None = None
    safety_identifier: str | None = None
    metadata: str | None = None


def client_labels(request: Request) -> ClientLabels:
    """Read the labels of a request of any format. What is not a text is left out, what is too long is cut."""
    fields = request.fields if request.native is None else request.native.fields
    metadata = fields.get("metadata")
    pairs = metadata if isinstance(metadata, dict) else {}
    user = _text(fields.get("user"), NAME_CHARS) or _text(pairs.get("user_id"), NAME_CHARS)
    identifier = _text(fields.get("safety_identifier"), NAME_CHARS)
    if not pairs:
        return ClientLabels(user, identifier)
    texts = [(key, value) for key, value in pairs.items() if isinstance(value, str)][:PAIRS]
    kept = {_text(key, KEY_CHARS) or "": _text(value, VALUE_CHARS) for key, value in texts}
    return ClientLabels(user, identifier, orjson.dumps(kept).decode() if kept else None)


def _text(value: object, most: int) -> str | None:
    """A text that a database can store, cut to `most` characters."""
    if not isinstance(value, str) or not value:
        return None
    return value[:most].encode("utf-8", "replace").decode()
