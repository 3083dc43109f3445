"""`POST /v1/completions` for models that only chat: token numbers become text, and each of several prompts becomes a request.

If routing chooses a model whose deployment speaks legacy completions itself, that deployment gets the client's request unchanged.
"""

import asyncio
from dataclasses import replace

from starlette.types import Send

from gateway.api.completions.batch import merged_answer
from gateway.api.completions.prompts import prompts_of, texts_among, tokens_among
from gateway.api.completions.request_to_chat import to_chat_request
from gateway.api.completions.stream_writer import CompletionsWriter
from gateway.api.completions.text_completion import API
from gateway.api.dialect import Headers
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.client import Client
from gateway.core.errors import GatewayError, NoEligibleModel, Stopped, UpstreamsFailed
from gateway.core.json_types import JsonObject
from gateway.deployments.live import LiveDeployments
from gateway.http.accounting import RequestLog
from gateway.http.answer_headers import RawHeaders, header_fields
from gateway.http.exchange import ChatEndpoint, ChatExchange
from gateway.http.prompt_batches import Batch
from gateway.http.request_exchange import ClientWatch, send_json
from gateway.http.token_prompts import Undecodable, decoded_prompts
from gateway.request.chat_request import ChatRequest
from gateway.request.interpretation import interpret
from gateway.request.overrides import OWN_FIELD


class CompletionsEndpoint(ChatEndpoint):
    """`POST /v1/completions`."""

    def exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> ChatExchange:
        return CompletionsExchange(self._service, self._dialect, request_log, headers, client)


class CompletionsExchange(ChatExchange):
    """Serves one legacy completions request."""

    async def answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        in_force = self._request_log.in_force
        parsed = await self._dialect.parse(body, self._headers)
        texts: list[str] = []
        undecodable: Undecodable | None = None
        try:
            parsed, texts, tokenizer = await with_texts(parsed, in_force.deployments)
            if tokenizer is not None:
                self._request_log.extra_headers.append((b"x-locus-tokenizer", tokenizer.encode()))
        except Undecodable as exc:
            undecodable = exc
        calls, allowed = in_force.portfolio.settings.utility_calls, self._request_log.grant.allowed
        request = await interpret(parsed, self._headers, calls, allowed)
        if len(texts) > 1:
            await self._serve_batch(request, texts, send, client)
            return
        try:
            await self._serve(request, send, client)
        except NoEligibleModel as error:
            if undecodable is None:
                raise
            raise NoEligibleModel(
                f"The token numbers of `prompt` cannot be turned into text: {undecodable}. Send text. {error.message}",
                param="prompt",
            ) from error

    async def _serve_batch(self, request: ChatRequest, texts: list[str], send: Send, client: ClientWatch) -> None:
        """Answers several prompts: with one call if the chosen model accepts them all, else with one call each."""
        if await self._accepts_batch(request):
            try:
                await self._serve(request, send, client)
                return
            except UpstreamsFailed:  # models that accept only one prompt may still answer
                self._request_log.conversation = None
        await self._serve_prompts(request, texts, send, client)

    async def _accepts_batch(self, request: ChatRequest) -> bool:
        """Return True if the model that routing would choose for all prompts together has a deployment that accepts them."""
        routing = self._request_log.in_force.routing
        decision = await routing.decide(
            replace(request, requirements=replace(request.requirements, api=None, api_field=None))
        )
        deployments = routing.live[decision.chosen].deployments
        return any(API in live.apis and live.unavailable() is None for live in deployments)

    async def _serve_prompts(self, request: ChatRequest, texts: list[str], send: Send, client: ClientWatch) -> None:
        request_log = self._request_log
        request_log.request = request
        writer = await self._start_writer(request, send)
        assert isinstance(writer, CompletionsWriter)
        try:
            size = len(request.body)
            batch = await offloaded(size, Batch, request, texts, writer.identity, request_log, self._service)
            if request.stream:
                await self._stream(batch, writer, client)
            else:
                await self._send_merged(batch, send, client)
        finally:
            if self._events is not None:
                self._events.stop()

    async def _send_merged(self, batch: Batch, send: Send, client: ClientWatch) -> None:
        answers, own = await batch.complete()
        body = await offloaded(batch.answer_bytes, _merged, answers, batch.n, own)
        await send_json(200, body, own, send, client)

    async def _stream(self, batch: Batch, writer: CompletionsWriter, client: ClientWatch) -> None:
        request_log, events = self._request_log, self._events
        assert events is not None
        write_lock = asyncio.Lock()

        async def write(data: bytes, headers: RawHeaders) -> None:
            async with write_lock:
                await events.write(data, headers)

        try:
            usage, model = await batch.stream(write, lambda: events.begun)
            ending = writer.end(usage, model)
        except GatewayError as error:
            if not request_log.answer_started:
                raise
            request_log.error = error.recorded
            ending = writer.error(error)
        except asyncio.CancelledError:
            if request_log.answer_started and not client.disconnected:
                request_log.error = Stopped.code
                await events.write(writer.error(Stopped()), more=False)
            raise
        client.stop()
        await events.write(ending, more=False)


async def with_texts(request: ChatRequest, deployments: LiveDeployments) -> tuple[ChatRequest, list[str], str | None]:
    """Turns the request into one for chat models, if its prompts are the only obstacle; else it stays unchanged.

    Returns:
        also the texts of its prompts, and the tokenizer that decoded them if they were token numbers.

    Raises:
        Undecodable: its token numbers cannot be decoded.
    """
    native = request.native
    assert native is not None
    if request.requirements.api_field != "prompt":
        return request, [], None
    size, prompts = len(native.body), prompts_of(native.fields)
    if not (tokens := await offloaded(size, tokens_among, prompts)):
        return request, await offloaded(size, texts_among, prompts), None
    texts, tokenizer = await decoded_prompts(tokens, deployments, request.model)
    return await offloaded(size, to_chat_request, native.body, native.fields, texts), texts, tokenizer


def _merged(answers: list[JsonObject], n: int, headers: RawHeaders) -> bytes:
    """The body. Many client libraries hide headers, so it also names the stand-in, and the models if several answered."""
    body = merged_answer(answers, n)
    models = [answer["model"] for answer in answers]
    fields = header_fields(headers)
    if "stand_in" in fields or len(set(models)) > 1:
        body[OWN_FIELD] = fields | {"models": models}
    return dumps(body)
