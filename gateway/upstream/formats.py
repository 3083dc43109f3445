"""The API formats of upstreams besides chat completions: their paths, and the functions that read their answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.api.completions import stream_reader as completions
from gateway.api.dialect import Reader
from gateway.api.messages import stream_reader as messages
from gateway.api.messages import usage as messages_usage
from gateway.api.responses import stream_reader as responses
from gateway.api.responses import usage as responses_usage
from gateway.core.json_types import JsonObject
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api


@dataclass(frozen=True, slots=True)
class UpstreamFormat:
    """One format.

    Attributes:
        path: the path below the deployment's base URL.
        reader: makes a reader for one stream.
        check: returns the fields of a complete answer unchanged; raises UpstreamFailure if they are not an answer of this format.
        usage: the billed tokens of a complete answer.
        events: the stream events that are equivalent to a complete answer, which has been checked.
    """

    path: str
    reader: Callable[[], Reader]
    check: Callable[[JsonObject], JsonObject]
    usage: Callable[[JsonObject], Usage | None]
    events: Callable[[JsonObject], list[JsonObject]]


FORMATS: Mapping[Api, UpstreamFormat] = {
    "messages": UpstreamFormat(
        "/messages",
        messages.MessagesReader,
        messages.checked_answer,
        messages_usage.billed_usage,
        messages.events_of_answer,
    ),
    "responses": UpstreamFormat(
        "/responses",
        responses.ResponsesReader,
        responses.checked_answer,
        responses_usage.billed_usage,
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
