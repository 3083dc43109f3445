"""The trace that a request belongs to: W3C trace context, as clients send it and as calls to providers may carry it on."""

import random
import re
from collections.abc import Iterable
from typing import NamedTuple

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
MAX_STATE_CHARS = 512  # the size that every implementation must pass on
_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z")
_SAMPLED = 1
_RATIO_BITS = 64  # of a trace id that decide whether it is sampled, as in OpenTelemetry's TraceIdRatioBased


class TraceContext(NamedTuple):
    """One request's place in a trace.

    Attributes:
        span_id: of the request's own span.
        parent_id: of the client's span; 0 if the client sent none.
        sampled: the request is exported, even if nothing is remarkable about it.
        state: the client's `tracestate`.
    """

    trace_id: int
    span_id: int
    parent_id: int
    sampled: bool
    state: str = ""

    @property
    def hex_id(self) -> str:
        """The trace id as 32 hexadecimal digits."""
        return f"{self.trace_id:032x}"

    def headers(self, span_id: int) -> dict[str, str]:
        """The headers of a call to a provider, whose span has this id."""
        headers = {TRACEPARENT.decode(): f"00-{self.trace_id:032x}-{span_id:016x}-{int(self.sampled):02x}"}
        return headers | {TRACESTATE.decode(): self.state} if self.state else headers


class Parent(NamedTuple):
    """The client's span, from its `traceparent`."""

    trace_id: int
    span_id: int
    sampled: bool


def parse_traceparent(value: bytes) -> Parent | None:
    """The client's span; None if the header is not valid.

    `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01` is a sampled one. Later versions may append fields.
    """
    match = _PARENT.match(value.strip())
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5] is not None):
        return None
    trace_id, span_id = int(match[2], 16), int(match[3], 16)
    return Parent(trace_id, span_id, bool(int(match[4], 16) & _SAMPLED)) if trace_id and span_id else None


def parse_tracestate(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The client's `tracestate`, its lines joined; empty if it is too long or has other characters than visible ASCII."""
    state = b",".join(value.strip() for name, value in headers if name == TRACESTATE)
    return state.decode() if len(state) <= MAX_STATE_CHARS and state.isascii() and state.decode().isprintable() else ""


def new_trace_id() -> int:
    return random.getrandbits(128) or 1


def new_span_id() -> int:
    return random.getrandbits(64) or 1


def is_in_sample(trace_id: int, ratio: float) -> bool:
    """Return True for this share of all trace ids. Every service with the same ratio chooses the same traces."""
    return trace_id & ((1 << _RATIO_BITS) - 1) < ratio * (1 << _RATIO_BITS)
