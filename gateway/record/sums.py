"""Sums of a batch of finished requests: by hour and by day, and how long they took. Pure functions.

Rows are in the order of their keys, since other gateways take the locks of the database in the same order.
"""

from collections.abc import Iterable
from operator import add
from typing import Any

import numpy as np

from gateway.core.vocabulary import NUSD_PER_USD
from gateway.record.finished import Finished
from gateway.record.latency import bucket_of
from gateway.record.request_record import Record, total_cost

HOUR_S, DAY_S = 3600, 86_400
ALL = "all"  # the scope of latencies of all clients
OWN_CALLS = "probe"  # the value of `api` for calls that the gateway makes of its own accord
# As `failover` has it of a stream that broke, and nothing else does: within a text the quotation marks are escaped.
_BROKE = '"after_content":true'
SumKey = tuple[int, str, str, str, str]
Row = tuple[Any, ...]


def sums_by_hour(batch: Iterable[Finished]) -> list[Row]:
    """The sums of a batch by hour, key, team, model and policy: columns `hour`, `SUM_KEY` and `SUMS`."""
    sums: dict[SumKey, tuple[int, ...]] = {}

    def count(record: Record, model: str | None, *values: int) -> None:
        hour = int(record.time) // HOUR_S * HOUR_S
        _add(sums, (hour, record.key_id or "", record.team or "", model or "", record.policy or ""), values)

    for finished in batch:
        record, failed = finished.record, finished.record.error is not None
        stood_in = record.served is not None and record.chosen is not None and record.served != record.chosen
        continued = not failed and record.failover is not None and _BROKE in record.failover
        cached = int(record.cache == "hit"), record.saved_nusd or 0
        costs = compared_costs(finished)
        compared = (0, 0, 0) if costs is None else (1, *costs)
        count(record, record.served, 1, int(failed), 0, 0, 0, 0, 0, *cached, int(stood_in), int(continued), *compared)
        for part in finished.parts:
            tokens = part.prompt_tokens, part.cached_tokens, part.completion_tokens
            unpriced = part.cost_nusd is None
            count(record, part.model, 0, 0, *tokens, part.cost_nusd or 0, int(unpriced), 0, 0, 0, 0, 0, 0, 0)
    return _rows(sums)


def sums_by_day(hours: Iterable[Row]) -> list[Row]:
    """The same by UTC day, from the rows by hour."""
    sums: dict[SumKey, tuple[int, ...]] = {}
    for hour, key_id, team, model, policy, *values in hours:
        _add(sums, (hour // DAY_S * DAY_S, key_id, team, model, policy), tuple(values))
    return _rows(sums)


def _add(sums: dict[SumKey, tuple[int, ...]], key: SumKey, values: tuple[int, ...]) -> None:
    known = sums.get(key)
    sums[key] = values if known is None else tuple(map(add, known, values))


def _rows(sums: dict[SumKey, tuple[int, ...]]) -> list[Row]:
    return [(*key, *values) for key, values in sorted(sums.items())]


def compared_costs(finished: Finished) -> tuple[int, int] | None:
    """What an answered request cost, and an estimate of what its best model would have cost, nano-USD.

    The best one is that with the highest P(correct) of those that could serve the request and have a price. The estimate is the
    cost of the call that the answer is from, times the ratio of the prices that the decision expected at both models.

    Returns:
        None if one of them is not known, or the client named the model.
    """
    record, parts, predictions = finished.record, finished.parts, finished.predictions
    cost = total_cost(parts)
    if predictions is None or record.error is not None or cost is None or parts[0].cost_nusd is None:
        return None
    p = np.where(predictions.capable & predictions.priced, predictions.p_correct, np.nan)
    highest = np.fmax.reduce(p)  # leaves out NaN
    if np.isnan(highest) or parts[0].model not in predictions.models:
        return None
    own = predictions.models.index(parts[0].model)
    if not predictions.priced[own]:
        return None
    at_best, expected = float(predictions.price_usd[p == highest].min()), float(predictions.price_usd[own])
    best = parts[0].cost_nusd * at_best / expected if expected > 0 else at_best * NUSD_PER_USD
    return cost, round(best)


def latencies_of(batch: Iterable[Finished]) -> list[Row]:
    """How many answered requests of clients took how long: columns `scope`, `hour`, `bucket` and `requests`."""
    counts: dict[tuple[str, int, int], int] = {}
    for record, *_ in batch:
        if record.error is not None or record.api == OWN_CALLS:
            continue
        hour, bucket = int(record.time) // HOUR_S * HOUR_S, bucket_of(record.latency_ms)
        for scope in (ALL,) if record.key_id is None else (ALL, scope_of(record.key_id)):
            counts[scope, hour, bucket] = counts.get((scope, hour, bucket), 0) + 1
    return [(*key, number) for key, number in sorted(counts.items())]


def scope_of(key_id: str | None) -> str:
    """The scope of the latencies of a key; None: of all clients."""
    return ALL if key_id is None else f"key:{key_id}"
