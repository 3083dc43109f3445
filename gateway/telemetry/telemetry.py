"""Telemetry of one process: begins the trace of each request, and exports its spans when it is finished."""

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace

from gateway import __version__
from gateway.config.settings import Otel
from gateway.core.vocabulary import Clock
from gateway.telemetry.exporter import Encoded, Exporter, ProxyFor
from gateway.telemetry.options import Options, export_options
from gateway.telemetry.span import Span, encode
from gateway.telemetry.trace_context import (
    TRACEPARENT,
    TraceContext,
    is_in_sample,
    new_span_id,
    new_trace_id,
    parse_traceparent,
    parse_tracestate,
)

MOST_REFUSED = 50  # spans of refused requests in one second


class Telemetry:
    """Use as an async context manager; leaving it sends the spans that wait.

    Args:
        environment: OpenTelemetry's variables are the defaults of the settings.
        proxy_for: the proxy that the collector is called through.
        clock: monotonic seconds.

    Attributes:
        options: the export in force; None if it is off.
    """

    def __init__(self, environment: Mapping[str, str], proxy_for: ProxyFor, clock: Clock = time.monotonic) -> None:
        self.options: Options | None = None
        self._environment = environment
        self._process = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
        self._exporter = Exporter(lambda: self.options, proxy_for)
        self._clock = clock
        self._refused = (0.0, 0)  # the second, and how many refused requests were exported in it

    @property
    def lost(self) -> int:
        """The number of spans that were not exported although they should have been."""
        return self._exporter.lost

    async def __aenter__(self) -> "Telemetry":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._exporter.aclose()

    async def apply(self, otel: Otel | None) -> None:
        """Puts the settings in force."""
        options = export_options(otel, self._environment)
        if options is not None:
            await asyncio.to_thread(_import_messages)
            options = replace(options, resource={**self._process, **options.resource})
        self.options = options

    def begin(self, headers: Mapping[bytes, bytes], lines: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
        """The trace of a request; None if it has none: the export is off, and the client sent no trace context.

        Args:
            headers: of the request.
            lines: the same, with names that occur several times.
        """
        given = headers.get(TRACEPARENT)
        parent = None if given is None else parse_traceparent(given)
        if parent is not None:
            sampled = self._is_sampled(parent.trace_id, parent.sampled)
            return TraceContext(parent.trace_id, new_span_id(), parent.span_id, sampled, parse_tracestate(lines))
        if self.options is None:
            return None
        trace_id = new_trace_id()
        return TraceContext(trace_id, new_span_id(), 0, self._is_sampled(trace_id, None))

    def add(self, trace: TraceContext, root: Span, children: list[Span]) -> None:
        """Exports the spans of a finished request."""
        self._exporter.add(Encoded(encode(trace, root, children), 1 + len(children)))

    def may_add_refused(self) -> bool:
        """True if another refused request may be exported in this second; else its span counts as lost."""
        second = self._clock() // 1
        count = self._refused[1] + 1 if self._refused[0] == second else 1
        self._refused = second, count
        if count > MOST_REFUSED:
            self._exporter.lost += 1
        return count <= MOST_REFUSED

    def _is_sampled(self, trace_id: int, parent_sampled: bool | None) -> bool:
        options = self.options
        if options is None or (options.parent_based and parent_sampled is not None):
            return bool(parent_sampled)
        return is_in_sample(trace_id, options.sample)


def _import_messages() -> None:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2  # noqa: F401
