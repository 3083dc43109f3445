"""Prometheus metrics. Labels are public names only: portfolio models, deployment ids, policies, causes."""

from collections.abc import Callable, Iterable, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.fleet import Fleet
from gateway.record import Part, Record, Recorder

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
OVERHEAD_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1)


class Metrics:
    """The gateway's own registry and the one function that counts a finished request."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.in_flight = Gauge("locus_requests_in_flight", "Chat requests under way", registry=registry)
        self._requests = Counter(
            "locus_requests_total", "Chat requests", ["model", "policy", "status", "error"], registry=registry
        )
        self._latency = Histogram(
            "locus_request_seconds", "Until the last byte", ["model"], buckets=SECONDS, registry=registry
        )
        self._first_token = Histogram(
            "locus_first_token_seconds", "Until the first content", ["model"], buckets=SECONDS, registry=registry
        )
        self._overhead = Histogram(
            "locus_overhead_seconds", "The gateway's own time", buckets=OVERHEAD_SECONDS, registry=registry
        )
        self._failed = Counter(
            "locus_failed_attempts_total", "Upstream calls that failed", ["deployment", "cause"], registry=registry
        )
        self._continued = Counter(
            "locus_streams_continued_total",
            "Broken streams that another call went on with",
            ["model"],
            registry=registry,
        )
        self._stand_ins = Counter(
            "locus_stand_ins_total", "Requests that a stand-in answered", ["chosen", "served"], registry=registry
        )
        self._tokens = Counter("locus_tokens_total", "Tokens as billed", ["model", "kind"], registry=registry)
        self._cost = Counter("locus_cost_usd_total", "Cost by the portfolio's prices", ["model"], registry=registry)

    def watch(self, fleet: Callable[[], Fleet], recorder: Recorder) -> None:
        """Adds what is read at scrape time: availability of each deployment, lost records."""
        self.registry.register(_Live(fleet, recorder))

    def failed(self, deployment: str, cause: str) -> None:
        self._failed.labels(deployment, cause).inc()

    def count(self, record: Record, parts: Sequence[Part]) -> None:
        """Counts a finished request; tokens and cost at the model that each part of the answer is from."""
        model = record.served or ""
        self._requests.labels(model, record.policy or "", str(record.status), record.error or "").inc()
        if record.overhead_ms is not None:
            self._overhead.observe(record.overhead_ms / 1000)
        if record.served is None:
            return
        self._latency.labels(model).observe(record.latency_ms / 1000)
        if record.first_token_ms is not None:
            self._first_token.labels(model).observe(record.first_token_ms / 1000)
        if record.served != record.chosen:
            self._stand_ins.labels(record.chosen or "", model).inc()
        for part in parts[1:]:
            self._continued.labels(part.model).inc()
        for part in parts:
            self._tokens.labels(part.model, "prompt").inc(part.prompt_tokens)
            self._tokens.labels(part.model, "completion").inc(part.completion_tokens)
            self._cost.labels(part.model).inc(part.cost_usd)

    def render(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)


class _Live(Collector):
    def __init__(self, fleet: Callable[[], Fleet], recorder: Recorder) -> None:
        self._fleet = fleet
        self._recorder = recorder

    def collect(self) -> Iterable[Metric]:
        available = GaugeMetricFamily(
            "locus_deployment_available", "1 where a call may be made now", labels=["model", "deployment"]
        )
        for model in self._fleet().models.values():
            for live in model.deployments:
                available.add_metric([model.name, live.spec.id], float(live.unavailable() is None))
        yield available
        yield GaugeMetricFamily("locus_records_lost", "Records lost to a full buffer", value=self._recorder.lost)
