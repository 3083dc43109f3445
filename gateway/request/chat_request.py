"""Parses the body of a chat request into a typed `ChatRequest`, once, when it arrives."""

from dataclasses import dataclass, replace
from typing import ClassVar

import orjson

from gateway.config.access import EVERYTHING, Allowed
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected
from gateway.core.vocabulary import Api, StandIns
from gateway.request.chat_templates import system_first
from gateway.request.model_names import model_name
from gateway.request.query_text import query_text
from gateway.request.reasoning_setting import reasoning_setting
from gateway.request.request import MAX_DEPTH, Native, Request, parse_object
from gateway.request.requirements import read_requirements
from gateway.request.tool_results import results_after_calls
from router.model.policy import Rule


@dataclass(frozen=True, slots=True)
class Overrides:
    """A client's settings for the routing of one request; `gateway.request.overrides` reads them.

    Attributes:
        policy: the name of the policy to route by.
        rule: replaces the policy's rule and its number: by cost weight, quality or largest loss.
        min_p_correct: the P(correct) that a model should reach, whatever the rule.
        allow: only these models may answer; None allows all models.
        exclude: these models may not answer.
        stand_ins: what may answer if a call of the chosen model fails; None leaves it to the portfolio.
        session: the client's own name for the conversation.
        allowed: the models and policies that the key of the request may use.
        cost_factor: how much more than usual money counts to the policy; more than 1 if a budget of the key is nearly spent.
        cache: True to use the cache for answers, or for how many seconds an answer may be used; False not to use it; None
            leaves it to the policy.
        ensemble: True to let several models answer together, or how many at most, from 2 to 9; False to let one model answer; None
            leaves it to the policy.
    """

    policy: str | None = None
    rule: tuple[Rule, float] | None = None
    min_p_correct: float | None = None
    allow: frozenset[str] | None = None
    exclude: frozenset[str] = frozenset()
    stand_ins: StandIns | None = None
    session: str | None = None
    allowed: Allowed = EVERYTHING
    cost_factor: float = 1.0
    cache: bool | float | None = None
    ensemble: bool | int | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest(Request):
    """A validated chat request.

    Attributes:
        overrides: the client's settings for routing.
        session: the id of the conversation, if the format names one (`previous_response_id`).
        freeform: names of the functions that represent tools with plain text as input; the client gets this text unchanged.
        is_utility_call: the request is a small call that a chat front end makes by itself; it belongs to no conversation.
        cached_query: the value of `query`, if it has been extracted before.
    """

    api: ClassVar[Api] = "chat"

    overrides: Overrides = Overrides()
    session: str | None = None
    freeform: frozenset[str] = frozenset()
    is_utility_call: bool = False
    cached_query: str | None = None

    @property
    def query(self) -> str:
        """The text by which a model is chosen; see `query_text`."""
        return query_text(self.fields["messages"]) if self.cached_query is None else self.cached_query

    @property
    def reasoning_setting(self) -> str | None:
        """The reasoning setting that the client asks for; None if it leaves it to the model."""
        return reasoning_setting(self.fields if self.native is None else self.native.fields)

    @property
    def mid_turn(self) -> bool:
        """True if the request returns the results of the last answer's tool calls, so that the same turn continues."""
        for message in reversed(self.fields["messages"]):
            if message["role"] in ("tool", "function"):
                return True
            if message["role"] == "assistant":
                return False
        return False


def parse_chat(body: bytes) -> ChatRequest:
    """Parse and check the body of a chat request.

    Raises:
        InvalidRequest: the body is no JSON object, or a field that the gateway reads is invalid; `param` names the field.
    """
    return checked_chat_request(body, parse_object(body))


def translated_request(
    fields: JsonObject, native: Native, native_only: str | None = None, left_out: tuple[str, ...] = ()
) -> ChatRequest:
    """Return a chat request for a request in another format. Its messages are in an order that chat templates accept.

    Args:
        fields: the fields of the chat request.
        native: the client's own request.
        native_only: a field of the client's request that a chat request cannot express. Only upstreams that speak the
            client's format can then serve the request.
        left_out: names of the client's fields and tools that the chat request lacks.

    Raises:
        InvalidRequest: as `parse_chat`; `param` names a field of the chat request.
    """
    fields = fields | {"messages": system_first(results_after_calls(fields["messages"]))}
    try:
        body = orjson.dumps(fields)
    except orjson.JSONEncodeError as exc:  # the translation adds levels to what was parsed
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.") from exc
    request = checked_chat_request(body, fields, native)
    requirements = request.requirements
    if native_only is not None:
        requirements = replace(requirements, api=native.api, api_field=native_only)
    return replace(request, requirements=requirements, left_out=left_out)


def checked_chat_request(body: bytes, fields: JsonObject, native: Native | None = None) -> ChatRequest:
    """Check the fields that the gateway reads.

    Raises:
        InvalidRequest: a field is missing or has the wrong type; `param` names it.
    """
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
