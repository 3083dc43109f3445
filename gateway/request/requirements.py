"""Reads what a chat request requires of a model: its capabilities, and room for the prompt and the output.

Reading the requirements also checks the types of the messages, so that they are walked through only once.
"""

from dataclasses import dataclass

import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected, json_type
from gateway.core.vocabulary import CHARS_PER_TOKEN, OUTPUT_CAPABILITIES, Api, Capability, Requirement

TOKENS_PER_MESSAGE = 4  # for the role and the separators of the chat template
TOKENS_PER_IMAGE = 1_000
TOKENS_PER_FILE = 2_000
MAX_BYTES_PER_CHAR = 4  # of UTF-8
ENCODED_CHARS = 1_000_000  # longer texts are not encoded to count their bytes, which takes one millisecond per megabyte
MAX_OUTPUT_TOKENS = 1 << 31  # higher than the limit of any model; a larger value means the same
PARTS: dict[str, Capability] = {
    "image_url": "vision",
    "input_image": "vision",
    "input_audio": "audio",
    "file": "files",
    "input_file": "files",
}
_PART_TOKENS = {"vision": TOKENS_PER_IMAGE, "files": TOKENS_PER_FILE, "audio": 0}


@dataclass(frozen=True, slots=True)
class Requirements:
    """The capabilities and the room for tokens that a request requires of a model.

    Attributes:
        capabilities: subset of {"tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output", "several",
            "logprobs"}.
        prompt_tokens: the length of the prompt in tokens. An estimate, unless `prompt_tokens_exact` is set.
        output_tokens: the client's output limit in tokens; None if the client sets no limit.
        api: if set, only an upstream that speaks this format natively can serve the request, because of `api_field`.
        texts: the texts of the prompt, from which its tokens are estimated.
        overhead_tokens: the tokens for roles, images and files, which `texts` does not contain.
        prompt_tokens_exact: True if a tokenizer has counted the prompt's tokens.
    """

    capabilities: frozenset[Requirement]
    prompt_tokens: int
    output_tokens: int | None
    api: Api | None = None
    api_field: str | None = None
    texts: tuple[str, ...] = ()
    overhead_tokens: int = 0
    prompt_tokens_exact: bool = False

    @property
    def max_prompt_tokens(self) -> int:
        """An upper bound of the prompt's tokens: each token of a text takes at least one byte of its UTF-8."""
        return sum(map(_max_bytes, self.texts)) + 2 * self.overhead_tokens


def read_requirements(fields: JsonObject) -> Requirements:
    """Return what a chat request requires of a model.

    Raises:
        InvalidRequest: `messages`, `n` or an output limit is invalid; `param` names the field.
    """
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(expected("messages", "a list of at least one message", fields), param="messages")
    capabilities: set[Requirement] = set()
    texts: list[str] = []
    overhead_tokens = TOKENS_PER_MESSAGE * len(messages) + _read_messages(messages, texts, capabilities)
    _read_options(fields, texts, capabilities)
    return Requirements(
        capabilities=frozenset(capabilities),
        prompt_tokens=sum(map(len, texts)) // CHARS_PER_TOKEN + overhead_tokens,
        output_tokens=_output_limit(fields),
        texts=tuple(texts),
        overhead_tokens=overhead_tokens,
    )


def _read_messages(messages: list[object], texts: list[str], capabilities: set[Requirement]) -> int:
    """Check the messages, collect their texts and capabilities, and return the tokens for images and files."""
    tokens = 0
    for i, message in enumerate(messages):
        if not isinstance(message, dict):
            where = f"messages[{i}]"
            raise InvalidRequest(f"`{where}` must be an object, not {json_type(message)}.", param=where)
        if not isinstance(message.get("role"), str):
            where = f"messages[{i}]"
            raise InvalidRequest(expected("role", "a string", message, where), param=f"{where}.role")
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            tokens += _read_parts(content, i, texts, capabilities)
        elif content is not None:
            where = f"messages[{i}]"
            raise InvalidRequest(
                expected("content", "a string, a list of parts or null", message, where), param=f"{where}.content"
            )
        if isinstance(reasoning := message.get("reasoning_content"), str):
            texts.append(reasoning)
        if calls := message.get("tool_calls"):
            texts.append(orjson.dumps(calls).decode())
    return tokens


def _read_parts(parts: list[object], message: int, texts: list[str], capabilities: set[Requirement]) -> int:
    """Check the content parts of one message, given its index, and return the tokens for its images and files."""
    tokens = 0
    for j, part in enumerate(parts):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            where = f"messages[{message}].content[{j}]"
            raise InvalidRequest(f"`{where}` must be an object with a `type`, not {json_type(part)}.", param=where)
        if (capability := PARTS.get(part["type"])) is not None:
            capabilities.add(capability)
            tokens += _PART_TOKENS[capability]
        elif isinstance(part.get("text"), str):
            texts.append(part["text"])
    return tokens


def _read_options(fields: JsonObject, texts: list[str], capabilities: set[Requirement]) -> None:
    """Collect the capabilities that the fields beside `messages` require, and the texts of tools and schemas."""
    if tools := fields.get("tools") or fields.get("functions"):
        capabilities.add("tools")
        texts.append(orjson.dumps(tools).decode())
    response_format = fields.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") == "json_schema":
        capabilities.add("json_schema")
        texts.append(orjson.dumps(response_format).decode())
    if isinstance(modalities := fields.get("modalities"), list):
        capabilities.update(name for modality, name in OUTPUT_CAPABILITIES.items() if modality in modalities)
    if (_count(fields, "n") or 1) > 1:
        capabilities.add("several")
    if fields.get("logprobs"):
        capabilities.add("logprobs")


def _max_bytes(text: str) -> int:
    """Return an upper bound of the length of a text in UTF-8; exact up to a million characters."""
    if text.isascii():
        return len(text)
    if len(text) > ENCODED_CHARS:
        return MAX_BYTES_PER_CHAR * len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def _output_limit(fields: JsonObject) -> int | None:
    """Return the larger one of both names: it is not known which of them a provider obeys."""
    limits = [_count(fields, key) for key in ("max_completion_tokens", "max_tokens")]
    return min(max((limit for limit in limits if limit), default=0), MAX_OUTPUT_TOKENS) or None


def _count(fields: JsonObject, key: str) -> int | None:
    value = fields.get(key)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise InvalidRequest(expected(key, "a whole number of at least 1", fields), param=key)
    return value
