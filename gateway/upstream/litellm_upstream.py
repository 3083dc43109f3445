"""The litellm path: calls the providers that do not speak the OpenAI protocol, through litellm with its retries off."""

import asyncio
import contextlib
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from types import ModuleType

import orjson
from pydantic import BaseModel

from gateway.api.chat.completion_normalizer import normalize_completion
from gateway.api.chat.stream_reader import ChatReader
from gateway.bodies.lenient_json import clean, dumps, loads_clean
from gateway.bodies.sse import Event
from gateway.config.portfolio import Deployment
from gateway.core.answer import Chunk, ChunkStream, Complete
from gateway.core.background import in_daemon_thread
from gateway.core.json_types import JsonObject
from gateway.core.safe_logging import log_exception
from gateway.core.usage import Usage
from gateway.core.vocabulary import Api
from gateway.provider_errors.failures import Cause, UpstreamFailure
from gateway.request.request import Request
from gateway.upstream.litellm_arguments import chat_arguments, deployment_arguments
from gateway.upstream.litellm_failure import litellm_failure
from gateway.upstream.litellm_import import import_litellm

log = logging.getLogger("locus.upstream")


class LitellmUpstream:
    """Calls `litellm.acompletion` and `litellm.aembedding`.

    Args:
        importer: imports litellm; called in a thread.
    """

    def __init__(self, importer: Callable[[], ModuleType] = import_litellm) -> None:
        self._importer = importer
        self._litellm: ModuleType | None = None
        self._import: Future[ModuleType] | None = None

    async def complete(
        self, deployment: Deployment, request: Request, dropped: frozenset[str] = frozenset(), api: Api = "chat"
    ) -> Complete:
        """See `Upstream.complete`."""
        litellm = await self.load(deployment.timeout_s)
        try:
            async with asyncio.timeout(deployment.timeout_s):
                answer = await litellm.acompletion(**chat_arguments(deployment, request, dropped))
        except Exception as exc:
            raise litellm_failure(exc) from exc
        body = _json_of(answer)
        given, strict = loads_clean(body)
        fields = normalize_completion(given)
        usage = Usage.read(fields.get("usage"))
        if all(_is_empty(choice, choice.get("message")) for choice in fields["choices"]) and not _billed(usage):
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
        """See `Upstream.stream`."""
        litellm = await self.load(deployment.timeout_s)
        arguments = chat_arguments(deployment, request, dropped) | {"stream": True}
        if "stream_options" not in dropped:
            arguments["stream_options"] = {"include_usage": True}
        try:
            async with asyncio.timeout_at(deadline):
                chunks = await litellm.acompletion(**arguments)
        except Exception as exc:
            raise litellm_failure(exc) from exc
        return _LitellmStream(chunks, request.choice_count)

    async def embed(self, deployment: Deployment, arguments: JsonObject) -> tuple[object, object]:
        """The `data` and the `usage` of the answer to a request for embeddings, not checked.

        Args:
            arguments: the arguments of `litellm.aembedding` that the client's request sets.

        Raises:
            UpstreamFailure: the call failed, for any reason; the reason is classified.
        """
        litellm = await self.load(deployment.timeout_s)
        try:
            async with asyncio.timeout(deployment.timeout_s):
                answer = await litellm.aembedding(**{**arguments, **deployment_arguments(deployment)})
        except Exception as exc:
            raise litellm_failure(exc) from exc
        fields = orjson.loads(answer.model_dump_json(exclude_none=True))
        return fields.get("data"), fields.get("usage")

    def start_import(self) -> Future[ModuleType]:
        """Begins to import litellm in a thread, unless that has begun; a failed import is logged and begun again."""
        if self._import is None or (self._import.done() and self._import.exception() is not None):
            self._import = in_daemon_thread(self._import_and_freeze, "import litellm")
        return self._import

    async def load(self, timeout_s: float) -> ModuleType:
        """The litellm module; the first call waits until it is imported.

        Raises:
            UpstreamFailure: that takes longer than `timeout_s` seconds.
        """
        if self._litellm is None:
            try:
                async with asyncio.timeout(timeout_s):
                    # The import must go on if this request ends.
                    self._litellm = await asyncio.shield(asyncio.wrap_future(self.start_import()))
            except TimeoutError as exc:
                raise UpstreamFailure(Cause.TIMEOUT, detail="litellm is still being imported") from exc
        return self._litellm

    def _import_and_freeze(self) -> ModuleType:
        """Imports litellm, and excludes its 360,000 objects from garbage collection, which would stop all requests for 0.3 s.

        If litellm was imported before, nothing is excluded: it would be what earlier requests have left, which must be collected.
        """
        first = "litellm" not in sys.modules
        try:
            litellm = self._importer()
        except BaseException as exc:
            log_exception(log, "litellm cannot be imported", exc)
            raise
        if first:
            gc.freeze()
        return litellm


class _LitellmStream:
    size = 0  # the chunks of litellm are small

    def __init__(self, chunks: AsyncIterator[BaseModel], choices: int) -> None:
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
        if not all(_is_empty(choice, choice.get("delta")) for choice in chunk.fields["choices"]):
            self._begun = True
            return [chunk]
        usage = await self._next(deadline)  # an empty answer with billed tokens was a complete one
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
            raise litellm_failure(exc) from exc
        data = _json_of(chunk, exclude_unset=True)
        try:
            read = self._reader.read(Event(b"data: " + data + b"\n\n", data))
        except ValueError as exc:
            raise UpstreamFailure(Cause.UNREADABLE, detail="events that are not chunks") from exc
        return read or Chunk(b"", {"choices": []})

    async def aclose(self) -> None:
        close = getattr(self._source, "aclose", None)
        if close is not None:
            with contextlib.suppress(Exception):  # the call is over, even if the library fails to close it
                await close()


def _json_of(model: BaseModel, *, exclude_unset: bool = False) -> bytes:
    """An object of litellm as JSON. If it has lone surrogates, which pydantic refuses to write, they are replaced."""
    try:
        text: str = model.model_dump_json(exclude_none=True, exclude_unset=exclude_unset)
        return text.encode()
    except ValueError:
        return dumps(clean(model.model_dump(exclude_none=True, exclude_unset=exclude_unset)))


def _is_empty(choice: Mapping[str, object], message: object) -> bool:
    """True if a choice ends with `stop` and has no content.

    litellm returns such an answer if the provider sent a JSON error, or an empty body, instead of an answer.
    """
    content = message if isinstance(message, dict) else {}
    return choice.get("finish_reason") == "stop" and not any(value for key, value in content.items() if key != "role")


def _billed(usage: Usage | None) -> bool:
    return usage is not None and usage.completion_tokens > 0
