"""The sums of all metrics of one process, which those of other processes are added to, and how they are exposed."""

import time
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, TypedDict

from prometheus_client.core import CounterMetricFamily, Exemplar, GaugeMetricFamily, HistogramMetricFamily, Metric

from gateway.record.metric_tables import COUNTERS, GAUGES, HISTOGRAMS, LARGEST, MODEL_GAUGES, budget_gauges

Labels = tuple[str, ...]


class TracedValue(NamedTuple):
    """The last value of a histogram's bucket whose request has an exported trace."""

    value: float
    trace_id: str
    time: float


class TotalsDump(TypedDict):
    """`Totals` as lists for JSON: pairs of label values and value. The values of `available` are two numbers; see `Totals`."""

    counters: dict[str, list[tuple[Labels, float]]]
    histograms: dict[str, list[tuple[Labels, list[float]]]]
    gauges: dict[str, float]
    available: list[tuple[Labels, tuple[float, float]]]
    traced: list[tuple[str, Labels, int, tuple[float, str, float]]]
    budgets: list[tuple[Labels, tuple[float, ...]]]
    by_model: dict[str, list[tuple[Labels, float]]]


class Totals:
    """All counters, histograms and gauges, by name and label values. Totals of several processes can be added.

    Attributes:
        available: by model and deployment: the number of processes that can call it, and the number that know it.
        traced: by histogram, label values and number of the bucket.
        budgets: the values of `BUDGET_GAUGES` by their labels. All processes tell of the same budgets.
        by_model: the values of `MODEL_GAUGES` by their labels; one process at a time has a value.
    """

    def __init__(self) -> None:
        self.counters: dict[str, dict[Labels, float]] = {name: {} for name in COUNTERS}
        self.histograms: dict[str, dict[Labels, list[float]]] = {name: {} for name in HISTOGRAMS}
        self.gauges: dict[str, float] = dict.fromkeys(GAUGES | LARGEST, 0.0)
        self.available: dict[Labels, tuple[float, float]] = {}
        self.traced: dict[tuple[str, Labels, int], TracedValue] = {}
        self.budgets: dict[Labels, tuple[float, ...]] = {}
        self.by_model: dict[str, dict[Labels, float]] = {name: {} for name in MODEL_GAUGES}

    def add(self, name: str, labels: Labels, value: float = 1.0) -> None:
        """Add `value` to a counter."""
        counter = self.counters[name]
        counter[labels] = counter.get(labels, 0.0) + value

    def observe(self, name: str, labels: Labels, value: float, trace_id: str | None = None) -> None:
        """Add one value to a histogram, with the id of its exported trace."""
        bounds = HISTOGRAMS[name][2]
        counts = self.histograms[name].get(labels)
        if counts is None:
            counts = self.histograms[name][labels] = [0.0] * (
                len(bounds) + 2
            )  # the buckets, one above them, and the sum
        bucket = bisect_left(bounds, value)
        counts[bucket] += 1
        counts[-1] += value
        if trace_id is not None:
            self.traced[name, labels, bucket] = TracedValue(value, trace_id, time.time())

    def dump(self) -> TotalsDump:
        """Return the totals as lists, for JSON."""
        return {
            "counters": {name: list(values.items()) for name, values in self.counters.items()},
            "histograms": {name: list(values.items()) for name, values in self.histograms.items()},
            "gauges": self.gauges,
            "available": list(self.available.items()),
            "traced": [(*key, (*value,)) for key, value in self.traced.items()],
            "budgets": list(self.budgets.items()),
            "by_model": {name: list(values.items()) for name, values in self.by_model.items()},
        }

    def merge(self, dumped: TotalsDump, *, gauges: bool = True) -> None:
        """Add the totals of another process.

        Args:
            dumped: the totals.
            gauges: also add gauges and availability; False for a process that has ended.
        """
        for name, counter in dumped["counters"].items():
            for labels, value in counter:
                self.add(name, tuple(labels), value)
        for name, histogram in dumped["histograms"].items():
            for labels, counts in histogram:
                known = self.histograms[name].get(tuple(labels), [0.0] * len(counts))
                self.histograms[name][tuple(labels)] = [a + b for a, b in zip(known, counts, strict=True)]
        for name, labels, bucket, traced in dumped["traced"]:
            key, newest = (name, tuple(labels), bucket), TracedValue(*traced)
            self.traced[key] = max(newest, self.traced.get(key, newest), key=attrgetter("time"))
        if not gauges:
            return
        for name, value in dumped["gauges"].items():
            self.gauges[name] = max(self.gauges[name], value) if name in LARGEST else self.gauges[name] + value
        for labels, (available_in, known_in) in dumped["available"]:
            before = self.available.get(tuple(labels), (0.0, 0.0))
            self.available[tuple(labels)] = (before[0] + available_in, before[1] + known_in)
        for labels, budget in dumped["budgets"]:
            self.budgets[tuple(labels)] = max(tuple(budget), self.budgets.get(tuple(labels), ()))
        for name, values in dumped["by_model"].items():
            self.by_model[name] |= {tuple(labels): value for labels, value in values}

    def _with_exemplar(
        self, name: str, labels: Labels, number: int, bucket: tuple[str, float]
    ) -> tuple[str, float] | tuple[str, float, Exemplar]:
        traced = self.traced.get((name, labels, number))
        if traced is None:
            return bucket
        return *bucket, Exemplar({"trace_id": traced.trace_id}, traced.value, traced.time)

    def families(self) -> Iterable[Metric]:
        """Yield the metrics as objects of prometheus_client."""
        for name, (what, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, what, labels=labels)
            for values, total in self.counters[name].items():
                counter.add_metric(values, total)
            yield counter
        for name, (what, labels, bounds) in HISTOGRAMS.items():
            histogram = HistogramMetricFamily(name, what, labels=labels)
            for values, (*counts, total) in self.histograms[name].items():
                sums = zip([*map(str, bounds), "+Inf"], accumulate(counts), strict=True)
                buckets = [self._with_exemplar(name, values, i, pair) for i, pair in enumerate(sums)]
                histogram.add_metric(values, buckets, total)
            yield histogram
        for name, what in (GAUGES | LARGEST).items():
            yield GaugeMetricFamily(name, what, value=self.gauges[name])
        available = GaugeMetricFamily(
            "locus_deployment_available",
            "1 if a call may be made now; for several worker processes the share of them that may call",
            labels=["model", "deployment"],
        )
        for values, (available_in, known_in) in self.available.items():
            available.add_metric(values, available_in / known_in)
        yield available
        for name, (what, labels) in MODEL_GAUGES.items():
            gauge = GaugeMetricFamily(name, what, labels=labels)
            for values, value in self.by_model[name].items():
                gauge.add_metric(values, value)
            yield gauge
        yield from budget_gauges(self.budgets)
