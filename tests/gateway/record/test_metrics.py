"""Counters, histograms and gauges of one process and of several, and the text for Prometheus."""

import orjson
import pytest

from gateway.record.genai_metrics import MeasuredCall
from gateway.record.metrics import Metrics
from gateway.record.request_record import Part, Record
from gateway.record.totals import Totals, TotalsDump


def record(**changes: object) -> Record:
    fields = dict.fromkeys(Record._fields) | {"request_id": "r", "time": 0.0, "status": 200, "latency_ms": 100.0}
    return Record(**(fields | changes))


def lines(metrics: Metrics) -> list[str]:
    """The samples of the exposition text."""
    return [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]


def test_totals_add_up() -> None:
    def one(available: float) -> TotalsDump:
        totals = Totals()
        totals.add("locus_requests", ("m", "", "200", ""), 2)
        totals.observe("locus_overhead_seconds", (), 0.003)
        totals.gauges["locus_requests_in_flight"] = 3
        totals.available["m", "m/0"] = (available, 1)
        return totals.dump()

    totals = Totals()
    totals.merge(one(1.0))
    totals.merge(one(0.0))
    totals.merge(one(1.0), gauges=False)
    samples = {s.name: s.value for family in totals.families() for s in family.samples if s.labels.get("le") is None}
    assert samples["locus_requests_total"] == 6
    assert samples["locus_overhead_seconds_count"] == 3
    assert samples["locus_overhead_seconds_sum"] == pytest.approx(0.009)
    assert samples["locus_requests_in_flight"] == 6
    assert samples["locus_deployment_available"] == 0.5


def test_totals_survive_the_way_through_json() -> None:
    totals = Totals()
    totals.add("locus_tokens", ("m", "prompt"), 5)
    totals.observe("locus_request_seconds", ("m",), 0.3)
    totals.available["m", "m/0"] = (1.0, 1.0)
    again = Totals()
    again.merge(orjson.loads(orjson.dumps(totals.dump())))
    assert again.dump() == totals.dump()


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    metrics = Metrics()
    for seconds in (0.005, 0.0051, 11.0):
        metrics.loop_paused(seconds)
    samples = lines(metrics)
    assert 'locus_event_loop_pause_seconds_bucket{le="0.005"} 1.0' in samples
    assert 'locus_event_loop_pause_seconds_bucket{le="0.01"} 2.0' in samples
    assert 'locus_event_loop_pause_seconds_bucket{le="10"} 2.0' in samples
    assert 'locus_event_loop_pause_seconds_bucket{le="+Inf"} 3.0' in samples
    assert "locus_event_loop_longest_pause_seconds 11.0" in samples


def test_tokens_and_cost_count_for_the_model_that_wrote_each_part() -> None:
    metrics = Metrics()
    parts = [Part("a", "a/0", 10, 5, 100_000_000, False, 4), Part("b", "b/0", 20, 7, None, False)]
    metrics.count_request(record(served="a", chosen="c", policy="best", stand_in_rule="nearest"), parts, ["b"])
    samples = lines(metrics)
    assert 'locus_requests_total{error="",model="a",policy="best",status="200"} 1.0' in samples
    assert 'locus_tokens_total{kind="completion",model="b"} 7.0' in samples
    assert 'locus_cost_usd_total{model="a"} 0.1' in samples
    assert 'locus_token_details_total{kind="cached",model="a"} 4.0' in samples
    assert 'locus_calls_without_price_total{model="b"} 1.0' in samples
    assert not any('locus_cost_usd_total{model="b"}' in sample for sample in samples)
    assert 'locus_streams_continued_total{model="b"} 1.0' in samples
    assert 'locus_stand_ins_total{chosen="c",rule="nearest",served="a"} 1.0' in samples


def test_a_request_that_no_model_answered_has_no_latency() -> None:
    metrics = Metrics()
    metrics.count_request(record(status=503, error="upstreams_failed"), [], [])
    samples = lines(metrics)
    assert 'locus_requests_total{error="upstreams_failed",model="",policy="",status="503"} 1.0' in samples
    assert not any(sample.startswith("locus_request_seconds") for sample in samples)


def test_requests_in_flight_are_those_that_have_not_ended() -> None:
    metrics = Metrics()
    metrics.request_started()
    metrics.request_started()
    metrics.request_finished()
    assert "locus_requests_in_flight 1.0" in lines(metrics)


def test_totals_of_other_processes_are_added() -> None:
    def add_others(totals: Totals) -> None:
        other = Totals()
        other.add("locus_keys_refused", ("admin", "wrong"), 2)
        totals.merge(other.dump())

    metrics = Metrics(add_others=add_others)
    metrics.authentication_failed("admin", "wrong")
    assert 'locus_keys_refused_total{key="admin",reason="wrong"} 3.0' in lines(metrics)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.anyio
async def test_openmetrics_has_the_traces_of_requests_as_exemplars() -> None:
    metrics = Metrics()
    metrics.count_request(record(served="m", chosen="m"), [], [], TRACE)
    text, media_type = await metrics.exposition("application/openmetrics-text; version=1.0.0")
    assert media_type.startswith("application/openmetrics-text")
    (bucket,) = [line for line in text.decode().splitlines() if TRACE in line]
    assert bucket.startswith(f'locus_request_seconds_bucket{{le="0.1",model="m"}} 1.0 # {{trace_id="{TRACE}"}} 0.1 ')
    text, media_type = await metrics.exposition("text/plain")
    assert media_type.startswith("text/plain")
    assert TRACE.encode() not in text


def test_the_newest_exemplar_of_several_processes_is_kept() -> None:
    totals = Totals()
    totals.observe("locus_request_seconds", ("m",), 0.3, "old")
    newer = Totals()
    newer.observe("locus_request_seconds", ("m",), 0.4, "new")
    for dumped in (totals.dump(), newer.dump(), totals.dump()):
        totals.merge(orjson.loads(orjson.dumps(dumped)))
    assert [value.trace_id for value in totals.traced.values()] == ["new"]


def test_calls_to_providers_have_the_metrics_of_the_genai_conventions() -> None:
    metrics = Metrics()
    metrics.count_call(MeasuredCall("chat", "openai", "gpt", "", 0.5, 0.1, 70, 30, 0.02))
    metrics.count_call(MeasuredCall("chat", "openai", "gpt", "timeout", 2.0, None, 0, 0))
    samples = lines(metrics)
    of_call = 'gen_ai_operation_name="chat",gen_ai_provider_name="openai",gen_ai_request_model="gpt"'
    duration = "gen_ai_client_operation_duration_seconds_count"
    assert f'{duration}{{error_type="",{of_call}}} 1.0' in samples
    assert f'{duration}{{error_type="timeout",{of_call}}} 1.0' in samples
    assert f"gen_ai_client_operation_time_to_first_chunk_seconds_count{{{of_call}}} 1.0" in samples
    assert f"gen_ai_client_operation_time_per_output_chunk_seconds_sum{{{of_call}}} 0.02" in samples
    assert f'gen_ai_client_token_usage_sum{{{of_call},gen_ai_token_type="output"}} 30.0' in samples
