"""How a model is asked to go on with an answer that another one began. Pure: request and text in, request out."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.answering.splice import Way, anchor
from gateway.answering.transcript import Transcript
from gateway.config.providers import Prefill
from gateway.deployments.live import LiveDeployment
from gateway.request.request import Request

CONTINUE = (
    "Your answer was interrupted. Write the rest of it, from exactly where it stops, as if nothing had happened. "
    "Begin with its last words, so that the two parts can be joined: {anchor}"
)


def ways(live: LiveDeployment, text: str) -> tuple[Way, ...]:
    """The ways to have a text continued by a deployment, the surest first."""
    if not text.strip():
        return ("fresh",)
    return ("prefill", "fresh", "continue") if live.prefill else ("fresh", "continue")


def continuation(request: Request, transcript: Transcript, way: Way, form: Prefill) -> Request:
    """The request that has the rest of an answer written.

    Args:
        transcript: what the client has of the answer.
        way: "prefill" puts the text at the end as the assistant's message, "continue" asks for the rest after it, "fresh"
            asks the same again.
        form: how the deployment is told to go on from an assistant's message.
    """
    if way == "fresh":
        return request
    text = transcript.text.rstrip()  # white space at the end is refused by some, and lost by others
    message: dict[str, Any] = {"role": "assistant", "content": text}
    fields = dict(request.fields)
    if way == "continue":
        more = [message, {"role": "user", "content": CONTINUE.format(anchor=anchor(text))}]
    else:
        more = [message]
        if form == "prefix":
            message["prefix"] = True
        elif form == "vllm":
            fields |= {"add_generation_prompt": False, "continue_final_message": True}
    fields["messages"] = [*request.fields["messages"], *more]
    for key in ("max_tokens", "max_completion_tokens"):
        if fields.get(key) is not None:
            fields[key] = max(1, fields[key] - max(transcript.contents, len(text) // 4))
    return replace(request, body=orjson.dumps(fields), fields=fields, native=None)
