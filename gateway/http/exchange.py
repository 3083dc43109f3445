"""The story of one request, in whichever API format: parse -> decide -> call -> relay -> record."""

import asyncio
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from gateway.answering.continued_stream import ContinuedStream
from gateway.answering.open_call import OpenCall
from gateway.api.dialect import Dialect, Headers, Writer
from gateway.api.responses.dialect import Responses
from gateway.bodies.offload import offloaded
from gateway.core.answer import Complete
from gateway.core.client import Client
from gateway.core.errors import GatewayError, InternalError, Stopped, StreamBroken
from gateway.core.key_digest import key_digest
from gateway.core.safe_logging import log_defect
from gateway.http.accounting import RequestLog
from gateway.http.chat_answer import Answering
from gateway.http.event_stream import EventStream
from gateway.http.service import Service
from gateway.request.chat_request import ChatRequest, read_body, with_field
from gateway.request.interpretation import understood
from gateway.request.overrides import OWN_FIELD

log = logging.getLogger("locus.exchange")

# What the gateway's own headers hold other than text, by their names in the body.
_VALUES: dict[str, Callable[[str], object]] = {
    "overhead_ms": float,
    "p_correct": float,
    "stand_in_distance": float,
    "stand_in_predicted_loss": float,
    "simulated": "true".__eq__,
}


class ModelEndpoint:
    """A plain ASGI application, since streams and disconnects need its full control.

    Args:
        dialect: the format of its requests and answers.
    """

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service = service
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        state = scope["state"]
        request_log = RequestLog(state["request_id"], self._dialect.api, service)
        exchange = self._exchange(request_log, dict(scope["headers"]), state["connection"])
        service.metrics.began()
        try:
            await exchange.run(receive, send)
        finally:
            service.metrics.ended()
            request_log.close()

    def _exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> "Exchange":
        return Exchange(self._service, self._dialect, request_log, headers, client)


class Exchange:
    """One request on its way.

    Args:
        books: where everything that is known of it is written down.
    """

    def __init__(
        self, service: Service, dialect: Dialect, request_log: RequestLog, headers: Headers, client: Client
    ) -> None:
        self._service = service
        self._dialect = dialect
        self._request_log = request_log
        self._headers = headers
        self._client = client
        self._events: EventStream | None = None
        self._writer: Writer | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        """Answers the request. Every error that is not the client's leaving ends as an answer in the API's own shape."""
        request_log = self._request_log
        try:
            limit = request_log.in_force.portfolio.settings.max_body_bytes
            body = await read_body(receive, limit, self._headers.get(b"content-encoding", b""))
            with ClientWatch(self._client) as client:
                try:
                    await self._answer(body, send, client)
                except GatewayError as error:
                    await self._refuse(error, send, client)
                except Exception as exc:
                    log_defect(log, f"request {request_log.id} failed", exc)
                    await self._refuse(InternalError("The gateway failed; its log has the details."), send, client)
            if client.left:
                request_log.error = "client_disconnected"
        except ConnectionResetError:
            request_log.error = "client_disconnected"
        except asyncio.CancelledError:  # the grace period of a stop is over
            request_log.error = Stopped.code
            if not request_log.answered:
                await self._refuse(Stopped(), send, None)
            raise
        except GatewayError as error:  # the body is too large: there is nothing to watch yet
            await self._refuse(error, send, None)

    async def _answer(self, body: bytes, send: Send, client: "ClientWatch") -> None:
        parsed = await self._dialect.parse(body, self._headers)
        calls = self._request_log.in_force.portfolio.settings.utility_calls
        await self._serve(await understood(parsed, self._headers, calls), send, client)

    async def _serve(self, request: ChatRequest, send: Send, client: "ClientWatch") -> None:
        request_log, service = self._request_log, self._service
        request_log.request = request
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

    async def _send_complete(self, open_call: OpenCall, complete: Complete, send: Send, client: "ClientWatch") -> None:
        request = self._request_log.request
        assert request is not None
        size = max(len(complete.body), len(request.body))
        body = await offloaded(size, self._dialect.whole, request, complete, open_call.candidate.model.name)
        own = self._request_log.answer(open_call)
        if open_call.candidate.stand_in:  # many client libraries hide headers
            body = await offloaded(size, with_field, body, OWN_FIELD, told(own))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *own]
        await self._keep(body)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        client.stop()
        await send({"type": "http.response.body", "body": body})

    async def _send_stream(
        self, open_call: OpenCall, stream: ContinuedStream, writer: Writer, client: "ClientWatch"
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
            assert request_log.request is not None
            assert request_log.conversation is not None
            response = (
                await offloaded(len(answer), orjson.loads, answer)
                if isinstance(answer, bytes)
                else getattr(answer, "response", None)
            )
            if response is not None:
                await dialect.finished(
                    request_log.request, response, key_digest(self._headers), request_log.conversation.name
                )

    async def _refuse(self, error: GatewayError, send: Send, client: "ClientWatch | None") -> None:
        self._request_log.refuse(error)
        events = self._events
        if events is not None and events.begun:  # a comment has taken the status along
            assert self._writer is not None
            if client is not None:
                client.stop()
            await events.write(self._writer.error(error), more=False)
            return
        body = self._dialect.error(error, self._request_log.id)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode()) for name, value in error.headers.items()),
        ]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        if client is not None:
            client.stop()
        await send({"type": "http.response.body", "body": body})


def told(headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """The gateway's own headers as fields: `x-locus-stand-in` is `stand_in`. Numbers and truth values are such."""
    own = {
        name.decode().removeprefix("x-locus-").replace("-", "_"): value.decode()
        for name, value in headers
        if name.startswith(b"x-locus-")
    }
    return {name: _VALUES.get(name, str)(value) for name, value in own.items()}


class ClientWatch:
    """Cancels the block when the client leaves, which closes the upstream call; the block then ends quietly."""

    def __init__(self, client: Client) -> None:
        self.left = False
        self._client = client

    def __enter__(self) -> "ClientWatch":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._client.on_lost = self._gone
        if self._client.transport.is_closing():
            self._gone()
        return self

    def stop(self) -> None:
        """The last bytes are about to be sent: from here on a disconnect is how things end anyway."""
        self._client.on_lost = None

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> bool:
        self.stop()
        if self.left and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def _gone(self) -> None:
        self.left = True
        self._task.cancel()
