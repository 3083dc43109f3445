"""The story of one request, in whichever API format: parse -> decide -> call -> relay -> record."""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import Send

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Dialect, Headers, Writer
from gateway.api.responses.dialect import Responses
from gateway.bodies.json_edit import with_field
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.client import Client
from gateway.core.errors import GatewayError, Stopped, StreamBroken
from gateway.core.key_digest import key_digest
from gateway.http.accounting import RequestLog
from gateway.http.chat_answer import Answering
from gateway.http.event_stream import EventStream
from gateway.http.request_exchange import ClientWatch, Endpoint, RequestExchange, send_json
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest
from gateway.request.interpretation import understood
from gateway.request.overrides import OWN_FIELD

# What the gateway's own headers hold other than text, by their names in the body.
_VALUES: dict[str, Callable[[str], object]] = {
    "overhead_ms": float,
    "p_correct": float,
    "stand_in_distance": float,
    "stand_in_predicted_loss": float,
    "simulated": "true".__eq__,
}


class ModelEndpoint(Endpoint):
    """An endpoint whose requests are chats.

    Args:
        dialect: the format of its requests and answers.
    """

    def __init__(self, service: Service, dialect: Dialect) -> None:
        super().__init__(service, dialect.api)
        self._dialect = dialect

    def exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> "Exchange":
        return Exchange(self._service, self._dialect, request_log, headers, client)


class Exchange(RequestExchange):
    """Serves one chat, in any API format."""

    def __init__(
        self, service: Service, dialect: Dialect, request_log: RequestLog, headers: Headers, client: Client
    ) -> None:
        super().__init__(service, dialect.error, request_log, headers, client)
        self._dialect = dialect
        self._request: ChatRequest | None = None
        self._events: EventStream | None = None
        self._writer: Writer | None = None

    async def answer(self, body: bytes, send: Send, client: ClientWatch) -> None:
        parsed = await self._dialect.parse(body, self._headers)
        calls = self._request_log.in_force.portfolio.settings.utility_calls
        await self._serve(await understood(parsed, self._headers, calls), send, client)

    async def _serve(self, request: ChatRequest, send: Send, client: ClientWatch) -> None:
        request_log, service = self._request_log, self._service
        request_log.request = self._request = request
        conversation = await offloaded(len(request.body), service.sessions.find, request, self._headers)
        request_log.conversation = conversation
        writer = await self._begin(request, send)
        try:
            async with Answering(request, conversation, writer, request_log, service) as open_call:
                if open_call.complete is not None:
                    await self._send_complete(open_call, open_call.complete, send, client)
                else:
                    assert request_log.stream is not None
                    await self._send_stream(open_call, request_log.stream, writer, client)
        finally:
            if self._events is not None:
                self._events.stop()

    async def _begin(self, request: ChatRequest, send: Send) -> Writer:
        """What writes the stream of an answer; from here on silence is filled."""
        self._writer = await offloaded(len(request.body), self._dialect.writer, request)
        if request.stream:
            before = self._events
            self._events = EventStream(send, self._request_log.in_force.portfolio.settings.keep_alive_s)
            self._events.begun = before is not None and before.begun
        return self._writer

    async def _send_complete(self, open_call: OpenCall, complete: Complete, send: Send, client: ClientWatch) -> None:
        request = self._request
        assert request is not None
        size = max(len(complete.body), len(request.body))
        body = await offloaded(size, self._dialect.whole, request, complete, open_call.candidate.model.name)
        own = self._request_log.answer(open_call)
        if open_call.candidate.stand_in:  # many client libraries hide headers
            body = await offloaded(size, with_field, body, OWN_FIELD, told(own))
        await self._keep(body)
        await send_json(200, body, own, send, client)

    async def _send_stream(
        self, open_call: OpenCall, stream: ContinuedStream, writer: Writer, client: ClientWatch
    ) -> None:
        events = self._events
        assert events is not None
        headers = self._request_log.answer(open_call)
        late = events.begun  # without the headers that tell how the answer came about
        if late or open_call.candidate.stand_in:
            stream.tell(told(headers))
        if late:
            headers = []
        data = await stream.read()  # the first content is at hand, so this cannot fail
        try:
            while data is not None:
                await events.write(data, headers)
                data = await stream.read()
            ending = writer.end(stream.total_usage(), stream.model)
            await self._keep(writer)
        except StreamBroken as error:
            # Content is out, so the answer cannot be begun anew.
            self._request_log.error = error.code
            ending = writer.error(error)
        except asyncio.CancelledError:
            if not client.left:
                self._request_log.error = Stopped.code
                await events.write(writer.error(Stopped()), more=False)
            raise
        client.stop()
        await events.write(ending, headers, more=False)

    async def _keep(self, answer: bytes | Writer) -> None:
        """Keeps an answer that the client may go on with by its id: before its end is sent, since that may be at once."""
        dialect, request_log = self._dialect, self._request_log
        if isinstance(dialect, Responses):
            assert self._request is not None
            assert request_log.conversation is not None
            response = (
                await offloaded(len(answer), orjson.loads, answer)
                if isinstance(answer, bytes)
                else getattr(answer, "response", None)
            )
            if response is not None:
                await dialect.finished(
                    self._request, response, key_digest(self._headers), request_log.conversation.name
                )

    async def refuse(self, error: GatewayError, send: Send, client: ClientWatch | None) -> None:
        events = self._events
        if events is None or not events.begun:
            await super().refuse(error, send, client)
            return
        self._request_log.refuse(error)  # a comment has been sent, and the status with it: the error is an event
        assert self._writer is not None
        if client is not None:
            client.stop()
        await events.write(self._writer.error(error), more=False)


def told(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The gateway's own headers as fields: `x-locus-stand-in` is `stand_in`. Numbers and truth values are such."""
    own = {
        name.decode().removeprefix("x-locus-").replace("-", "_"): value.decode()
        for name, value in headers
        if name.startswith(b"x-locus-")
    }
    return {name: _VALUES.get(name, str)(value) for name, value in own.items()}
