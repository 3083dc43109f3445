"""The story of one chat request, in any API format: parse -> decide -> call -> relay -> record.

- parse: the dialect turns the client's body into a chat request (`answer`);
- decide, call: `ChatAnswer` chooses a model and calls it or its stand-ins (`_serve`);
- relay: the answer is written in the client's format, complete or as a stream (`_send_complete`, `_send_stream`);
- record: `RequestLog` notes each step, and `Endpoint` closes it at the end.
"""

import asyncio

from starlette.types import Send

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Dialect, Headers, Writer
from gateway.bodies.json_edit import with_field
from gateway.bodies.offload import offloaded
from gateway.cache.entry import Entry
from gateway.core.answer import Complete
from gateway.core.client import Client
from gateway.core.errors import GatewayError, Stopped, StreamBroken
from gateway.http.accounting import RequestLog
from gateway.http.cached_answer import CachedAnswer, cached_answer
from gateway.http.chat_answer import ChatAnswer
from gateway.http.event_stream import EventStream
from gateway.http.request_exchange import ClientWatch, Endpoint, RequestExchange, send_json
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.interpretation import interpret
from gateway.request.overrides import OWN_FIELD


class ChatEndpoint(Endpoint):
    """An endpoint for chat requests.

    Args:
        dialect: the format of its requests and answers.
    """

    def __init__(self, service: Service, dialect: Dialect) -> None:
        super().__init__(service, dialect.api)
        self._dialect = dialect

    def exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> "ChatExchange":
        return ChatExchange(self._service, self._dialect, request_log, headers, client)


class ChatExchange(RequestExchange):
    """Serves one chat request, in any API format."""

    def __init__(
        self, service: Service, dialect: Dialect, request_log: RequestLog, headers: Headers, client: Client
    ) -> None:
        super().__init__(service, dialect.error, request_log, headers, client)
        self._dialect = dialect
        self._request: ChatRequest | None = None
        self._events: EventStream | None = None
        self._writer: Writer | None = None
        self._cached: CachedAnswer | None = None

    async def answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        parsed = await self._dialect.parse(body, self._headers)
        request_log = self._request_log
        calls, allowed = request_log.in_force.portfolio.settings.utility_calls, request_log.grant.allowed
        await self._serve(await interpret(parsed, self._headers, calls, allowed), send, client)

    async def _serve(self, request: ChatRequest, send: Send, client: ClientWatch) -> None:
        request_log, service = self._request_log, self._service
        request_log.request = self._request = request
        conversation = await service.find_conversation(request, self._headers)
        request_log.conversation = conversation
        writer = await self._start_writer(request, send)
        try:
            self._cached = cached = await cached_answer(
                self._dialect.api, request, conversation, self._headers, request_log, service
            )
            if cached is not None and (entry := await cached.find()) is not None:
                await self._send_cached(cached, entry, send, client)
                return
            async with ChatAnswer(request, conversation, writer, request_log, service) as open_call:
                if request_log.complete is not None:
                    await self._send_complete(open_call, request_log.complete, send, client)
                else:
                    assert request_log.stream is not None
                    await self._send_stream(open_call, request_log.stream, writer, client)
        finally:
            if self._cached is not None:
                self._cached.close()
            if self._events is not None:
                self._events.stop()

    async def _start_writer(self, request: ChatRequest, send: Send) -> Writer:
        """Returns the writer of the answer's stream. From now on keep-alive comments fill silence, if the answer is streamed."""
        self._writer = await offloaded(len(request.body), self._dialect.writer, request)
        if request.stream:
            earlier = self._events  # of a first try to answer, which may have sent a comment
            self._events = EventStream(send, self._request_log.in_force.portfolio.settings.keep_alive)
            self._events.begun = earlier is not None and earlier.begun
        return self._writer

    async def _send_complete(self, open_call: OpenCall, complete: Complete, send: Send, client: ClientWatch) -> None:
        request = self._request
        assert request is not None
        size = max(len(complete.body), len(request.body))
        body = await offloaded(size, self._dialect.complete_answer, request, complete, open_call.candidate.model.name)
        own = self._request_log.start_answer(open_call)
        if (fields := self._request_log.locus_fields(own)) is not None:
            body = await offloaded(size, with_field, body, OWN_FIELD, fields)
        await self._store(body)
        await send_json(200, body, own, send, client)
        if self._cached is not None:
            await self._cached.keep_body(body)

    async def _send_cached(self, cached: CachedAnswer, entry: Entry, send: Send, client: ClientWatch) -> None:
        """Sends a stored answer, with an id and a time of its own."""
        body, stream = cached.written(entry)
        headers = self._request_log.start_cached_answer(entry, cached.age_s(entry))
        await self._store(body)
        if self._events is None:
            await send_json(200, body, headers, send, client)
        else:
            client.stop()
            await self._events.write(stream, headers, more=False)

    async def _send_stream(
        self, open_call: OpenCall, stream: ContinuedStream, writer: Writer, client: ClientWatch
    ) -> None:
        events, cached = self._events, self._cached
        assert events is not None
        headers = self._request_log.start_answer(open_call)
        headers_sent = events.begun  # with a keep-alive comment, before these headers were known
        if (fields := self._request_log.locus_fields(headers, always=headers_sent)) is not None:
            stream.add_locus_fields(fields)
        if headers_sent:
            headers = []
        data = await stream.read()  # cannot fail, since the first content has arrived
        try:
            while data is not None:
                await events.write(data, headers)
                if cached is not None:
                    cached.add(data)
                data = await stream.read()
            ending = writer.end(stream.total_usage(), stream.model)
            await self._store(writer)
        except StreamBroken as error:
            # The client has part of the answer, so it cannot be started again.
            self._request_log.error = error.code
            ending = writer.error(error)
        except asyncio.CancelledError:
            if not client.disconnected:
                self._request_log.error = Stopped.code
                await events.write(writer.error(Stopped()), more=False)
            raise
        client.stop()
        await events.write(ending, headers, more=False)
        if cached is not None and self._request_log.error is None:
            await cached.keep_stream(ending, stream.total_usage())

    async def _store(self, answer: bytes | Writer) -> None:
        """Lets the API format store the answer, before its end is sent: the client may continue from it at once."""
        request, conversation = self._request, self._request_log.conversation
        assert request is not None
        session = conversation.name if conversation is not None else None
        await self._dialect.finished(request, answer, self._headers, session)

    async def refuse(self, error: GatewayError, send: Send, client: ClientWatch | None) -> None:
        events = self._events
        if events is None or not events.begun:
            await super().refuse(error, send, client)
            return
        self._request_log.answer_with_error(error)  # status and headers are sent already, so the error becomes an event
        assert self._writer is not None
        if client is not None:
            client.stop()
        await events.write(self._writer.error(error), more=False)
