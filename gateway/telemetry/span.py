"""Spans of one finished request, and their encoding for OTLP by the messages of `opentelemetry-proto`."""

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from gateway.telemetry import semconv
from gateway.telemetry.trace_context import TraceContext, new_span_id

if TYPE_CHECKING:
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

# opentelemetry-proto is imported by the functions: a gateway that exports nothing does not load it (0.06 s, 6 MB).
Kind = Literal["internal", "server", "client"]
Value = str | bool | int | float | list[str]
Attributes = list[tuple[str, Value]]
Labels = tuple[tuple[str, str | int | None], ...]
MAX_TEXT_CHARS = 4096  # of an attribute, except messages
_KINDS: dict[Kind, int] = {"internal": 1, "server": 2, "client": 3}
_MAX_INT = (1 << 63) - 1
_NS = 1e9


class Span(NamedTuple):
    """One span.

    Attributes:
        start_s, end_s: seconds since the epoch.
        labels: attributes that many spans share, such as names of models; None is left out. They are encoded once.
        attributes: the others.
        error: the value of `error.type`; None if nothing failed.
        failed: the span has the status ERROR. A call that was given up since another one answered has an error type alone.
        message: of the status.
        span_id: 0 for any. The root has that of the trace context.
    """

    name: str
    kind: Kind
    start_s: float
    end_s: float
    labels: Labels = ()
    attributes: Attributes = []  # noqa: RUF012 - of a named tuple, and never changed
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
        written.MergeFromString(_encoded_labels(span.labels))
        _add_attributes(written, span.attributes)
        if span.error is not None:
            _add_attributes(written, [(semconv.ERROR_TYPE, span.error)])
            if span.failed:
                written.status.code = Status.STATUS_CODE_ERROR
                written.status.message = span.message
    return scope.SerializeToString()


@lru_cache(maxsize=4096)
def _encoded_labels(labels: Labels) -> bytes:
    """A span message with these attributes alone: merging it costs a fifth of adding them one by one."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

    message = Message()
    _add_attributes(message, [(key, value) for key, value in labels if value is not None])
    return message.SerializeToString()


def _add_attributes(message: "Message", attributes: Attributes) -> None:
    add = message.attributes.add
    for key, value in attributes:
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
