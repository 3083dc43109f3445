"""The JSON objects of the Responses API that the gateway writes. At run time they are plain dictionaries.

Items and events are `JsonObject`: their keys depend on tables (`PART_FORMS`, `INPUT_KEYS`), and a provider's own items are kept
unchanged beside the gateway's.
"""

from typing import Literal, TypeAlias, TypedDict

from gateway.core.json_types import JsonObject

Item: TypeAlias = JsonObject
"""An item of a request's `input` or a response's `output`: a message, reasoning, a tool call, a tool's output."""
Event: TypeAlias = JsonObject
"""A stream event. Its `sequence_number` is added when it is written."""
Response: TypeAlias = JsonObject
"""A Response object, complete or in progress."""


class _Logprob(TypedDict):
    token: str
    logprob: float
    bytes: list[int]


class Logprob(_Logprob):
    """The log probability of one token, with those of the most probable tokens."""

    top_logprobs: list[_Logprob]


class OutputText(TypedDict):
    """The text of a message, as a part of it."""

    type: Literal["output_text"]
    text: str
    annotations: list[object]
    logprobs: list[Logprob]


class InputTokenDetails(TypedDict):
    cached_tokens: int
    cache_write_tokens: int


class OutputTokenDetails(TypedDict):
    reasoning_tokens: int


class ResponseUsage(TypedDict):
    """The tokens of a request and its response."""

    input_tokens: int
    input_tokens_details: InputTokenDetails
    output_tokens: int
    output_tokens_details: OutputTokenDetails
    total_tokens: int
