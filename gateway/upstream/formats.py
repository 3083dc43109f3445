"""The formats that an upstream may speak besides chat completions: where, and how its answers are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.api.completions import stream_reader as completions
from gateway.api.dialect import Reader
from gateway.api.messages import stream_reader as messages
from gateway.api.responses import stream_reader as responses
from gateway.core.answer import Usage
from gateway.core.vocabulary import Api


@dataclass(frozen=True, slots=True)
class UpstreamFormat:
    """One format.

    Attributes:
        path: below the deployment's base.
        reader: makes what reads one stream.
        check: an answer's fields, as they are; UpstreamFailure where they are none of this format.
        usage: what a whole answer was billed.
        events: the events that a whole answer, which has been checked, amounts to.
    """

    path: str
    reader: Callable[[], Reader]
    check: Callable[[dict[str, Any]], dict[str, Any]]
    usage: Callable[[dict[str, Any]], Usage | None]
    events: Callable[[dict[str, Any]], list[dict[str, Any]]]


FORMATS: Mapping[Api, UpstreamFormat] = {
    "messages": UpstreamFormat(
        "/messages", messages.MessagesReader, messages.checked_answer, messages.billed_usage, messages.events_of_answer
    ),
    "responses": UpstreamFormat(
        "/responses",
        responses.ResponsesReader,
        responses.checked_answer,
        responses.billed_usage,
        responses.events_of_answer,
    ),
    "completions": UpstreamFormat(
        "/completions",
        completions.CompletionsReader,
        completions.checked_answer,
        completions.billed_usage,
        lambda answer: [answer],
    ),
}
