"""What a request asks of a model: capabilities, and how many tokens. Reading that checks the messages on the way."""

from dataclasses import dataclass
from typing import Any

import orjson

from gateway.core.errors import InvalidRequest
from gateway.core.validation import expected, json_type
from gateway.core.vocabulary import CHARS_PER_TOKEN, Api

TOKENS_PER_IMAGE = 1_000
TOKENS_PER_FILE = 2_000
MAX_BYTES_PER_CHAR = 4  # of UTF-8
ENCODED_CHARS = 1_000_000  # the bytes of a longer text are not counted: that takes a millisecond a megabyte
MAX_OUTPUT_TOKENS = 1 << 31  # beyond every model; a larger limit means the same
PARTS = {"image_url": "vision", "input_image": "vision", "input_audio": "audio", "file": "files", "input_file": "files"}


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a request asks of a model.

    Attributes:
        capabilities: subset of {"tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output", "several",
            "logprobs"}.
        prompt_tokens: length of the prompt, tokens: estimated, or `counted`.
        output_tokens: the client's own output limit, tokens; None where it set none.
        api: only an upstream that speaks this format itself can serve it, because of `api_field`.
        texts: what the estimate is of; `around` is what it takes for roles, images and files, tokens.
    """

    capabilities: frozenset[str]
    prompt_tokens: int
    output_tokens: int | None
    api: Api | None = None
    api_field: str | None = None
    texts: tuple[str, ...] = ()
    overhead_tokens: int = 0
    prompt_tokens_exact: bool = False

    @property
    def max_prompt_tokens(self) -> int:
        """The prompt is certainly no longer, tokens: no token of a text is shorter than a byte of its UTF-8."""
        return sum(map(_bytes_at_most, self.texts)) + 2 * self.overhead_tokens


def read_requirements(fields: dict[str, Any]) -> Requirements:
    """What a chat request needs.

    Raises:
        InvalidRequest: `messages` or an output limit is not what it must be; `param` names it.
    """
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest(expected("messages", "a list of at least one message", fields), param="messages")
    capabilities = set()
    texts: list[str] = []
    images = files = 0
    for i, message in enumerate(messages):
        where = f"messages[{i}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"`{where}` must be an object, not {json_type(message)}.", param=where)
        if not isinstance(message.get("role"), str):
            raise InvalidRequest(expected("role", "a string", message, where), param=f"{where}.role")
        content = message.get("content")
        if isinstance(content, str):
            texts.append(content)
        elif isinstance(content, list):
            for j, part in enumerate(content):
                if not isinstance(part, dict) or not isinstance(part.get("type"), str):
                    at = f"{where}.content[{j}]"
                    raise InvalidRequest(f"`{at}` must be an object with a `type`, not {json_type(part)}.", param=at)
                if (capability := PARTS.get(part["type"])) is not None:
                    capabilities.add(capability)
                    images += capability == "vision"
                    files += capability == "files"
                elif isinstance(part.get("text"), str):
                    texts.append(part["text"])
        elif content is not None:
            raise InvalidRequest(
                expected("content", "a string, a list of parts or null", message, where), param=f"{where}.content"
            )
        if isinstance(thought := message.get("reasoning_content"), str):
            texts.append(thought)
        if calls := message.get("tool_calls"):
            texts.append(orjson.dumps(calls).decode())
    if tools := fields.get("tools") or fields.get("functions"):
        capabilities.add("tools")
        texts.append(orjson.dumps(tools).decode())
    response_format = fields.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") == "json_schema":
        capabilities.add("json_schema")
        texts.append(orjson.dumps(response_format).decode())
    if isinstance(modalities := fields.get("modalities"), list):
        capabilities |= {f"{kind}_output" for kind in ("audio", "image") if kind in modalities}
    n = fields.get("n")
    if isinstance(n, int) and n > 1:
        capabilities.add("several")
    if fields.get("logprobs"):
        capabilities.add("logprobs")
    chars = sum(map(len, texts))
    overhead_tokens = 4 * len(messages) + images * TOKENS_PER_IMAGE + files * TOKENS_PER_FILE
    return Requirements(
        capabilities=frozenset(capabilities),
        prompt_tokens=chars // CHARS_PER_TOKEN + overhead_tokens,
        output_tokens=_output_limit(fields),
        texts=tuple(texts),
        overhead_tokens=overhead_tokens,
    )


def _bytes_at_most(text: str) -> int:
    if text.isascii():
        return len(text)
    if len(text) > ENCODED_CHARS:
        return MAX_BYTES_PER_CHAR * len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def _output_limit(fields: dict[str, Any]) -> int | None:
    for key in ("max_completion_tokens", "max_tokens"):
        value = fields.get(key)
        if value is not None:
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InvalidRequest(expected(key, "a whole number of at least 1", fields), param=key)
            return min(value, MAX_OUTPUT_TOKENS)
    return None
