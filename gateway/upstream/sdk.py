"""The litellm path: every provider that does not speak the OpenAI protocol itself. The only module that imports litellm.

Importing litellm takes seconds and hundreds of megabytes, so it happens in a thread, on the first request that needs it.
"""

import asyncio
import contextlib
import logging
import os
import re
import traceback
from collections.abc import Mapping
from typing import Any

import orjson

from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.finish_reasons import finish_reason
from gateway.api.chat.stream_reader import ChatReader
from gateway.bodies.lenient_json import clean, dumps, loads_clean
from gateway.bodies.sse import Event
from gateway.config.portfolio import Deployment
from gateway.config.secret import Secret
from gateway.core.answer import Chunk, ChunkStream, Complete, Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure, classify
from gateway.request.request import Request

# Fields of the OpenAI chat API that are arguments of litellm. Whatever else a client sends goes as `extra_body`, which
# litellm adds to the request of those providers that know how: as an argument it could redirect the call (`api_base`,
# `aws_bedrock_runtime_endpoint`) or change the gateway's own settings.
_ARGUMENTS = frozenset(
    """messages temperature top_p n stop max_tokens max_completion_tokens modalities prediction audio presence_penalty
    frequency_penalty logit_bias user response_format seed tools tool_choice parallel_tool_calls functions
    function_call logprobs top_logprobs reasoning_effort verbosity thinking service_tier""".split()  # noqa: SIM905
)
_SILENCED = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "httpx", "httpcore", "openai")
_PREFIX = re.compile(
    r"(?:litellm\.)?(?:\w+Error|Timeout): (?:litellm\.\w+: )?(?:\w+(?:Exception|Error) *-? *)?"
)  # of litellm's messages
_TRACEBACK = "Traceback (most recent call last)"  # with paths of this machine, where litellm cannot read an answer
_NOT_FETCHED = "Addresses in messages are not fetched here"
_REFUSED_ADDRESS = (_NOT_FETCHED, "Unable to fetch image from URL", "URL targets a blocked address")
_NETWORK = frozenset({"aiohttp", "anyio", "botocore", "h11", "httpcore", "httpx", "openai", "ssl"})
_OF_VALUES = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
_BUG_REPORT = "This looks like a bug in LiteLLM"
# Functions of litellm that write a request, and those that read an answer.
_WRITES_REQUEST = re.compile(
    r"transform_(?:\w+_)?request|_pt$|map_openai_params|_transform_messages|^validate_|convert_to_\w+_(?:message|tool)"
    r"|response_format|get_optional_params"
)
_READS_ANSWER = re.compile(r"transform_(?:\w+_)?response|convert_to_model_response|(?:process|parse)_response|chunk")
_OWN = frozenset({"model", "stream", "stream_options"})


class SdkUpstream:
    """Calls `litellm.acompletion` and `litellm.aembedding` with their retries off."""

    def __init__(self) -> None:
        self._litellm: Any = None
        self._loading = asyncio.Lock()

    async def complete(
        self, deployment: Deployment, request: Request, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        """One whole answer.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        litellm = await self.load()
        try:
            async with asyncio.timeout(deployment.timeout_s):
                answer = await litellm.acompletion(**_arguments(deployment, request, dropped))
        except Exception as exc:
            raise _failure(exc) from exc
        body = _written(answer)
        given, strict = loads_clean(body)
        fields = normalize_completion(given)
        usage = Usage.read(fields.get("usage"))
        if all(_says_nothing(choice, choice.get("message")) for choice in fields["choices"]) and not _billed(usage):
            raise UpstreamFailure(Cause.UNREADABLE, detail="an answer without content")
        return Complete(body if strict and fields is given else dumps(fields), fields, usage)

    async def stream(
        self,
        deployment: Deployment,
        request: Request,
        deadline: float,
        dropped: frozenset[str] = frozenset(),
        api: Api = "chat",
    ) -> ChunkStream:
        """An open stream. The caller closes it.

        Args:
            deadline: until when the provider must answer, by the event loop's clock.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        litellm = await self.load()
        arguments = _arguments(deployment, request, dropped) | {"stream": True}
        if "stream_options" not in dropped:
            arguments["stream_options"] = {"include_usage": True}
        try:
            async with asyncio.timeout_at(deadline):
                chunks = await litellm.acompletion(**arguments)
        except Exception as exc:
            raise _failure(exc) from exc
        return _SdkStream(chunks, request.choice_count)

    async def embed(self, deployment: Deployment, arguments: Mapping[str, Any]) -> tuple[Any, Usage | None]:
        """The `data` of the answer as the provider gave it, and what was billed.

        Args:
            arguments: of `litellm.aembedding`, as far as they are the client's.

        Raises:
            UpstreamFailure: whatever went wrong, classified.
        """
        litellm = await self.load()
        try:
            async with asyncio.timeout(deployment.timeout_s):
                answer = await litellm.aembedding(**{**arguments, **_settings(deployment)})
        except Exception as exc:
            raise _failure(exc) from exc
        fields = orjson.loads(answer.model_dump_json(exclude_none=True))
        return fields.get("data"), Usage.read(fields.get("usage"))

    async def load(self) -> Any:
        """litellm, imported on the first call."""
        async with self._loading:
            if self._litellm is None:
                self._litellm = await asyncio.to_thread(_import)
        return self._litellm


class _SdkStream:
    size = 0  # litellm's chunks are small

    def __init__(self, chunks: Any, choices: int) -> None:
        self._source = chunks
        self._chunks = aiter(chunks)
        self._begun = False
        self._reader = ChatReader(choices=choices)

    async def read(self, deadline: float) -> list[Chunk] | None:
        chunk = await self._next(deadline)
        if chunk is None or self._begun:
            return None if chunk is None else [chunk]
        if not chunk.has_content:
            return [chunk]
        if not all(_says_nothing(choice, choice.get("delta")) for choice in chunk.fields["choices"]):
            self._begun = True
            return [chunk]
        usage = await self._next(deadline)  # of an answer that is already over
        if usage is None or not _billed(Usage.read(usage.fields.get("usage"))):
            raise UpstreamFailure(Cause.UNREADABLE, detail="an answer without content")
        self._begun = True
        return [chunk, usage]

    async def _next(self, deadline: float) -> Chunk | None:
        try:
            async with asyncio.timeout_at(deadline):
                chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return None
        except Exception as exc:
            raise _failure(exc) from exc
        data = _written(chunk, exclude_unset=True)
        try:
            read = self._reader.read(Event(b"data: " + data + b"\n\n", data))
        except ValueError as exc:
            raise UpstreamFailure(Cause.UNREADABLE, detail="events that are no chunks") from exc
        return read or Chunk(b"", {"choices": []})

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            with contextlib.suppress(Exception):  # the call is over, however its library closes
                await close()


def _written(model: Any, *, exclude_unset: bool = False) -> bytes:
    """litellm's object as JSON, also where it has halves of characters, which its own writer refuses."""
    try:
        written: str = model.model_dump_json(exclude_none=True, exclude_unset=exclude_unset)
        return written.encode()
    except ValueError:
        return dumps(clean(model.model_dump(exclude_none=True, exclude_unset=exclude_unset)))


def _says_nothing(choice: Mapping[str, Any], said: Any) -> bool:
    """Whether a choice ends as if all were well, and has nothing in it.

    litellm makes such an answer of a JSON error, or of an empty body, that comes where it expects an answer.
    """
    said = said if isinstance(said, dict) else {}
    return choice.get("finish_reason") == "stop" and not any(value for key, value in said.items() if key != "role")


def _billed(usage: Usage | None) -> bool:
    return usage is not None and usage.completion_tokens > 0


def _import() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # or the import downloads the price map
    os.environ.setdefault("LITELLM_LOG", "ERROR")
    import litellm

    for name in _SILENCED:  # they tell of prompts, keys and addresses; what went wrong is in the record and in our log
        logging.getLogger(name).disabled = True
    _forbid_blocking_fetches(litellm)
    _read_stop_reasons()
    litellm.suppress_debug_info = True
    litellm.telemetry = False
    return litellm


def _forbid_blocking_fetches(litellm: Any) -> None:
    """Some of litellm's translations fetch an address in a message without leaving the event loop, which would hold up every
    other request for as long as that server likes. They get an error; its asynchronous fetches stay, and refuse private addresses.
    """
    from litellm.litellm_core_utils import token_counter
    from litellm.litellm_core_utils.prompt_templates import factory, image_handling

    module: Any
    for module in (factory, image_handling, token_counter):
        fetch = module.safe_get

        def outside_of_loops(client: Any, url: str, fetch: Any = fetch, **options: Any) -> Any:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return fetch(client, url, **options)
            raise litellm.ImageFetchError(f"{_NOT_FETCHED}: send the data itself.")

        module.safe_get = outside_of_loops


def _read_stop_reasons() -> None:
    """litellm reads every `message_delta` of Anthropic's as the end, with `stop` for a reason that is null, empty or the text
    `null`: a stream that is cut behind such an event would pass as whole.
    """
    from litellm.llms.anthropic.chat.handler import ModelResponseIterator

    iterator: Any = ModelResponseIterator
    handle = iterator._handle_message_delta

    def checked(self: Any, event: Any) -> Any:
        reason, *rest = handle(self, event)
        said = finish_reason((event.get("delta") or {}).get("stop_reason"))
        return ("" if said is None else reason, *rest)

    iterator._handle_message_delta = checked


def _arguments(deployment: Deployment, request: Request, dropped: frozenset[str]) -> dict[str, Any]:
    fields = request.fields_without(dropped)
    arguments: dict[str, Any] = {key: fields[key] for key in fields.keys() & _ARGUMENTS if fields[key] is not None}
    extra = {key: value for key, value in fields.items() if key not in _ARGUMENTS and key not in _OWN}
    if extra:
        arguments["extra_body"] = extra
    return arguments | _settings(deployment)


def _settings(deployment: Deployment) -> dict[str, Any]:
    """What is the gateway's and the deployment's in every call."""
    arguments: dict[str, Any] = {
        key: value.reveal() if isinstance(value, Secret) else value for key, value in deployment.params.items()
    }
    if deployment.headers:
        arguments["extra_headers"] = {name: value.reveal() for name, value in deployment.headers.items()}
    if deployment.api_base is not None:
        arguments["api_base"] = deployment.api_base
    if deployment.api_key is not None:
        arguments["api_key"] = deployment.api_key.reveal()
    return arguments | {
        "model": deployment.upstream_model,
        "timeout": deployment.timeout_s,
        "num_retries": 0,
        "max_retries": 0,
        "drop_params": True,  # a parameter that this provider lacks is left out, as the OpenAI protocol's optional
    }


def _failure(exc: Exception) -> UpstreamFailure:
    """litellm's exception as ours, by the table."""
    if isinstance(exc, UpstreamFailure):
        return exc
    name = type(exc).__name__
    if any(mark in str(exc) for mark in _REFUSED_ADDRESS):
        message = "An address in the messages cannot be fetched for this model: send the data itself, as a data URL."
        return UpstreamFailure(
            Cause.UNSUPPORTED, status=400, error={"message": message, "type": "invalid_request_error"}, reason=message
        )
    if isinstance(exc, TimeoutError) or name == "Timeout":
        return UpstreamFailure(Cause.TIMEOUT, detail="silent beyond the limit")
    status = getattr(exc, "status_code", None)
    headers = getattr(getattr(exc, "response", None), "headers", None) or {}
    failure = classify(status if isinstance(status, int) else 500, headers, orjson.dumps(_error(exc)))
    if name == "APIConnectionError" and _is_of_translation(exc):
        message = f"This model's provider cannot be asked so: {failure.reason}"
        error = {"message": message, "type": "invalid_request_error"}
        return UpstreamFailure(
            Cause.UNSUPPORTED, 400, error=error, reason=failure.reason, error_body=failure.error_body
        )
    if name == "APIConnectionError" and failure.cause is Cause.SERVER_ERROR:
        return UpstreamFailure(Cause.CONNECTION, detail=name, reason=failure.reason, error_body=failure.error_body)
    return failure


def _is_of_translation(exc: BaseException) -> bool:
    """Whether litellm failed to translate the request. It says `APIConnectionError`, but that is no fault of the provider."""
    while (earlier := exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)) is not None:
        exc = earlier
        if isinstance(exc, OSError) or type(exc).__module__.partition(".")[0] in _NETWORK:
            return False
    if type(exc) is not Exception and not isinstance(exc, _OF_VALUES):
        return False
    called = [frame.name for frame in traceback.extract_tb(exc.__traceback__)]
    return any(map(_WRITES_REQUEST.search, called)) and not any(map(_READS_ANSWER.search, called))


def _error(exc: Exception) -> dict[str, Any]:
    """What an exception says, as an error answer; litellm's judgement of it is a code of the table's."""
    message = str(getattr(exc, "message", exc))[:20_000].partition(_TRACEBACK)[0].partition(_BUG_REPORT)[0]
    message = _PREFIX.sub("", message).strip()
    return {"error": {"message": message, "type": "invalid_request_error", "reason": type(exc).__name__}}
