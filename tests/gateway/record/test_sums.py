"""Sums of requests: what is counted, what the best model would have cost, and quantiles of latencies."""

import numpy as np
import pytest

from gateway.record.finished import Finished
from gateway.record.latency import bucket_of, quantile
from gateway.record.predictions import Predictions
from gateway.record.request_record import Part, Record
from gateway.record.sums import compared_costs, latencies_of, sums_by_day, sums_by_hour
from gateway.store.usage_tables import SUM_KEY, SUMS

CHEAP, DEAR, UNABLE = "cheap", "dear", "unable"


def finished(
    time: float = 90_000.0, parts: tuple[Part, ...] = (), predicted: Predictions | None = None, **more: object
) -> Finished:
    values = dict.fromkeys(Record._fields) | {"request_id": "r", "time": time, "latency_ms": 100.0, "api": "chat"}
    return Finished(Record(**(values | {"served": CHEAP, "chosen": CHEAP} | more)), parts, predicted)  # type: ignore[arg-type]


def part(model: str = CHEAP, nusd: int | None = 100) -> Part:
    return Part(model, f"{model}/0", 10, 20, nusd, False)


def predictions(*, priced: tuple[bool, bool, bool] = (True, True, True), own_usd: float = 0.001) -> Predictions:
    """The best model of all cannot serve the request; the best of the others costs 0.004 USD."""
    p, usd = np.array([0.6, 0.8, 0.9], np.float32), np.array([own_usd, 0.004, 0.1])
    able = np.array([True, True, False])
    return Predictions((CHEAP, DEAR, UNABLE), p, usd, np.array(priced), able, None, 0, None)


def test_a_period_counts_requests_under_their_answering_model_and_money_under_that_of_each_call() -> None:
    broken = '[{"cause":"broken","after_content":true}]'
    batch = [
        finished(parts=(part(), part(DEAR, None)), key_id="k", policy="balanced"),
        finished(served=DEAR, failover=broken, key_id="k", policy="balanced"),
        finished(served=None, error="timeout", failover=broken, key_id="k", policy="balanced"),
        finished(cache="hit", saved_nusd=7, time=3 * 86_400.0),
    ]
    rows = [dict(zip(("start", *SUM_KEY, *SUMS), row, strict=True)) for row in sums_by_day(sums_by_hour(batch))]
    counted = [{name: value for name, value in row.items() if value} for row in rows]
    of_key = {"start": 86_400, "key_id": "k", "policy": "balanced"}
    tokens = {"prompt_tokens": 10, "completion_tokens": 20}
    assert counted == [
        of_key | {"requests": 1, "errors": 1},
        of_key | {"model": CHEAP, "requests": 1, "nusd": 100} | tokens,
        of_key | {"model": DEAR, "requests": 1, "stand_ins": 1, "continued": 1, "unpriced_calls": 1} | tokens,
        {"start": 259_200, "model": CHEAP, "requests": 1, "cache_hits": 1, "saved_nusd": 7},
    ]
    assert [row[0] for row in sums_by_hour(batch)] == [90_000, 90_000, 90_000, 259_200]


@pytest.mark.parametrize(
    ("request_", "costs"),
    [
        (finished(parts=(part(),), predicted=predictions()), (100, 400)),
        (finished(parts=(part(), part(DEAR, 50)), predicted=predictions()), (150, 400)),
        (finished(parts=(part(nusd=0),), predicted=predictions(own_usd=0.0)), (0, 4_000_000)),
        (finished(parts=(part(),), predicted=predictions(priced=(True, False, True))), (100, 100)),
        (finished(parts=(part(),), predicted=predictions(priced=(False, True, True))), None),
        (finished(parts=(part(), part(DEAR, None)), predicted=predictions()), None),
        (finished(parts=(part(),), predicted=predictions(), error="broken"), None),
        (finished(parts=(part(),)), None),
        (finished(predicted=predictions()), None),
    ],
)
def test_the_cost_at_the_best_model_follows_from_the_expected_prices(
    request_: Finished, costs: tuple[int, int] | None
) -> None:
    assert compared_costs(request_) == costs


def test_latencies_are_counted_for_all_and_for_each_key_without_errors_and_own_calls() -> None:
    batch = [finished(key_id="k"), finished(), finished(error="timeout"), finished(api="probe", key_id="system:drift")]
    assert latencies_of(batch) == [("all", 90_000, bucket_of(100.0), 2), ("key:k", 90_000, bucket_of(100.0), 1)]


def test_quantiles_of_buckets_are_near_those_of_the_values() -> None:
    values = np.random.default_rng(0).lognormal(6, 1.2, 20_000)
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket_of(value)] = counts.get(bucket_of(value), 0) + 1
    for q in (0.5, 0.99):
        assert quantile(counts, q) == pytest.approx(np.quantile(values, q), rel=0.03)
    assert quantile({}, 0.5) is None
    assert (quantile({0: 4}, 0.5), bucket_of(0.0), bucket_of(1.0)) == (0.5, 0, 0)
