"""A chat completion -> a text completion."""

from gateway.api.completions.logprobs import legacy_logprobs
from gateway.api.completions.text_completion import (
    API,
    TextChoice,
    additional_fields,
    completion_envelope,
    legacy_finish_reason,
)
from gateway.core.answer import Complete
from gateway.core.json_types import JsonObject
from gateway.request.query_text import message_text


def completion_fields(complete: Complete, model: str) -> JsonObject:
    """Return a deployment's complete answer as a text completion.

    Args:
        complete: a text completion, or a chat completion.
        model: name of the model for the client.
    """
    fields = complete.fields
    if complete.api == API:
        return fields | {"model": model}
    choices: list[TextChoice] = []
    for position, choice in enumerate(fields["choices"]):
        index = choice.get("index")
        choices.append(
            {
                "text": message_text(choice["message"]),
                "index": position if index is None else index,
                "logprobs": legacy_logprobs(choice.get("logprobs"), 0),
                "finish_reason": legacy_finish_reason(choice.get("finish_reason") or "stop"),
            }
        )
    completion = {**completion_envelope(fields, model), "choices": choices, **additional_fields(fields)}
    if fields.get("usage") is not None:
        completion["usage"] = fields["usage"]
    return completion
