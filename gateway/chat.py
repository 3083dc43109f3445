"""The story of one chat request: parse -> route -> call -> relay -> record."""

import asyncio
import logging
import time
from types import TracebackType

import orjson
from starlette.types import Receive, Scope, Send

from gateway.defects import log_defect
from gateway.errors import GatewayError, InternalError, Stopped, StreamBroken
from gateway.protocol import Connection
from gateway.record import Part, Record
from gateway.recovery import RecoveredStream
from gateway.request import ChatRequest, parse_chat, read_body, splice_model
from gateway.routing import Decision
from gateway.served import Served
from gateway.service import InForce, Service
from gateway.sse import DONE, encode
from gateway.trail import CANCELLED, HEDGED, Hop, Trail
from gateway.upstream.answer import Complete, Usage

log = logging.getLogger("locus.chat")

CANDIDATES = 20  # so many of the models that were scored are recorded
CLIENT_CLOSED = 499  # nginx's number for a client that left; only ever in records


class ChatEndpoint:
    """`POST /v1/chat/completions` as a plain ASGI application, since streams and disconnects need its full control."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = self._service
        state = scope["state"]
        exchange = Exchange(service, state["request_id"], state["connection"])
        service.metrics.began()
        try:
            await exchange.run(receive, send)
        finally:
            service.metrics.ended()
            parts = exchange.parts()
            record = exchange.record(parts)
            service.recorder.add(record)
            service.metrics.count(record, parts)


class Exchange:
    """One request on its way, and what is known of it so far."""

    def __init__(self, service: Service, request_id: str, connection: Connection) -> None:
        self.id = request_id
        self._connection = connection
        self._service = service
        self._in_force: InForce = service.in_force
        self._clock = service.clock
        self._time = time.time()
        self._started = self._clock()
        self._trail = Trail()
        self._request: ChatRequest | None = None
        self._decision: Decision | None = None
        self._served: Served | None = None  # who began the answer
        self._stream: RecoveredStream | None = None
        self._error: str | None = None
        self._status = CLIENT_CLOSED
        self._first_token_s: float | None = None
        self._overhead_s: float | None = None

    async def run(self, receive: Receive, send: Send) -> None:
        """Answers the request. Every error that is not the client's leaving ends as an OpenAI-shaped answer."""
        try:
            body = await read_body(receive, self._in_force.portfolio.settings.max_body_bytes)
            with _ClientWatch(self._connection) as client:
                try:
                    await self._answer(body, send, client)
                except GatewayError as error:
                    await self._refuse(error, send, client)
                except Exception as exc:
                    log_defect(log, f"request {self.id} failed", exc)
                    await self._refuse(InternalError("The gateway failed; its log has the details."), send, client)
            if client.left:
                self._error = "client_disconnected"
        except ConnectionResetError:
            self._error = "client_disconnected"
        except asyncio.CancelledError:  # the grace period of a stop is over
            self._error = Stopped.code
            if self._status == CLIENT_CLOSED:
                await self._refuse(Stopped(), send, None)
            raise
        except GatewayError as error:  # the body is too large: there is nothing to watch yet
            await self._refuse(error, send, None)

    async def _answer(self, body: bytes, send: Send, client: "_ClientWatch") -> None:
        self._request = request = parse_chat(body)
        routing = self._in_force.routing
        self._decision = decision = await routing.decide(request)
        settings = self._in_force.portfolio.settings
        pursuit = self._service.failover.pursue(request, routing.hops(request, decision), settings, self._trail)
        try:
            self._served = served = await pursuit.answer()
            if served.complete is not None:
                await self._send_complete(served, served.complete, send, client)
            else:
                self._stream = RecoveredStream(
                    served,
                    pursuit,
                    settings.stream_recovery,
                    self._trail,
                    usage_asked=request.usage_asked,
                    prompt_tokens=request.need.prompt_tokens,
                )
                await self._send_stream(served, self._stream, send, client)
        finally:
            pursuit.close()
            if (opened := self._stream or self._served) is not None:
                await opened.aclose()

    async def _send_complete(self, served: Served, complete: Complete, send: Send, client: "_ClientWatch") -> None:
        name = served.hop.model.name
        body = splice_model(complete.body, complete.fields.get("model", ""), name)
        if body is None:
            body = orjson.dumps(complete.fields | {"model": name})
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        self._status = 200
        self._first_token_s = self._clock() - self._started
        await send({"type": "http.response.start", "status": 200, "headers": headers + self._headers(served)})
        client.stop()
        await send({"type": "http.response.body", "body": body})

    async def _send_stream(self, served: Served, stream: RecoveredStream, send: Send, client: "_ClientWatch") -> None:
        data = await stream.read()  # the first content is at hand, so this cannot fail
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        self._status = 200
        self._first_token_s = self._clock() - self._started
        await send({"type": "http.response.start", "status": 200, "headers": headers + self._headers(served)})
        try:
            while data is not None:
                await send({"type": "http.response.body", "body": data, "more_body": True})
                data = await stream.read()
            ending = DONE
        except StreamBroken as error:
            # Content is out, so the answer cannot be begun anew; an error event without [DONE] is no clean ending.
            self._error = error.code
            ending = encode(error.envelope())
        except asyncio.CancelledError:
            if not client.left:
                self._error = Stopped.code
                await send({"type": "http.response.body", "body": encode(Stopped().envelope())})
            raise
        client.stop()
        await send({"type": "http.response.body", "body": ending})

    async def _refuse(self, error: GatewayError, send: Send, client: "_ClientWatch | None") -> None:
        self._error = error.recorded
        self._status = error.status
        body = error.body()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            *((name.encode(), value.encode()) for name, value in error.headers.items()),
        ]
        await send({"type": "http.response.start", "status": error.status, "headers": headers})
        if client is not None:
            client.stop()
        await send({"type": "http.response.body", "body": body})

    def _headers(self, served: Served) -> list[tuple[bytes, bytes]]:
        decision = self._decision
        assert decision is not None
        self._overhead_s = max(0.0, self._clock() - self._started - self._trail.waited_s)
        headers = [
            (b"x-locus-model", decision.model.encode()),
            (b"x-locus-overhead-ms", b"%.2f" % (self._overhead_s * 1000)),
        ]
        if decision.policy is not None:
            headers.append((b"x-locus-policy", decision.policy.name.encode()))
        if decision.p_chosen is not None:
            headers.append((b"x-locus-p-correct", b"%.4f" % decision.p_chosen))
        hop = served.hop
        if hop.stand_in:
            headers.append((b"x-locus-stand-in", hop.model.name.encode()))
        if hop.distance is not None:
            headers.append((b"x-locus-stand-in-distance", b"%.4f" % hop.distance))
        if hop.predicted_loss is not None:
            headers.append((b"x-locus-stand-in-predicted-loss", b"%.4f" % hop.predicted_loss))
        if self._in_force.portfolio.simulated:
            headers.append((b"x-locus-simulated", b"true"))
        return headers

    def parts(self) -> list[Part]:
        """The calls that the answer is from, with what they cost, as far as that is known.

        Of one that the client did not wait for, the prompt counts: it was being read.
        """
        if self._stream is not None:
            return [_part(served.hop, served.deployment, *self._stream.usage(served)) for served in self._stream.served]
        if self._served is not None:
            usage = self._served.usage
            return [] if usage is None else [_part(self._served.hop, self._served.deployment, usage, False)]
        attempts = self._trail.attempts
        if self._request is not None and attempts and attempts[-1].cause == CANCELLED:
            usage = Usage(self._request.need.prompt_tokens, 0)
            return [_part(attempts[-1].hop, attempts[-1].deployment, usage, True)]
        return []

    def record(self, parts: list[Part]) -> Record:
        """Everything known at the end."""
        request, decision, served, trail = self._request, self._decision, self._served, self._trail
        hop = served.hop if served is not None else None
        for attempt in trail.attempts:
            if attempt.cause not in (HEDGED, CANCELLED):
                self._service.metrics.failed(attempt.deployment, attempt.cause)
        store_prompt = request is not None and self._in_force.portfolio.settings.store_prompts
        return Record(
            request_id=self.id,
            time=self._time,
            requested=request.model if request is not None else None,
            policy=decision.policy.name if decision is not None and decision.policy is not None else None,
            chosen=decision.model if decision is not None else None,
            served=hop.model.name if hop is not None else None,
            deployment=served.deployment if served is not None else None,
            p_correct=decision.p_chosen if decision is not None else None,
            stand_in_distance=hop.distance if hop is not None else None,
            predicted_loss=hop.predicted_loss if hop is not None else None,
            candidates=_candidates(decision),
            failover=_failover(trail),
            parts=orjson.dumps([part._asdict() for part in parts]).decode() if len(parts) > 1 else None,
            stream=request.stream if request is not None else False,
            status=self._status,
            error=self._error,
            prompt_tokens=sum(part.prompt_tokens for part in parts) if parts else None,
            completion_tokens=sum(part.completion_tokens for part in parts) if parts else None,
            usage_estimated=any(part.estimated for part in parts),
            cost_usd=sum(part.cost_usd for part in parts) if parts else None,
            latency_ms=(self._clock() - self._started) * 1000,
            first_token_ms=None if self._first_token_s is None else self._first_token_s * 1000,
            overhead_ms=None if self._overhead_s is None else self._overhead_s * 1000,
            prompt=orjson.dumps(request.fields["messages"]).decode() if store_prompt and request else None,
        )


def _part(hop: Hop, deployment: str, usage: Usage, estimated: bool) -> Part:
    price = hop.model.spec.price
    usd = usage.prompt_tokens * price.usd_per_mtok_in + usage.completion_tokens * price.usd_per_mtok_out
    return Part(hop.model.name, deployment, usage.prompt_tokens, usage.completion_tokens, usd / 1e6, estimated)


def _candidates(decision: Decision | None) -> str | None:
    if decision is None or not (best := decision.best(CANDIDATES)):
        return None
    rows = [{"model": name, "p_correct": round(p, 4), "price_usd": price} for name, p, price in best]
    return orjson.dumps(rows).decode()


def _failover(trail: Trail) -> str | None:
    if not trail.attempts:
        return None
    return orjson.dumps(
        [
            {
                "model": attempt.hop.model.name,
                "deployment": attempt.deployment,
                "cause": attempt.cause,
                "status": attempt.status,
                "elapsed_ms": round(attempt.elapsed_s * 1000, 1),
                "distance": attempt.hop.distance,
                "predicted_loss": attempt.hop.predicted_loss,
                "after_content": attempt.after_content,
            }
            for attempt in trail.attempts
        ]
    ).decode()


class _ClientWatch:
    """Cancels the block when the client leaves, which closes the upstream call; the block then ends quietly."""

    def __init__(self, connection: Connection) -> None:
        self.left = False
        self._connection = connection

    def __enter__(self) -> "_ClientWatch":
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._connection.on_lost = self._gone
        if self._connection.transport.is_closing():
            self._gone()
        return self

    def stop(self) -> None:
        """The last bytes are about to be sent: from here on a disconnect is how things end anyway."""
        self._connection.on_lost = None

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> bool:
        self.stop()
        if self.left and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def _gone(self) -> None:
        self.left = True
        self._task.cancel()
