"""The request that asks a model to continue an answer that another one began. Pure."""

from dataclasses import replace
from typing import Any

import orjson

from gateway.answering.splice import Way, anchor
from gateway.answering.transcript import Transcript
from gateway.config.providers import Prefill
from gateway.core.vocabulary import CHARS_PER_TOKEN
from gateway.deployments.live import LiveDeployment
from gateway.request.request import Request

CONTINUE_PROMPT = (
    "Your answer was interrupted. Write the rest of it, from exactly where it stops, as if nothing had happened. "
    "Begin with its last words, so that the two parts can be joined: {anchor}"
)


def ways(live: LiveDeployment, text: str) -> tuple[Way, ...]:
    """The ways in which a deployment may continue a text, the most reliable first."""
    if not text.strip():
        return ("fresh",)
    return ("prefill", "fresh", "continue") if live.prefill else ("fresh", "continue")


def continuation(request: Request, transcript: Transcript, way: Way, form: Prefill) -> Request:
    """The request for the rest of an answer.

    Args:
        transcript: the part of the answer that the client has.
        way: "prefill" adds the text as an assistant message at the end; "continue" adds it and a user message that asks for
            the rest; "fresh" repeats the request unchanged.
        form: how this deployment's server is asked to continue an assistant message.
    """
    if way == "fresh":
        return request
    text = transcript.text.rstrip()  # some servers refuse white space at the end, others lose it
    message: dict[str, Any] = {"role": "assistant", "content": text}
    fields = dict(request.fields)
    if way == "continue":
        more = [message, {"role": "user", "content": CONTINUE_PROMPT.format(anchor=anchor(text))}]
    else:
        more = [message]
        if form == "prefix":
            message["prefix"] = True
        elif form == "vllm":
            fields |= {"add_generation_prompt": False, "continue_final_message": True}
    fields["messages"] = [*request.fields["messages"], *more]
    for key in ("max_tokens", "max_completion_tokens"):
        if fields.get(key) is not None:
            fields[key] = max(1, fields[key] - max(transcript.contents, len(text) // CHARS_PER_TOKEN))
    return replace(request, body=orjson.dumps(fields), fields=fields, native=None)
