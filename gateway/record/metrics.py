"""Collects and exports Prometheus metrics. Labels are public names only: portfolio models, deployment ids, policies, causes.

Each update changes one dictionary entry; prometheus_client writes the text on request. Its own `Counter` and
`Histogram` classes are not used, since the seven updates of one request took them 9 microseconds instead of 1, and 22 in its
multiprocess mode (0.26, Python 3.11, best of 40 rounds): every request would pay this on the event loop.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gateway.core.vocabulary import NUSD_PER_USD
from gateway.deployments.live import LiveDeployments
from gateway.record.genai_metrics import MeasuredCall, observations
from gateway.record.recorder import Recorder
from gateway.record.request_record import Part, Record
from gateway.record.totals import Labels, Totals, TotalsDump

_DETAILS = ("cached", "cache_write_5m", "cache_write_1h", "reasoning", "prompt_audio", "completion_audio")


class Metrics:
    """Counts the requests and calls of this process, and writes the exposition text for Prometheus.

    Args:
        ask_others: requests the totals of the gateway's other processes.
        add_others: adds these totals.

    Attributes:
        in_flight: chat requests in progress.
    """

    def __init__(
        self,
        ask_others: Callable[[], Awaitable[None]] | None = None,
        add_others: Callable[[Totals], None] | None = None,
    ) -> None:
        self._totals = Totals()
        self._ask_others = ask_others
        self._add_others = add_others
        self._deployments: Callable[[], LiveDeployments] | None = None
        self._recorder: Recorder | None = None
        self._waiting: Callable[[], int] = lambda: 0
        self._charged: Callable[[], int] = lambda: 0
        self._cache_bytes: Callable[[], int] = lambda: 0
        self._spans_lost: Callable[[], int] = lambda: 0
        self._budgets: Callable[[], Iterable[tuple[Labels, tuple[float, ...]]]] = lambda: ()
        self._states: Callable[[], Mapping[str, str]] = dict
        self._settled_twice: Callable[[], int] = lambda: 0
        self._longest_pause_s = 0.0
        self.in_flight = 0

    def watch(
        self, deployments: Callable[[], LiveDeployments], recorder: Recorder, cache_bytes: Callable[[], int]
    ) -> None:
        """Set the sources for deployments, records and the cache for answers, which are read only during export."""
        self._deployments = deployments
        self._recorder = recorder
        self._cache_bytes = cache_bytes

    def watch_admission(self, waiting: Callable[[], int], charged: Callable[[], int]) -> None:
        """Set the sources of two gauges: waiting requests, and the bytes that are charged to requests in progress."""
        self._waiting = waiting
        self._charged = charged

    def watch_limits(
        self, budgets: Callable[[], Iterable[tuple[Labels, tuple[float, ...]]]], settled_twice: Callable[[], int]
    ) -> None:
        """Set the sources of the gauges of budgets, and of the number of requests that were settled twice."""
        self._budgets, self._settled_twice = budgets, settled_twice

    def budget_warned(self, scope: str, name: str, period: str) -> None:
        """Count a budget that has reached its warning share."""
        self._totals.add("locus_budget_warnings", (scope, name, period))

    def watch_spans(self, lost: Callable[[], int]) -> None:
        """Set the source of the number of lost spans."""
        self._spans_lost = lost

    def watch_states(self, states: Callable[[], Mapping[str, str]]) -> None:
        """Set the source of the states of models, by name."""
        self._states = states

    def request_started(self) -> None:
        """Count a request that has arrived."""
        self.in_flight += 1

    def request_finished(self) -> None:
        """Count a request that is finished."""
        self.in_flight -= 1

    def loop_paused(self, seconds: float) -> None:
        """Count a time for which the event loop was blocked."""
        self._totals.observe("locus_event_loop_pause_seconds", (), seconds)
        self._longest_pause_s = max(self._longest_pause_s, seconds)

    def request_refused(self, reason: str) -> None:
        """Count a request that was refused at a limit of the gateway."""
        self._totals.add("locus_requests_refused", (reason,))

    def authentication_failed(self, key: str, reason: str) -> None:
        """Count a request without a valid key.

        Args:
            key: "gateway" or "admin".
            reason: "missing", "wrong", "expired" or "revoked".
        """
        self._totals.add("locus_keys_refused", (key, reason))

    def attempt_failed(self, deployment: str, cause: str) -> None:
        """Count a failed upstream call."""
        self._totals.add("locus_failed_attempts", (deployment, cause))

    def probe_asked(self, model: str) -> None:
        """Count a probe that onboarding has asked."""
        self._totals.add("locus_onboarding_probes", (model,))

    def onboarding_error(self, model: str, error: float) -> None:
        """Set the mean standard error of a model's P(correct) after the last probes."""
        self._totals.by_model["locus_onboarding_predicted_error"][(model,)] = error

    def drift_event(self, model: str, deployment: str, kind: str) -> None:
        """Count a change of a deployment: "changed" if its answers have, "announced" if its provider's own data say so."""
        self._totals.add("locus_drift_events", (model, deployment, kind))

    def drift_suspect(self, model: str, deployment: str, *, suspect: bool) -> None:
        """Set whether a deployment is suspect or quarantined."""
        self._totals.by_model["locus_drift_suspect"][model, deployment] = float(suspect)

    def saved_by_cache(self, model: str, nusd: int) -> None:
        """Count what an answer from the cache had cost, nano-USD."""
        self._totals.add("locus_cache_saved_usd", (model,), nusd / 1e9)

    def feedback_received(self, result: str) -> None:
        """Count feedback of a client: "good", "bad", "revoked" or "unknown" (there is no such request)."""
        self._totals.add("locus_feedback", (result,))

    def answer_graded(self, grader: str, result: str) -> None:
        """Count what became of an answer that a grader was to grade."""
        self._totals.add("locus_graded_answers", (grader, result))

    def model_refined(self, model: str, result: str) -> None:
        """Count a candidate for the embedding of a model: "taken", "not_taken" or "unchecked"."""
        self._totals.add("locus_refinements", (model, result))

    def count_call(self, call: MeasuredCall) -> None:
        """Count a call to a provider that is over."""
        for name, labels, value in observations(call):
            self._totals.observe(name, labels, value)

    def count_request(
        self, record: Record, parts: Sequence[Part], continued: Iterable[str], trace_id: str | None = None
    ) -> None:
        """Count the result of a finished request. Tokens and cost count for the model that wrote each part of the answer.

        Args:
            record: the record of the request.
            parts: the parts of its answer.
            continued: models that continued a broken stream.
            trace_id: of its exported trace; None if it has none.
        """
        totals = self._totals
        model = record.served or ""
        totals.add("locus_requests", (model, record.policy or "", str(record.status), record.error or ""))
        if record.cache is not None:
            totals.add("locus_cache_requests", (record.cache,))
        if record.overhead_ms is not None:
            totals.observe("locus_overhead_seconds", (), record.overhead_ms / 1000)
        for name in continued:
            totals.add("locus_streams_continued", (name,))
        for part in parts:
            self.call_billed(part)
        if record.served is None or record.cache == "hit":  # the times of an answer from the cache are not the model's
            return
        totals.observe("locus_request_seconds", (model,), record.latency_ms / 1000, trace_id)
        if record.first_token_ms is not None:
            totals.observe("locus_first_token_seconds", (model,), record.first_token_ms / 1000)
        if record.served != record.chosen:
            totals.add("locus_stand_ins", (record.chosen or "", model, record.stand_in_rule or ""))

    def ensemble_answered(self, policy: str, result: str, calls: int, cost_nusd: int | None) -> None:
        """Count a request that several models answered together.

        Args:
            result: how the answer was found.
            calls: of these models and of the judge.
            cost_nusd: of all of them; None if it is not known.
        """
        self._totals.add("locus_ensembles", (policy, result))
        self._totals.add("locus_ensemble_calls", (policy,), calls)
        if cost_nusd is not None:
            self._totals.add("locus_ensemble_cost_usd", (policy,), cost_nusd / NUSD_PER_USD)

    def call_billed(self, part: Part) -> None:
        """Count what a call was billed."""
        totals = self._totals
        totals.add("locus_tokens", (part.model, "prompt"), part.prompt_tokens)
        totals.add("locus_tokens", (part.model, "completion"), part.completion_tokens)
        for kind in _DETAILS:
            if tokens := getattr(part, f"{kind}_tokens"):
                totals.add("locus_token_details", (part.model, kind), tokens)
        if part.cost_nusd is None:
            totals.add("locus_calls_without_price", (part.model,))
        else:
            totals.add("locus_cost_usd", (part.model,), part.cost_nusd / NUSD_PER_USD)

    def dump(self) -> TotalsDump:
        """Return the totals of this process for the other processes."""
        totals = self._totals
        if self._recorder is not None:
            totals.counters["locus_records_lost"][()] = float(self._recorder.lost)
        totals.counters["locus_spans_lost"][()] = float(self._spans_lost())
        totals.counters["locus_settled_twice"][()] = float(self._settled_twice())
        totals.budgets = dict(self._budgets())
        totals.by_model["locus_model_state"] = dict.fromkeys(self._states().items(), 1.0)
        totals.gauges = {
            "locus_requests_in_flight": float(self.in_flight),
            "locus_requests_waiting": float(self._waiting()),
            "locus_memory_charged_bytes": float(self._charged()),
            "locus_cache_bytes": float(self._cache_bytes()),
            "locus_records_pending": float(self._recorder.pending if self._recorder is not None else 0),
            "locus_records_failing": float(self._recorder is not None and self._recorder.failure is not None),
            "locus_records_oldest_seconds": self._recorder.oldest_s if self._recorder is not None else 0.0,
            "locus_event_loop_longest_pause_seconds": self._longest_pause_s,
        }
        totals.available = {
            (model.name, live.spec.id): (float(live.unavailable() is None), 1.0)
            for model in (self._deployments().all_models() if self._deployments is not None else ())
            for live in model.deployments
            if live.spec.path != "built_in"  # the built-in path is this process itself
        }
        return totals.dump()

    async def exposition(self, accept: str) -> tuple[bytes, str]:
        """Return the exposition text for all processes, with their current totals, and its media type.

        Args:
            accept: the formats that the scraper accepts. OpenMetrics alone has exemplars.
        """
        if self._ask_others is not None:
            await self._ask_others()
        write, media_type = choose_encoder(accept)
        return self.render(write), media_type

    def render(self, write: Callable[[CollectorRegistry], bytes] = generate_latest) -> bytes:
        """Return the exposition text, with the last known totals of the other processes."""
        totals = Totals()
        totals.merge(self.dump())
        if self._add_others is not None:
            self._add_others(totals)
        registry = CollectorRegistry()
        registry.register(_Exposed(totals))
        return write(registry)


class _Exposed(Collector):
    """Passes totals to prometheus_client."""

    def __init__(self, totals: Totals) -> None:
        self._totals = totals

    def collect(self) -> Iterable[Metric]:
        return self._totals.families()
