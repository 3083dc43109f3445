"""The log line of one request: who asked for what, which model answered, and at what cost."""

import logging
import time
from typing import NamedTuple

from gateway.core.errors import UnknownModel
from gateway.core.json_types import JsonObject
from gateway.record.request_record import Record

log = logging.getLogger("locus.request")


class RequestLine(NamedTuple):
    """The line of a request, written as text or as JSON only if the log wants that form.

    Attributes:
        stand_in_cause: why the chosen model did not answer; None if it did.
    """

    record: Record
    stand_in_cause: str | None

    def __str__(self) -> str:
        """`auto → gpt-5-mini 200, balanced, p 0.83, 812+94 tokens, 0.000312 USD, 310/1204 ms, key alice, req_…`."""
        record = self.record
        parts = [self._requested() or "?"]
        if record.served is not None:
            parts.append(f" → {record.served}")
            if self.stand_in_cause is not None:
                parts.append(f" for {record.chosen} ({self.stand_in_cause})")
        parts.append(f" {record.status}" if record.error is None else f" {record.status} {record.error}")
        if record.cache == "hit":
            parts.append(", from the cache")
        if record.simulated:
            parts.append(", simulated")
        if record.policy is not None:
            parts.append(f", {record.policy}")
        if record.p_correct is not None:
            parts.append(f", p {record.p_correct:.2f}")
        if record.prompt_tokens is not None:
            parts.append(f", {record.prompt_tokens}+{record.completion_tokens} tokens")
            cost = record.cost_nusd
            parts.append(", price unknown" if cost is None else f", {cost / 1e9:.6f} USD")
        first = "" if record.first_token_ms is None or not record.stream else f"{record.first_token_ms:.0f}/"
        parts.append(f", {first}{record.latency_ms:.0f} ms")
        if record.key_name is not None:
            parts.append(f", key {record.key_name}")
        parts.append(f", {record.request_id}")
        if record.trace_id is not None:
            parts.append(f", trace {record.trace_id}")
        return "".join(parts)

    def _requested(self) -> str | None:
        """The `model` of the request, if the portfolio has it: any other one is text of the client."""
        return None if self.record.error == UnknownModel.code else self.record.requested

    def fields(self) -> JsonObject:
        """The fields for JSON, by the names of the record's columns."""
        record = self.record
        return {
            "message": "request",
            "request_id": record.request_id,
            "trace_id": record.trace_id,
            "api": record.api,
            "key_id": record.key_id,
            "key_name": record.key_name,
            "team": record.team,
            "requested": self._requested(),
            "policy": record.policy,
            "chosen": record.chosen,
            "served": record.served,
            "deployment": record.deployment,
            "p_correct": None if record.p_correct is None else round(record.p_correct, 4),
            "stream": record.stream,
            "status": record.status,
            "error": record.error,
            "stand_in_cause": self.stand_in_cause,
            "stand_in_rule": record.stand_in_rule,
            "prompt_tokens": record.prompt_tokens,
            "completion_tokens": record.completion_tokens,
            "cost_nusd": record.cost_nusd,
            "first_token_ms": None if record.first_token_ms is None else round(record.first_token_ms, 1),
            "latency_ms": round(record.latency_ms, 1),
            "overhead_ms": None if record.overhead_ms is None else round(record.overhead_ms, 2),
            "cache": record.cache,
            "simulated": record.simulated,
        }


class _Entry(logging.LogRecord):
    """The log record of a line. `LogRecord` itself would find out for each line what is the same in all: thread, task, file."""

    _SAME = vars(logging.LogRecord(log.name, logging.INFO, __file__, 0, None, (), None))

    def __init__(self, line: RequestLine) -> None:
        now = time.time()
        self.__dict__.update(self._SAME, created=now, msecs=now % 1 * 1000, msg=line, fields=line.fields)


def log_request(record: Record, cause: str | None) -> None:
    """Logs a request that is over.

    Args:
        cause: the failure because of which the chosen model did not answer, if it did not.
    """
    if log.isEnabledFor(logging.INFO):
        stands_in = record.served is not None and record.chosen not in (None, record.served)
        line = RequestLine(record, cause if stands_in else None)
        log.handle(_Entry(line))
