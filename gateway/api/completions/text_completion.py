"""The parts of a text completion, the answer object of the legacy API: its envelope, its choices and their finish reasons."""

import random
import time
from collections.abc import Mapping
from typing import TypedDict

from gateway.core.chat_types import ChatUsage
from gateway.core.vocabulary import Api

API: Api = "completions"
_FINISH_REASONS = frozenset({"stop", "length", "content_filter"})
_KNOWN_KEYS = frozenset({"id", "object", "created", "model", "choices", "usage"})


class LegacyLogprobs(TypedDict):
    """The log probabilities of a choice: parallel lists with one element for each token.

    Attributes:
        text_offset: position of the token in the text of the choice, in characters.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(TypedDict):
    """One choice of a completion, or of one of its chunks."""

    text: str
    index: int
    logprobs: LegacyLogprobs | None
    finish_reason: str | None


class CompletionEnvelope(TypedDict, total=False):
    """The fields of a completion or chunk besides its choices. In a stream, all chunks have the same `id` and `created`."""

    id: str
    object: str
    created: int
    model: str
    usage: ChatUsage


def completion_envelope(fields: Mapping[str, object], model: str, *, keep_id: bool = False) -> CompletionEnvelope:
    """Return the envelope for an answer or chunk of an upstream. A missing id or time is generated.

    Args:
        fields: the answer or chunk, in the format of this API or of chat completions.
        model: name of the model for the client.
        keep_id: use the upstream's id unchanged; otherwise it gets the prefix `cmpl-`.
    """
    id_, created = fields.get("id"), fields.get("created")
    if not isinstance(id_, str) or not id_:
        id_ = f"{random.getrandbits(96):024x}"
    if not keep_id and not id_.startswith("cmpl-"):
        id_ = f"cmpl-{id_.removeprefix('chatcmpl-')}"
    created = created if isinstance(created, int) else int(time.time())
    return {"id": id_, "object": "text_completion", "created": created, "model": model}


def additional_fields(fields: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that this API does not define, unchanged; those that are null are left out."""
    return {key: value for key, value in fields.items() if key not in _KNOWN_KEYS and value is not None}


def legacy_finish_reason(finish_reason: str | None) -> str | None:
    """Return the finish reason for one of chat completions. This API has no tools: their reasons become `stop`."""
    return finish_reason if finish_reason is None or finish_reason in _FINISH_REASONS else "stop"
