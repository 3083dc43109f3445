"""The steps of every request in every API: read the body, watch the client, answer each error, record the request."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType

from starlette.types import Receive, Scope, Send

from gateway.api.dialect import Headers
from gateway.bodies.request_body import read_body
from gateway.core.client import Client
from gateway.core.errors import GatewayError, InternalError, Stopped
from gateway.core.safe_logging import log_exception
from gateway.core.vocabulary import Api
from gateway.http.accounting import RequestLog
from gateway.http.request_trace import begin_trace
from gateway.http.service import Service

log = logging.getLogger("locus.exchange")


class Endpoint(ABC):
    """A plain ASGI application, since streams and disconnects need its full control."""

    def __init__(self, service: Service, api: Api) -> None:
        self._service = service
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        state = scope["state"]
        request_log = RequestLog(state["request_id"], self._api, service, state["grant"])
        headers: Headers = dict(scope["headers"])
        request_log.trace = begin_trace(service, scope, headers, request_log.attempts)
        exchange = self.exchange(request_log, headers, state["connection"])
        service.metrics.request_started()
        try:
            await exchange.run(receive, send)
        finally:
            service.metrics.request_finished()
            request_log.close()

    @abstractmethod
    def exchange(self, request_log: RequestLog, headers: Headers, client: Client) -> "RequestExchange":
        """The exchange that serves one request."""


class RequestExchange(ABC):
    """Serves one request.

    Args:
        error_body: writes the body of an error answer, from the error and the request's id.
        request_log: keeps everything that becomes known of the request.
    """

    def __init__(
        self,
        service: Service,
        error_body: Callable[[GatewayError, str], bytes],
        request_log: RequestLog,
        headers: Headers,
        client: Client,
    ) -> None:
        self._service = service
        self._error_body = error_body
        self._request_log = request_log
        self._headers = headers
        self._client = client

    @abstractmethod
    async def answer(self, body: bytes, send: Send, client: "ClientWatch") -> None:
        """Answers the request whose complete body is `body`."""

    async def run(self, receive: Receive, send: Send) -> None:
        """Answers the request. Every error becomes an answer in the API's format, except that the client disconnects."""
        request_log = self._request_log
        try:
            await request_log.limits.admit()
            limit = request_log.in_force.portfolio.settings.max_body_bytes
            body = await read_body(receive, limit, self._headers.get(b"content-encoding", b""))
            request_log.body = body
            with ClientWatch(self._client) as client:
                try:
                    await self.answer(body, send, client)
                except GatewayError as error:
                    await self.refuse(error, send, client)
                except Exception as exc:
                    log_exception(log, f"request {request_log.id} failed", exc)
                    await self.refuse(InternalError("The gateway failed; its log has the details."), send, client)
            if client.disconnected:
                request_log.error = "client_disconnected"
        except ConnectionResetError:
            request_log.error = "client_disconnected"
        except asyncio.CancelledError:  # the grace period of a stop is over
            request_log.error = Stopped.code
            if not request_log.answer_started:
                await self.refuse(Stopped(), send, None)
            raise
        except GatewayError as error:  # the body is too large or invalid; the client is not watched yet
            await self.refuse(error, send, None)

    async def refuse(self, error: GatewayError, send: Send, client: "ClientWatch | None") -> None:
        """Sends an error answer.

        Args:
            client: None if the client is not watched.
        """
        self._request_log.answer_with_error(error)
        body = self._error_body(error, self._request_log.id)
        headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
        headers += self._request_log.limits.headers()
        await send_json(error.status, body, headers, send, client)


async def send_json(
    status: int, body: bytes, headers: list[tuple[bytes, bytes]], send: Send, client: "ClientWatch | None"
) -> None:
    """Sends a complete answer whose body is JSON."""
    of_body = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": of_body + headers})
    if client is not None:
        client.stop()
    await send({"type": "http.response.body", "body": body})


class ClientWatch:
    """Cancels the code in its block when the client disconnects, which closes the upstream call; then the block ends normally.

    Attributes:
        disconnected: the client disconnected before `stop`.
    """

    def __init__(self, client: Client) -> None:
        self.disconnected = False
        self._client = client

    def __enter__(self) -> "ClientWatch":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._client.on_disconnect = self._lost
        if self._client.transport.is_closing():
            self._lost()
        return self

    def stop(self) -> None:
        """Ends the watch, before the last bytes are sent: a client may disconnect as soon as it has them."""
        self._client.on_disconnect = None

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> bool:
        self.stop()
        if self.disconnected and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def _lost(self) -> None:
        self.disconnected = True
        self._task.cancel()
