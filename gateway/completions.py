"""`POST /v1/completions` for models that only chat: token numbers become text, and several prompts a request each.

A deployment that speaks legacy completions itself gets the client's request as it is, where routing chooses its model.
"""

import asyncio
from dataclasses import replace
from typing import Any

from starlette.types import Send

from gateway.batches import Batch, Headers
from gateway.books import Books
from gateway.control import OWN_FIELD
from gateway.dialects.completions import API, Completions, CompletionsWriter, request_of
from gateway.dialects.completions_batch import merged
from gateway.dialects.dialect import Headers as RequestHeaders
from gateway.dialects.prompts import prompts_of, texts_among, tokens_among
from gateway.errors import GatewayError, NoEligibleModel, Stopped, UpstreamsFailed
from gateway.exchange import ClientWatch, Exchange, ModelEndpoint, told
from gateway.fleet import Fleet
from gateway.lenient_json import dumps
from gateway.offload import offloaded
from gateway.protocol import Connection
from gateway.request import ChatRequest
from gateway.service import Service
from gateway.token_prompts import Undecodable, decoded
from gateway.understanding import understood


class CompletionsEndpoint(ModelEndpoint):
    """`POST /v1/completions`."""

    def __init__(self, service: Service) -> None:
        super().__init__(service, Completions())

    def _exchange(self, books: Books, headers: RequestHeaders, connection: Connection) -> Exchange:
        return CompletionsExchange(self._service, self._dialect, books, headers, connection)


class CompletionsExchange(Exchange):
    """One request on its way."""

    async def _answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        in_force = self._books.in_force
        parsed = await self._dialect.parse(body, self._headers)
        texts: list[str] = []
        undecodable: Undecodable | None = None
        try:
            parsed, texts, tokenizer = await with_texts(parsed, in_force.fleet)
            if tokenizer is not None:
                self._books.also_told.append((b"x-locus-tokenizer", tokenizer.encode()))
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
                self._books.conversation = None
        await self._serve_prompts(request, texts, send, client)

    async def _native(self, request: ChatRequest) -> bool:
        """Whether routing would choose a model that takes all prompts at once, if every model did."""
        routing = self._books.in_force.routing
        decision = await routing.decide(replace(request, need=replace(request.need, api=None, api_field=None)))
        deployments = routing.live[decision.chosen].deployments
        return any(API in live.apis and live.unavailable() is None for live in deployments)

    async def _serve_prompts(self, request: ChatRequest, texts: list[str], send: Send, client: ClientWatch) -> None:
        books = self._books
        books.request = request
        writer = await self._begin(request, send)
        assert isinstance(writer, CompletionsWriter)
        try:
            size = len(request.body)
            batch = await offloaded(size, Batch, request, texts, writer.identity, books, self._service)
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
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *own]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        client.stop()
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, batch: Batch, writer: CompletionsWriter, client: ClientWatch) -> None:
        books, events = self._books, self._events
        assert events is not None
        one_at_a_time = asyncio.Lock()

        async def write(data: bytes, headers: Headers) -> None:
            async with one_at_a_time:
                await events.write(data, headers)

        try:
            usage, model = await batch.stream(write, lambda: events.begun)
            ending = writer.end(usage, model)
        except GatewayError as error:
            if not books.answered:
                raise
            books.error = error.recorded
            ending = writer.error(error)
        except asyncio.CancelledError:
            if books.answered and not client.left:
                books.error = Stopped.code
                await events.write(writer.error(Stopped()), more=False)
            raise
        client.stop()
        await events.write(ending, more=False)


async def with_texts(request: ChatRequest, fleet: Fleet) -> tuple[ChatRequest, list[str], str | None]:
    """The request for chat models where only its prompts keep them from it; else as it is.

    Returns:
        with it the texts of these prompts, and the tokenizer by which they were read where they were token numbers.

    Raises:
        Undecodable: it has token numbers that are no text.
    """
    native = request.native
    assert native is not None
    if request.need.api_field != "prompt":
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
