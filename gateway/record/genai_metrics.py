"""The metrics of OpenTelemetry's GenAI conventions about single calls to providers, under their Prometheus names."""

from collections.abc import Iterator
from typing import NamedTuple

_SECONDS = tuple(round(0.01 * 2**n, 2) for n in range(14))
_TOKENS = tuple(4**n for n in range(14))
_CALL = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_DURATION = "gen_ai_client_operation_duration_seconds"
_FIRST_CHUNK = "gen_ai_client_operation_time_to_first_chunk_seconds"
_PER_CHUNK = "gen_ai_client_operation_time_per_output_chunk_seconds"
_TOKEN_USAGE = "gen_ai_client_token_usage"
# Name -> meaning, labels and upper bounds. The bounds are those that the conventions advise.
GENAI_HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    _DURATION: ("Calls to providers, until their end", (*_CALL, "error_type"), _SECONDS),
    _FIRST_CHUNK: ("Calls to providers, until the first content of a stream", _CALL, _SECONDS),
    _PER_CHUNK: ("Mean time between two contents of a stream, once for each call to a provider", _CALL, _SECONDS),
    _TOKEN_USAGE: ("Tokens of a call to a provider", (*_CALL, "gen_ai_token_type"), _TOKENS),
}


class MeasuredCall(NamedTuple):
    """One call to a provider.

    Attributes:
        model: its name at the provider.
        error: the cause of a failure; empty if it did not fail.
        first_chunk_s: seconds until the first content of a stream; None if there was none.
        per_chunk_s: mean seconds from one content of a stream to the next; None with fewer than two.
    """

    operation: str
    provider: str
    model: str
    error: str
    seconds: float
    first_chunk_s: float | None
    input_tokens: int
    output_tokens: int
    per_chunk_s: float | None = None


def observations(call: MeasuredCall) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Name, label values and value of each observation of a call."""
    labels = call.operation, call.provider, call.model
    yield _DURATION, (*labels, call.error), call.seconds
    if call.first_chunk_s is not None:
        yield _FIRST_CHUNK, labels, call.first_chunk_s
    if call.per_chunk_s is not None:
        yield _PER_CHUNK, labels, call.per_chunk_s
    if call.input_tokens:
        yield _TOKEN_USAGE, (*labels, "input"), call.input_tokens
    if call.output_tokens:
        yield _TOKEN_USAGE, (*labels, "output"), call.output_tokens
