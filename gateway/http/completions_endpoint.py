"""`POST /v1/completions` for models that only chat: token numbers become text, and several prompts a request each.

A deployment that speaks legacy completions itself gets the client's request as it is, where routing chooses its model.
"""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.types import Send

from gateway.api.completions.batch import merged
from gateway.api.completions.dialect import API, Completions, CompletionsWriter, request_of
from gateway.api.completions.prompts import prompts_of, texts_among, tokens_among
from gateway.api.dialect import Headers as RequestHeaders
from gateway.bodies.lenient_json import dumps
from gateway.bodies.offload import offloaded
from gateway.core.client import Client
from gateway.core.errors import GatewayError, NoEligibleModel, Stopped, UpstreamsFailed
from gateway.deployments.live import LiveDeployments
from gateway.http.accounting import RequestLog
from gateway.http.exchange import Exchange, ModelEndpoint, told
from gateway.http.prompt_batches import Batch, Headers
from gateway.http.request_exchange import ClientWatch, send_json
from gateway.http.service import Service
from gateway.http.token_prompts import Undecodable, decoded
from gateway.request.chat_request import ChatRequest
from gateway.request.interpretation import understood
from gateway.request.overrides import OWN_FIELD


class CompletionsEndpoint(ModelEndpoint):
    """`POST /v1/completions`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, Completions())

    def exchange(self, request_log: RequestLog, headers: RequestHeaders, client: Client) -> Exchange:
        return CompletionsExchange(self._service, self._dialect, request_log, headers, client)


class CompletionsExchange(Exchange):
    """One request on its way."""

    async def answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        in_force = self._request_log.in_force
        parsed = await self._dialect.parse(body, self._headers)
        texts: list[str] = []
        undecodable: Undecodable | None = None
        try:
            parsed, texts, tokenizer = await with_texts(parsed, in_force.fleet)
            if tokenizer is not None:
                self._request_log.also_told.append((b"x-locus-tokenizer", tokenizer.encode()))
        except Undecodable as exc:
            undecodable = exc
        request = await understood(parsed, self._headers, in_force.portfolio.settings.utility_calls)
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
        """Answers several prompts: at once where the chosen model takes them so, else one by one."""
        if await self._native(request):
            try:
                await self._serve(request, send, client)
                return
            except UpstreamsFailed:  # models that take one prompt may still answer
                self._request_log.conversation = None
        await self._serve_prompts(request, texts, send, client)

    async def _native(self, request: ChatRequest) -> bool:
        """Whether routing would choose a model that takes all prompts at once, if every model did."""
        routing = self._request_log.in_force.routing
        decision = await routing.decide(
            replace(request, requirements=replace(request.requirements, api=None, api_field=None))
        )
        deployments = routing.live[decision.chosen].deployments
        return any(API in live.apis and live.unavailable() is None for live in deployments)

    async def _serve_prompts(self, request: ChatRequest, texts: list[str], send: Send, client: ClientWatch) -> None:
        request_log = self._request_log
        request_log.request = request
        writer = await self._begin(request, send)
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
        answers, own = await batch.whole()
        body = await offloaded(batch.answer_bytes, _merged, answers, batch.n, own)
        await send_json(200, body, own, send, client)

    async def _stream(self, batch: Batch, writer: CompletionsWriter, client: ClientWatch) -> None:
        request_log, events = self._request_log, self._events
        assert events is not None
        one_at_a_time = asyncio.Lock()

        async def write(data: bytes, headers: Headers) -> None:
            async with one_at_a_time:
                await events.write(data, headers)

        try:
            usage, model = await batch.stream(write, lambda: events.begun)
            ending = writer.end(usage, model)
        except GatewayError as error:
            if not request_log.answered:
                raise
            request_log.error = error.recorded
            ending = writer.error(error)
        except asyncio.CancelledError:
            if request_log.answered and not client.left:
                request_log.error = Stopped.code
                await events.write(writer.error(Stopped()), more=False)
            raise
        client.stop()
        await events.write(ending, more=False)


async def with_texts(request: ChatRequest, fleet: LiveDeployments) -> tuple[ChatRequest, list[str], str | None]:
    """The request for chat models where only its prompts keep them from it; else as it is.

    Returns:
        with it the texts of these prompts, and the tokenizer by which they were read where they were token numbers.

    Raises:
        Undecodable: it has token numbers that are no text.
    """
    native = request.native
    assert native is not None
    if request.requirements.api_field != "prompt":
        return request, [], None
    size, prompts = len(native.body), prompts_of(native.fields)
    if not (tokens := await offloaded(size, tokens_among, prompts)):
        return request, await offloaded(size, texts_among, prompts), None
    texts, tokenizer = await decoded(tokens, fleet, request.model)
    return await offloaded(size, request_of, native.body, native.fields, texts), texts, tokenizer


def _merged(answers: list[dict[str, Any]], n: int, headers: Headers) -> bytes:
    """The body, which tells what many client libraries hide in headers: stand-ins, and who answered which prompt."""
    body = merged(answers, n)
    models = [answer["model"] for answer in answers]
    own = told(headers)
    if "stand_in" in own or len(set(models)) > 1:
        body[OWN_FIELD] = own | {"models": models}
    return dumps(body)
