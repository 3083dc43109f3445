"""Reads the bytes of a chat request into a typed `ChatRequest`, once, when it arrives."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.validation import expected
from gateway.core.vocabulary import Api
from gateway.request.chat_templates import system_first
from gateway.request.model_names import model_name
from gateway.request.query_text import query_text
from gateway.request.request import MAX_DEPTH, Native, Request, parse_object
from gateway.request.requirements import read_requirements
from gateway.request.tool_results import results_after_calls


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a client asks of the gateway itself for one request; see `gateway.request.overrides`.

    Attributes:
        cost_weight: as a policy's.
        min_p_correct: models that are less probably correct are not chosen, as long as there are others.
        allow: no other model may answer; None: all may.
        failover: whether another model than the chosen one may answer.
        session: the conversation, by the client's own name.
    """

    policy: str | None = None
    cost_weight: float | None = None
    min_p_correct: float | None = None
    allow: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    failover: bool = True
    session: str | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest(Request):
    """A validated chat request.

    Attributes:
        session: the conversation that the request continues, if its format names one (`previous_response_id`).
        freeform: functions that stand for tools with plain text as input; the client gets that text as it is.
        utility: a small call that a front end makes on its own; it belongs to no conversation.
        cached_query: `query`, if it has been read already.
    """

    api: ClassVar[Api] = "chat"

    overrides: Overrides = Overrides()
    session: str | None = None
    freeform: frozenset[str] = frozenset()
    is_utility_call: bool = False
    cached_query: str | None = None

    @property
    def query(self) -> str:
        """The text that the choice is made by; see `query_text`."""
        return query_text(self.fields["messages"]) if self.cached_query is None else self.cached_query

    @property
    def mid_turn(self) -> bool:
        """Whether it has results of tool calls that the last answer made. Then that answer is still being worked on."""
        for message in reversed(self.fields["messages"]):
            if message["role"] in ("tool", "function"):
                return True
            if message["role"] == "assistant":
                return False
        return False


def parse_chat(body: bytes) -> ChatRequest:
    """The chat request in `body`.

    Raises:
        InvalidRequest: not JSON, not an object, or a field that the gateway reads has the wrong type; `param` names it.
    """
    return checked_chat_request(body, parse_object(body))


def translated_request(fields: dict[str, Any], native: Native, native_only: str | None = None) -> ChatRequest:
    """The chat request that a request of another format amounts to, in an order that chat templates take.

    Args:
        fields: of the chat request.
        native_only: the field of the native request that chat has nothing for, if any.

    Raises:
        InvalidRequest: as `parse_chat`; `param` is the chat request's.
    """
    fields = fields | {"messages": system_first(results_after_calls(fields["messages"]))}
    try:
        body = orjson.dumps(fields)
    except orjson.JSONEncodeError as exc:  # what was read was less deep
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.") from exc
    request = checked_chat_request(body, fields, native)
    if native_only is None:
        return request
    return replace(request, requirements=replace(request.requirements, api=native.api, api_field=native_only))


def checked_chat_request(body: bytes, fields: dict[str, Any], native: Native | None = None) -> ChatRequest:
    """Checks the fields that the gateway reads."""
    model = model_name(fields, "a model name, `auto` or `auto:<policy>`")
    stream = fields.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest(expected("stream", "true or false", fields), param="stream")
    options = fields.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidRequest(expected("stream_options", "an object", fields), param="stream_options")
    return ChatRequest(
        body=body,
        fields=fields,
        model=model,
        stream=bool(stream),
        usage_requested=bool(options and options.get("include_usage")),
        requirements=read_requirements(fields),
        native=native,
    )
