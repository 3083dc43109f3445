"""The JSON objects of the Messages API that the gateway writes. At run time they are plain dictionaries."""

from typing import Literal, NotRequired, TypedDict

from gateway.core.json_types import JsonObject


class TextBlock(TypedDict):
    type: Literal["text"]
    text: str


class ThinkingBlock(TypedDict):
    """The reasoning of a model as text.

    Attributes:
        signature: the provider's signature of the text; empty if the text is not signed.
    """

    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinkingBlock(TypedDict):
    """Encrypted thinking."""

    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(TypedDict):
    """A tool call."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: JsonObject


ContentBlock = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock


class TextDelta(TypedDict):
    type: Literal["text_delta"]
    text: str


class ThinkingDelta(TypedDict):
    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(TypedDict):
    type: Literal["signature_delta"]
    signature: str


class InputJsonDelta(TypedDict):
    """The next piece of the JSON text of a tool call's input."""

    type: Literal["input_json_delta"]
    partial_json: str


BlockDelta = TextDelta | ThinkingDelta | SignatureDelta | InputJsonDelta


class ThinkingTokens(TypedDict):
    thinking_tokens: int


class CacheCreation(TypedDict):
    """The tokens that were written to a cache, by the time that it keeps them."""

    ephemeral_5m_input_tokens: int
    ephemeral_1h_input_tokens: int


class MessageUsage(TypedDict):
    """The tokens of a request and its response.

    Attributes:
        input_tokens: without the tokens that were read from a cache or written to it.
    """

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: NotRequired[CacheCreation]
    output_tokens_details: NotRequired[ThinkingTokens]


class Message(TypedDict):
    """A complete response."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ContentBlock]
    stop_reason: str | None
    stop_sequence: str | None
    usage: MessageUsage


class ErrorDetails(TypedDict):
    type: str
    message: str
    details: NotRequired[JsonObject]


class ErrorObject(TypedDict):
    """The body of an error response, and the data of an `error` event."""

    type: Literal["error"]
    error: ErrorDetails
