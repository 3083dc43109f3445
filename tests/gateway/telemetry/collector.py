"""A collector on loopback: a real server that takes OTLP/HTTP, decodes it with opentelemetry-proto and keeps the spans."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.gateway.running import Gateway, eventually, serving

SERVER, INTERNAL, CLIENT = 2, 1, 3
ERROR = 2


@dataclass
class Received:
    """One span."""

    name: str
    kind: int
    trace_id: str
    id: str
    parent: str
    start_s: float
    end_s: float
    attributes: dict[str, Any]
    status: int
    message: str
    state: str

    def __getitem__(self, name: str) -> Any:
        return self.attributes.get(name)


@dataclass
class Collector:
    """What the collector has, and how it answers.

    Attributes:
        statuses: of the next answers; then 200.
        hangs: it does not answer.
    """

    url: str = ""
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resource: dict[str, Any] = field(default_factory=dict)
    scopes: set[tuple[str, str]] = field(default_factory=set)
    raw: bytes = b""
    statuses: list[int] = field(default_factory=list)
    rejects: int = 0
    hangs: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.headers.append(dict(request.headers))
        if self.hangs:
            await asyncio.sleep(3600)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200 and request.url.path == "/v1/traces":
            self.raw += body
            self._decode(ExportTraceServiceRequest.FromString(body))
        answer = ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = self.rejects
        await Response(answer.SerializeToString(), status)(scope, receive, send)

    def _decode(self, request: ExportTraceServiceRequest) -> None:
        for resource_spans in request.resource_spans:
            self.resource = _attributes(resource_spans.resource.attributes)
            for scope_spans in resource_spans.scope_spans:
                self.scopes.add((scope_spans.scope.name, scope_spans.schema_url))
                self.spans += [
                    Received(
                        span.name,
                        span.kind,
                        span.trace_id.hex(),
                        span.span_id.hex(),
                        span.parent_span_id.hex(),
                        span.start_time_unix_nano / 1e9,
                        span.end_time_unix_nano / 1e9,
                        _attributes(span.attributes),
                        span.status.code,
                        span.status.message,
                        span.trace_state,
                    )
                    for span in scope_spans.spans
                ]

    async def roots(self, number: int) -> list[Received]:
        """The spans of the requests, in order, as soon as there are as many."""
        await eventually(lambda: len(self._of(SERVER)) >= number)
        return sorted(self._of(SERVER), key=lambda span: span.start_s)

    def children(self, root: Received, kind: int = CLIENT) -> list[Received]:
        return [span for span in self._of(kind) if (span.trace_id, span.parent) == (root.trace_id, root.id)]

    def check(self) -> None:
        """There are no orphans, no two spans with one id, and no span outside the time of its root."""
        roots = {(span.trace_id, span.id): span for span in self._of(SERVER)}
        assert len({(span.trace_id, span.id) for span in self.spans}) == len(self.spans)
        for span in self.spans:
            assert span.end_s >= span.start_s > 1e9
            if span.kind != SERVER:
                root = roots[span.trace_id, span.parent]
                assert root.start_s - 0.001 <= span.start_s
                assert span.end_s <= root.end_s + 0.001

    def _of(self, kind: int) -> list[Received]:
        return [span for span in self.spans if span.kind == kind]


def _attributes(attributes: Any) -> dict[str, Any]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(item) for item in value.array_value.values] if kind == "array_value" else getattr(value, kind)


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    async with serving(collector, grace_s=0.1) as (_, collector.url):
        yield collector


def otel(collector: Collector, **more: Any) -> dict[str, Any]:
    """Settings of a gateway whose spans go there soon."""
    environment = {"OTEL_BSP_SCHEDULE_DELAY": "20"} | more.pop("environment", {})
    settings = {"otel": {"endpoint": collector.url} | more.pop("otel", {})} | more.pop("gateway", {})
    return {"gateway": settings, "environment": environment}


def lost(run: Gateway) -> int:
    return run.service.telemetry.lost
