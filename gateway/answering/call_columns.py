"""The columns of a record about calls: those that failed, those that were billed, and sums over these. Pure functions."""

from operator import attrgetter
from typing import Any

import orjson

from gateway.answering.attempts import Attempts
from gateway.record.request_record import Part, total_cost

MAX_ATTEMPTS = 200  # recorded for one request
_COUNTS = [
    (name, attrgetter(name))
    for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
]


def parts_column(parts: list[Part]) -> str | None:
    """The parts of an answer, if there are several."""
    return orjson.dumps([part._asdict() for part in parts]).decode() if len(parts) > 1 else None


def usage_columns(parts: list[Part]) -> dict[str, Any]:
    """The sums over the billed calls; the tokens are unknown if there is none."""
    columns: dict[str, Any] = {
        "usage_estimated": any(part.estimated for part in parts),
        "cost_nusd": total_cost(parts),
    }
    for name, count in _COUNTS:
        columns[name] = sum(map(count, parts)) if parts else None
    return columns


def failover_column(attempts: Attempts, *, answered: bool, started: float) -> str | None:
    """The calls that failed or were cancelled. Before them, the deployments of the chosen model that were not called.

    Args:
        answered: the chosen model answered, so that it does not matter which of its deployments were not called.
        started: when the request arrived, by the clock of the calls, monotonic seconds.
    """
    entries = attempts.entries if answered else [*attempts.not_called(), *attempts.entries]
    if not entries:
        return None
    return orjson.dumps(
        [
            {
                "model": attempt.candidate.model.name,
                "deployment": attempt.deployment,
                "cause": attempt.cause,
                "status": attempt.status,
                "began_ms": None if attempt.call is None else round((attempt.call.at - started) * 1000, 1),
                "elapsed_ms": round(attempt.elapsed_s * 1000, 1),
                "rule": attempt.candidate.rule,
                "distance": attempt.candidate.distance,
                "predicted_loss": attempt.candidate.predicted_loss,
                "after_content": attempt.after_content,
                "reason": attempt.reason or None,
                "called": attempt.called,
            }
            for attempt in entries[:MAX_ATTEMPTS]
        ]
    ).decode()
