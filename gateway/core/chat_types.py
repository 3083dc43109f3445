"""The parts of a chat completion, as OpenAI defines them: chunk, choice, delta, message, tool call, usage.

These types hold for chunks and responses that `gateway.api.chat` has read and normalized. Objects may have more keys than are
listed here: what a provider adds is passed on. A key that is not `Required` may be absent.
"""

from typing import Required, TypedDict

from gateway.core.json_types import JsonObject


class FunctionCall(TypedDict, total=False):
    """The function that a tool call names. In a stream, `arguments` is the next piece of the JSON text."""

    name: str
    arguments: str


class ToolCall(TypedDict, total=False):
    """One tool call, or the next piece of one.

    Attributes:
        index: the position among the tool calls of the choice. Always set in streams.
        custom: instead of `function`, for a tool whose input is free text.
    """

    index: int
    id: str
    type: str
    function: FunctionCall
    custom: JsonObject


class ChatMessage(TypedDict, total=False):
    """The message of a choice, or, in a stream, the part of it that a chunk adds (its delta).

    Attributes:
        content: a list of parts if it has pictures or sound.
        reasoning: as OpenRouter and vLLM name the text of `reasoning_content`.
        reasoning_details: signed reasoning, as OpenRouter writes it.
        thinking_blocks: signed reasoning, as LiteLLM writes it.
        provider_block: the type of a Messages block that chat completions cannot express.
        provider_tool: the type of a Responses item that chat completions cannot express.
    """

    role: str
    content: str | list[JsonObject] | None
    refusal: str | None
    reasoning: str | None
    reasoning_content: str | None
    reasoning_details: list[JsonObject]
    thinking_blocks: list[JsonObject]
    tool_calls: list[ToolCall] | None
    function_call: FunctionCall | None
    provider_block: str
    provider_tool: str


class TokenLogprob(TypedDict, total=False):
    """The log probability of one token."""

    token: Required[str]
    logprob: Required[float]
    bytes: list[int] | None
    top_logprobs: "list[TokenLogprob] | None"


class Logprobs(TypedDict, total=False):
    """The log probabilities of a choice."""

    content: list[TokenLogprob] | None
    refusal: list[TokenLogprob] | None


class _Choice(TypedDict, total=False):
    index: Required[int]
    finish_reason: str | None
    stop_reason: str | int | None  # the stop sequence that was found, as vLLM reports it
    logprobs: Logprobs | None


class ChunkChoice(_Choice):
    """The part of one choice that a chunk adds."""

    delta: Required[ChatMessage]


class ChatUsage(TypedDict, total=False):
    """The tokens of a request and its response, as the provider reports them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: JsonObject | None
    completion_tokens_details: JsonObject | None
    service_tier: str  # as in a Message
    server_tool_use: JsonObject  # as in a Message


class _Envelope(TypedDict, total=False):
    id: str
    object: str
    created: int
    model: object  # the provider's name for it, of any type
    usage: ChatUsage | None
    system_fingerprint: str | None
    service_tier: str | None
    locus: JsonObject  # the gateway's own field


class ChatChunk(_Envelope):
    """One chunk of a stream (`chat.completion.chunk`)."""

    choices: Required[list[ChunkChoice]]
