"""The base class of client requests: body, fields, model name, and the body that is sent upstream.

`ChatRequest` and `EmbeddingsRequest` derive from it. The gateway reads only the fields that routing, failover and accounting
need. It sends the client's own bytes upstream, with the model name replaced; it does not serialize the fields again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import orjson

from gateway.bodies.json_cost import BYTES_PER_BYTE, MAX_CONTAINERS, MAX_VALUES, json_cost
from gateway.bodies.json_edit import occurs_more_than, replace_model_name
from gateway.bodies.memory_budget import charge
from gateway.bodies.request_body import COUNTED
from gateway.core.errors import BodyTooLarge, InvalidRequest
from gateway.core.json_depth import is_serializable
from gateway.core.json_types import JsonObject
from gateway.core.validation import json_type
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import ALTERNATIVE_NAME, OPTIONAL_FIELDS
from gateway.request.requirements import Requirements

MAX_DEPTH = 250  # of nested lists and objects; orjson can parse deeper JSON but not serialize it
_OPEN_BRACE = re.compile(rb"\s*\{")


@dataclass(frozen=True, slots=True)
class Native:
    """A client's request in a format other than chat, for upstreams that speak this format natively.

    Attributes:
        api: the format.
        body: the JSON that `fields` were parsed from.
        headers: the client's headers that belong to the format, such as `anthropic-beta`.
    """

    api: Api
    body: bytes
    fields: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict)

    def upstream_body(self, model: str) -> bytes:
        """Return the body for an upstream: the client's bytes with the model name replaced."""
        body = replace_model_name(self.body, self.fields["model"], model)
        return orjson.dumps(self.fields | {"model": model}) if body is None else body


@dataclass(frozen=True, slots=True)
class Request:
    """The common part of all kinds of requests.

    Attributes:
        body: the JSON that `fields` were parsed from.
        model: the model name that the client sent.
        requirements: what the request requires of a model.
        stream: the client requests a stream.
        usage_requested: the client requests a usage chunk at the end of the stream (`stream_options.include_usage`).
        native: the client's own request, if this request is a translation of it.
        left_out: parts of the client's request that the translation cannot express, such as `tools.web_search`. Visible ASCII.
        api: the format of `body`.
    """

    api: ClassVar[Api]

    body: bytes
    fields: JsonObject
    model: str
    requirements: Requirements
    stream: bool = False
    usage_requested: bool = False
    native: Native | None = None
    left_out: tuple[str, ...] = ()

    @property
    def choice_count(self) -> int:
        """The number of choices that the client requests."""
        return self.fields.get("n") or 1

    @property
    def requires_json(self) -> bool:
        """True if the answer must be JSON."""
        form = self.fields.get("response_format")
        return isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")

    def sends_field(self, field: str) -> bool:
        """Return True if this optional field is sent upstream. The gateway requests the usage of every stream."""
        return field in self.fields or (field == "stream_options" and self.stream)

    def is_valid_optional_field(self, field: str) -> bool:
        """Return True if the gateway added this optional field, or its value has the type that the OpenAI API defines."""
        value = self.fields.get(field)
        if isinstance(value, dict) and field == "stream_options":
            return self.stream and value.keys() == {"include_usage"}
        return value is None or field in ALTERNATIVE_NAME or isinstance(value, OPTIONAL_FIELDS[field])

    def fields_without(self, dropped: frozenset[str]) -> JsonObject:
        """Return the fields without `dropped`. A dropped output limit is sent under its alternative name instead."""
        fields = self.fields
        refused = dropped & fields.keys()
        if not refused:
            return fields
        renamed = {ALTERNATIVE_NAME[key]: fields[key] for key in refused & ALTERNATIVE_NAME.keys()}
        return {key: value for key, value in fields.items() if key not in refused} | renamed

    def upstream_body(self, model: str, dropped: frozenset[str] = frozenset()) -> bytes:
        """Return the body for an upstream: the client's bytes with the model name replaced, and usage requested in streams.

        Args:
            model: the name that the upstream expects.
            dropped: optional fields that this upstream has refused before.
        """
        fields = self.fields
        ask_usage = self.stream and not self.usage_requested and "stream_options" not in dropped
        if dropped & fields.keys() or (ask_usage and "stream_options" in fields):
            changed = self.fields_without(dropped) | {"model": model}
            if ask_usage:
                changed["stream_options"] = {**(fields.get("stream_options") or {}), "include_usage": True}
            return orjson.dumps(changed)
        body = replace_model_name(self.body, self.model, model)
        if body is None:  # duplicate keys, or a nested object with the same key: serialize the fields instead
            body = orjson.dumps(fields | {"model": model})
        if ask_usage:
            brace = _OPEN_BRACE.match(body)
            assert brace is not None  # the body was parsed as an object that has a model
            body = b'{"stream_options":{"include_usage":true},' + body[brace.end() :]
        return body


def parse_object(body: bytes) -> JsonObject:
    """Parse a body that must be a JSON object.

    Raises:
        InvalidRequest: the body is no JSON object, or it is nested too deeply.
        BodyTooLarge: the body has more values than any request needs.
        Overloaded: the gateway's memory budget has no room for the parsed body now.
    """
    if len(body) > COUNTED:
        cost = json_cost(body)
        if cost.excessive:
            raise BodyTooLarge(
                f"The body has {cost.values} JSON keys and values and {cost.containers} objects and lists; at most "
                f"{MAX_VALUES} and {MAX_CONTAINERS} are read."
            )
        charge(cost.memory - BYTES_PER_BYTE * len(body))
    try:
        fields = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}.") from exc
    if not isinstance(fields, dict):
        raise InvalidRequest(f"The body must be a JSON object, not {json_type(fields)}.")
    half = MAX_DEPTH // 2
    if (occurs_more_than(body, b"[", half) or occurs_more_than(body, b"{", half)) and not is_serializable(fields):
        raise InvalidRequest(f"The body is nested deeper than {MAX_DEPTH} levels.")
    return fields
