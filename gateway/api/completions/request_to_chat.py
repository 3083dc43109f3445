"""A legacy completions request -> a chat request: a chat model gets the prompt as one user message.

Some fields have no equivalent in chat completions (`suffix`, token numbers, several prompts). Only a deployment that speaks
legacy completions can serve them; `native_only_field` names such a field.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from gateway.api.completions.prompts import is_prompt, prompts_of, texts_among
from gateway.api.completions.text_completion import API
from gateway.core.errors import InvalidRequest
from gateway.core.json_types import JsonObject
from gateway.core.validation import expected
from gateway.core.vocabulary import CHARS_PER_TOKEN
from gateway.request.chat_request import ChatRequest, translated_request
from gateway.request.request import Native

DEFAULT_MAX_TOKENS = 16  # of the answer; the default of OpenAI's API
MAX_LOGPROBS = 20  # the limit of chat completions; OpenAI allows 5 here, other providers allow more
_LEGACY_FIELDS = ("prompt", "suffix", "echo", "best_of", "logprobs")  # not sent to chat models
_TYPED_FIELDS = (("suffix", str, "a text"), ("echo", bool, "true or false"))
_NUMBERS = (("n", 1, None), ("best_of", 1, None), ("max_tokens", 0, None), ("logprobs", 0, MAX_LOGPROBS))


@dataclass(frozen=True, slots=True)
class NativeCompletions(Native):
    """The request for deployments that speak this format. A stream is always requested with its usage, for the accounting."""

    def upstream_body(self, model: str) -> bytes:
        body = Native.upstream_body(self, model)
        options = self.fields.get("stream_options") or {}
        if not self.fields.get("stream") or options.get("include_usage"):
            return body
        if "stream_options" in self.fields:
            return orjson.dumps(orjson.loads(body) | {"stream_options": options | {"include_usage": True}})
        return b'{"stream_options":{"include_usage":true},' + body.lstrip()[1:]


def check_fields(fields: JsonObject) -> None:
    """Check the fields of this API that chat completions do not have, or that have other limits there.

    Raises:
        InvalidRequest: a field has the wrong type, or is out of range.
    """
    if "prompt" not in fields or not is_prompt(fields["prompt"]):
        what = "a text, a list of texts, or token numbers"
        raise InvalidRequest(expected("prompt", what, fields), param="prompt")
    for field, type_, what in _TYPED_FIELDS:
        if not isinstance(fields.get(field), type_ | None):
            raise InvalidRequest(expected(field, what, fields), param=field)
    for field, lowest, highest in _NUMBERS:
        value = fields.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(expected(field, "a whole number", fields), param=field)
        if value < lowest or (highest is not None and value > highest):
            limit = f"at least {lowest}" if highest is None else f"from {lowest} to {highest}"
            raise InvalidRequest(f"`{field}` must be {limit}, not {value}.", param=field)


def to_chat_request(body: bytes, fields: JsonObject, texts: Sequence[str] | None = None) -> ChatRequest:
    """Return the chat request for a request that has been checked.

    Args:
        texts: the texts of its prompts, if they are known although the client sent token numbers.

    Raises:
        InvalidRequest: as `translated_request`.
    """
    prompts = prompts_of(fields)
    if texts is None:
        texts = texts_among(prompts)
    native_only = native_only_field(fields, texts)
    chat = _chat_fields(fields, native_only, texts)
    request = translated_request(chat, NativeCompletions(API, body, fields), native_only)
    requirements = request.requirements
    if len(texts) > 1:  # the context of the model must be large enough for the longest prompt, not for all of them
        longest = max(texts, key=len)
        requirements = replace(
            requirements, prompt_tokens=len(longest) // CHARS_PER_TOKEN + requirements.overhead_tokens, texts=(longest,)
        )
    elif prompts and not texts:
        tokens = max(map(len, prompts))
        requirements = replace(requirements, prompt_tokens=tokens, texts=(), overhead_tokens=tokens)
    if (fields.get("n") or 1) == 1:  # several prompts do not require a model that can give several choices
        requirements = replace(requirements, capabilities=requirements.capabilities - {"several"})
    return replace(request, requirements=requirements)


def native_only_field(fields: JsonObject, texts: Sequence[str]) -> str | None:
    """Return a field that no chat model can serve, or None. `prompt` is returned only if there is no other such field.

    Args:
        fields: of a request that has been checked.
        texts: the texts of its prompts, as far as they are known.
    """
    for field in ("suffix", "echo"):
        if fields.get(field):
            return field
    if (fields.get("best_of") or 1) > (fields.get("n") or 1):
        return "best_of"
    if fields.get("max_tokens") == 0:
        return "max_tokens"
    return None if len(texts) == 1 and len(prompts_of(fields)) == 1 else "prompt"


def _chat_fields(fields: JsonObject, native_only: str | None, texts: Sequence[str]) -> JsonObject:
    """Return the fields of the chat request. If no chat model can serve it, routing and accounting still read them."""
    chat = {key: value for key, value in fields.items() if key not in _LEGACY_FIELDS}
    chat["messages"] = [{"role": "user", "content": "\n".join(texts)}]
    if fields.get("logprobs") is not None:
        chat |= {"logprobs": True, "top_logprobs": fields["logprobs"]}
    if fields.get("max_tokens") is None and fields.get("max_completion_tokens") is None:
        chat["max_tokens"] = DEFAULT_MAX_TOKENS
    if native_only is not None:
        prompts = max(1, len(prompts_of(fields)))
        chat |= {"n": (fields.get("n") or 1) * prompts, "max_tokens": max(1, chat.get("max_tokens") or 1)}
    return chat
