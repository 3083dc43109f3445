"""Legacy completions, `POST /v1/completions`: a prompt and its continuation, without roles.

A chat model gets the prompt as one user message. What such a message cannot say (`suffix`, token numbers, several prompts)
only an upstream that speaks this format can serve; `native_only` names it. `gateway.http.completions_endpoint` gives chat
models the texts of token numbers, and several prompts as a request each.
"""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway.api.chat.envelope import CHUNK, LEGACY, Envelope
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.stream_reader import event_object
from gateway.api.completions.logprobs import to_chat, to_legacy
from gateway.api.completions.prompts import is_prompt, prompts_of, texts_among
from gateway.api.dialect import Headers, Writer
from gateway.bodies.json_edit import replace_model_name
from gateway.bodies.lenient_json import dumps, loads
from gateway.bodies.offload import offloaded
from gateway.bodies.sse import DONE, Event, EventReader, encode
from gateway.core.answer import Chunk, Complete, Usage
from gateway.core.chat_types import ChatChunk, ChatUsage, ChunkChoice
from gateway.core.errors import GatewayError, InvalidRequest
from gateway.core.validation import expected
from gateway.core.vocabulary import CHARS_PER_TOKEN, Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify_event
from gateway.request.chat_request import ChatRequest, translated_request
from gateway.request.query_text import message_text
from gateway.request.request import Native, parse_object

API: Api = "completions"
MAX_TOKENS = 16  # of the answer, where the client says nothing: what this API has always meant by that
MAX_LOGPROBS = 20  # as chat completions allow; OpenAI gives 5 here, others more
_ENDINGS = frozenset({"stop", "length", "content_filter"})
_OWN = ("prompt", "suffix", "echo", "best_of", "logprobs")
_ONCE = frozenset({"id", "object", "created", "model", "choices", "usage"})


def native_only(fields: dict[str, Any], texts: Sequence[str]) -> str | None:
    """The field that no chat model can serve; None where there is none. `prompt` only where it alone is in the way.

    Args:
        fields: of a request that has been checked.
        texts: its prompts, as far as their texts are known.
    """
    for field in ("suffix", "echo"):
        if fields.get(field):
            return field
    if (fields.get("best_of") or 1) > (fields.get("n") or 1):
        return "best_of"
    if fields.get("max_tokens") == 0:
        return "max_tokens"
    return None if len(texts) == 1 and len(prompts_of(fields)) == 1 else "prompt"


def usage(fields: dict[str, Any]) -> Usage | None:
    """What a whole answer cost."""
    return Usage.read(fields.get("usage"))


def check(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields` as a whole answer of this format; the same object where it needs no change.

    Raises:
        UpstreamFailure: it has no list of choices with text: unreadable; or a choice failed.
    """
    choices = fields.get("choices")
    if not isinstance(choices, list) or not choices or not all(_has_text(choice) for choice in choices):
        raise UpstreamFailure(Cause.UNREADABLE, detail="no choices with text in the answer")
    mended = []
    for at, choice in enumerate(choices):
        if _is_right(choice) and choice.get("finish_reason") is not None:
            mended.append(choice)
            continue
        index = choice.get("index")
        own = _choice(
            at if index is None else index,
            choice.get("text") or "",
            choice.get("logprobs") if _is_legacy(choice.get("logprobs")) else None,
            _finish(choice) or "stop",
        )
        mended.append(choice | own)
    return Envelope(LEGACY).normalize(fields if mended == choices else fields | {"choices": mended})


@dataclass(frozen=True, slots=True)
class NativeCompletions(Native):
    """A request for upstreams of this format, which are asked for the usage of streams whether or not the client wants it."""

    def upstream_body(self, model: str) -> bytes:
        body = Native.upstream_body(self, model)
        options = self.fields.get("stream_options") or {}
        if not self.fields.get("stream") or options.get("include_usage"):
            return body
        if "stream_options" in self.fields:
            return orjson.dumps(orjson.loads(body) | {"stream_options": options | {"include_usage": True}})
        return b'{"stream_options":{"include_usage":true},' + body.lstrip()[1:]


class Completions:
    """The endpoint's format."""

    api: Api = API

    async def parse(self, body: bytes, headers: Headers) -> ChatRequest:
        return await offloaded(len(body), self._read, body)

    def _read(self, body: bytes) -> ChatRequest:
        fields = parse_object(body)
        _check_request(fields)
        return request_of(body, fields)

    def whole(self, request: ChatRequest, complete: Complete, model: str) -> bytes:
        if complete.api == API:
            body = replace_model_name(complete.body, str(complete.fields.get("model") or ""), model)
            if body is not None:
                return body
        return dumps(whole_fields(complete, model))

    def writer(self, request: ChatRequest) -> "CompletionsWriter":
        return CompletionsWriter(usage_requested=request.usage_requested)

    async def finished(
        self, request: ChatRequest, answer: bytes | Writer, headers: Headers, session: str | None
    ) -> None:
        """Stores nothing: each request of this API has its whole conversation."""

    def error(self, error: GatewayError, request_id: str) -> bytes:
        return error.body()

    def error_event(self, error: GatewayError) -> bytes:
        return encode(error.envelope())


def request_of(body: bytes, fields: dict[str, Any], texts: Sequence[str] | None = None) -> ChatRequest:
    """The chat request that a checked request amounts to.

    Args:
        texts: of its prompts, where they are known although the client sent token numbers.

    Raises:
        InvalidRequest: as `parse_chat`.
    """
    prompts = prompts_of(fields)
    if texts is None:
        texts = texts_among(prompts)
    only = native_only(fields, texts)
    request = translated_request(_chat_fields(fields, only, texts), NativeCompletions(API, body, fields), only)
    requirements = request.requirements
    if len(texts) > 1:  # each must fit by itself
        longest = max(texts, key=len)
        requirements = replace(
            requirements, prompt_tokens=len(longest) // CHARS_PER_TOKEN + requirements.overhead_tokens, texts=(longest,)
        )
    elif prompts and not texts:
        tokens = max(map(len, prompts))
        requirements = replace(requirements, prompt_tokens=tokens, texts=(), overhead_tokens=tokens)
    if (fields.get("n") or 1) == 1:  # several prompts are something else than several answers to one
        requirements = replace(requirements, capabilities=requirements.capabilities - {"several"})
    return replace(request, requirements=requirements)


def whole_fields(complete: Complete, model: str) -> dict[str, Any]:
    """A whole answer of a deployment as one of this format."""
    fields = complete.fields
    if complete.api == API:
        return fields | {"model": model}
    choices = []
    for at, choice in enumerate(fields["choices"]):
        index, finish = choice.get("index"), choice.get("finish_reason")
        index = at if index is None else index
        text = message_text(choice["message"])
        choices.append(_choice(index, text, to_legacy(choice.get("logprobs"), 0), _ending(finish or "stop")))
    return head(fields, model) | {"choices": choices} | _rest(fields, keep="usage")


class CompletionsWriter:
    """Chunks of this format keep their bytes where they can; chat chunks become such chunks.

    Args:
        usage_requested: whether the client wants a last chunk with the usage.
        identity: what every chunk begins with, shared by those who write into one stream; the first chunk fills it.

    Attributes:
        identity: the same.
    """

    def __init__(self, *, usage_requested: bool, identity: dict[str, Any] | None = None) -> None:
        self._usage_requested = usage_requested
        self.identity = {} if identity is None else identity
        self._chars: dict[int, int] = {}  # of each choice, for the offsets of its log probabilities
        self._usage_chunk: Chunk | None = None  # as an upstream of this format wrote it

    def write(self, chunk: Chunk, fields: ChatChunk, model: str) -> bytes:
        native = bool(chunk.raw) and chunk.api == API and fields is chunk.fields
        if fields.get("usage") and not fields["choices"]:
            self._usage_chunk = chunk if native else None
            return b""
        if not self.identity:
            self.identity |= head(fields, model, native=native)
        choices = [self._choice(choice) for choice in fields["choices"]]
        if native:
            return _renamed(chunk, model)
        told = [choice for choice in choices if choice["text"] or choice["finish_reason"] is not None]
        return encode(self._head(model) | {"choices": told} | _rest(fields)) if told else b""

    def end(self, usage: ChatUsage | None, model: str) -> bytes:
        if usage is None or not self._usage_requested:
            return DONE
        last = self._usage_chunk
        if last is not None and last.fields["usage"] == usage:
            return _renamed(last, model, keep_usage=True) + DONE
        return encode(self._head(model) | {"choices": [], "usage": usage}) + DONE

    def error(self, error: GatewayError) -> bytes:
        """An error event without `[DONE]`, which is no clean ending."""
        return encode(error.envelope())

    def _head(self, model: str) -> dict[str, Any]:
        return (self.identity or head({}, model)) | {"model": model}

    def _choice(self, choice: ChunkChoice) -> dict[str, Any]:
        index = choice.get("index") or 0
        text = message_text(choice.get("delta") or {})
        before = self._chars.get(index, 0)
        self._chars[index] = before + len(text)
        return _choice(index, text, to_legacy(choice.get("logprobs"), before), _ending(choice.get("finish_reason")))


class CompletionsReader:
    """Reads a stream of this format."""

    def __init__(self) -> None:
        self.ended = False
        self._envelope = Envelope(LEGACY)

    def read(self, event: Event) -> Chunk | None:
        data = event.data or b""
        if data.startswith(b"[DONE]"):
            self.ended = True
            return None
        given, strict = loads(data)
        told = event_object(given)
        if told is None:
            return None
        choices = told.get("choices")
        if choices is None and not isinstance(told.get("usage"), dict):
            return None
        fields = self._envelope.normalize(told)
        right = strict and fields is given and isinstance(choices, list)
        if not isinstance(choices, list):
            choices = [] if choices is None else [choices]
        chats = []
        for at, choice in enumerate(choices):
            if not isinstance(choice, dict) or not isinstance(choice.get("text"), str | None):
                raise ValueError("choices without text")
            chats.append(_delta(choice, at))
            right = right and _is_right(choice)
        chat: Any = fields | {"object": CHUNK, "choices": chats}
        return Chunk(event.raw if right else b"", chat, API)


def _check_request(fields: dict[str, Any]) -> None:
    prompt = fields.get("prompt")
    if "prompt" not in fields or not is_prompt(prompt):
        what = "a text, a list of texts, or token numbers"
        raise InvalidRequest(expected("prompt", what, fields), param="prompt")
    for field, type_, what in (("suffix", str, "a text"), ("echo", bool, "true or false")):
        if not isinstance(fields.get(field), type_ | None):
            raise InvalidRequest(expected(field, what, fields), param=field)
    for field, least, most in (
        ("n", 1, None),
        ("best_of", 1, None),
        ("max_tokens", 0, None),
        ("logprobs", 0, MAX_LOGPROBS),
    ):
        value = fields.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(expected(field, "a whole number", fields), param=field)
        if value < least or (most is not None and value > most):
            limit = f"at least {least}" if most is None else f"from {least} to {most}"
            raise InvalidRequest(f"`{field}` must be {limit}, not {value}.", param=field)


def _chat_fields(fields: dict[str, Any], only: str | None, texts: Sequence[str]) -> dict[str, Any]:
    """The chat request; where no chat model can serve it, what the choice and the accounts need of one."""
    chat = {key: value for key, value in fields.items() if key not in _OWN}
    chat["messages"] = [{"role": "user", "content": "\n".join(texts)}]
    if fields.get("logprobs") is not None:
        chat |= {"logprobs": True, "top_logprobs": fields["logprobs"]}
    if fields.get("max_tokens") is None and fields.get("max_completion_tokens") is None:
        chat["max_tokens"] = MAX_TOKENS
    if only is not None:
        prompts = max(1, len(prompts_of(fields)))
        chat |= {"n": (fields.get("n") or 1) * prompts, "max_tokens": max(1, chat.get("max_tokens") or 1)}
    return chat


def _has_text(choice: Any) -> bool:
    return (
        isinstance(choice, dict)
        and isinstance(choice.get("text"), str | None)
        and isinstance(choice.get("index"), int | None)
    )


def _is_right(choice: dict[str, Any]) -> bool:
    """Whether a chunk with this choice may be handed on as it is."""
    finish = choice.get("finish_reason")
    if finish is not None and _finish(choice) != finish:
        return False
    return (
        isinstance(choice.get("text"), str) and type(choice.get("index")) is int and _is_legacy(choice.get("logprobs"))
    )


def _is_legacy(logprobs: Any) -> bool:
    """Whether these are log probabilities as this API has them, or none."""
    return logprobs is None or (
        isinstance(logprobs, dict) and all(isinstance(value, list | None) for value in logprobs.values())
    )


def _finish(choice: dict[str, Any]) -> str | None:
    """Why a choice ended.

    Raises:
        UpstreamFailure: by a fault of the provider.
    """
    if choice.get("error"):
        raise classify_event(choice["error"])
    return finish_reason(choice.get("finish_reason"))


def _delta(choice: dict[str, Any], at: int) -> dict[str, Any]:
    """The choice of a chat chunk that says the same."""
    text, index = choice.get("text"), choice.get("index")
    delta = {"content": text} if text else {}
    chat = {"index": index if type(index) is int else at, "delta": delta, "finish_reason": _finish(choice)}
    logprobs = to_chat(choice.get("logprobs"))
    return chat if logprobs is None else chat | {"logprobs": logprobs}


def _choice(index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
    return {"text": text, "index": index, "logprobs": logprobs, "finish_reason": finish}


def _ending(finish: Any) -> str | None:
    """A chat finish reason in this format, which knows no tools."""
    return finish if finish is None or finish in _ENDINGS else "stop"


def head(fields: Mapping[str, Any], model: str, *, native: bool = False) -> dict[str, Any]:
    """What every object begins with, by what the upstream said.

    Args:
        native: whether the client gets the upstream's own id.
    """
    id_, created = fields.get("id"), fields.get("created")
    if not isinstance(id_, str) or not id_:
        id_ = f"{random.getrandbits(96):024x}"
    if not native and not id_.startswith("cmpl-"):
        id_ = f"cmpl-{id_.removeprefix('chatcmpl-')}"
    created = created if isinstance(created, int) else int(time.time())
    return {"id": id_, "object": "text_completion", "created": created, "model": model}


def _rest(fields: Mapping[str, Any], keep: str = "") -> dict[str, Any]:
    """Fields that this format does not know, as the upstream wrote them."""
    return {k: v for k, v in fields.items() if (k not in _ONCE or k == keep) and v is not None}


def _renamed(chunk: Chunk, model: str, *, keep_usage: bool = False) -> bytes:
    """A chunk's bytes with the model's public name, and without usage, which comes once at the end."""
    fields = chunk.fields
    body = None
    if keep_usage or not fields.get("usage"):
        body = replace_model_name(chunk.raw, str(fields.get("model") or ""), model)
    if body is not None:
        return body
    data = next(event.data for event in EventReader().feed(chunk.raw) if event.data)
    written = orjson.loads(data) | {"model": model}
    return encode(written if keep_usage else {key: value for key, value in written.items() if key != "usage"})
