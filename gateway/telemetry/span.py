"""Spans of one finished request, and their encoding for OTLP by the messages of `opentelemetry-proto`."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from gateway.telemetry import semconv
from gateway.telemetry.trace_context import TraceContext, new_span_id

# opentelemetry-proto is imported by the functions: a gateway that exports nothing does not load it (0.06 s, 6 MB).
Kind = Literal["internal", "server", "client"]
Value = str | bool | int | float | list[str]
Attributes = list[tuple[str, Value]]
MAX_TEXT_CHARS = 4096  # of an attribute, except messages
_KINDS: dict[Kind, int] = {"internal": 1, "server": 2, "client": 3}
_MAX_INT = (1 << 63) - 1
_NS = 1e9


class Span(NamedTuple):
    """One span.

    Attributes:
        start_s, end_s: seconds since the epoch.
        error: the value of `error.type`; None if nothing failed.
        failed: the span has the status ERROR. A call that was given up since another one answered has an error type alone.
        message: of the status.
        span_id: 0 for any. The root has that of the trace context.
    """

    name: str
    kind: Kind
    start_s: float
    end_s: float
    attributes: Attributes
    error: str | None = None
    failed: bool = False
    message: str = ""
    span_id: int = 0


def encode(trace: TraceContext, root: Span, children: Iterable[Span]) -> bytes:
    """A `ScopeSpans` message with these spans and nothing else. Messages that are joined are one message with all spans."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status

    scope = ScopeSpans()
    trace_id = trace.trace_id.to_bytes(16, "big")
    own_id = trace.span_id.to_bytes(8, "big")
    parent_id = trace.parent_id.to_bytes(8, "big") if trace.parent_id else b""
    for span in (root, *children):
        written = scope.spans.add(
            trace_id=trace_id,
            span_id=own_id if span is root else (span.span_id or new_span_id()).to_bytes(8, "big"),
            parent_span_id=parent_id if span is root else own_id,
            trace_state=trace.state,
            name=span.name,
            kind=_KINDS[span.kind],
            start_time_unix_nano=int(span.start_s * _NS),
            end_time_unix_nano=int(max(span.start_s, span.end_s) * _NS),
            flags=int(trace.sampled),
        )
        add = written.attributes.add
        for key, value in span.attributes:
            any_value = add(key=key).value
            if type(value) is str:
                any_value.string_value = value
            elif type(value) is bool:
                any_value.bool_value = value
            elif type(value) is int:
                any_value.int_value = min(value, _MAX_INT)
            elif type(value) is float:
                any_value.double_value = value
            elif type(value) is list:
                for text in value:
                    any_value.array_value.values.add(string_value=text)
        if span.error is not None:
            add(key=semconv.ERROR_TYPE).value.string_value = span.error
            if span.failed:
                written.status.code = Status.STATUS_CODE_ERROR
                written.status.message = span.message
    return scope.SerializeToString()
