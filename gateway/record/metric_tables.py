"""The names of all metrics, with their meaning, labels and bounds."""

from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily

from gateway.record.genai_metrics import GENAI_HISTOGRAMS

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
OVERHEAD_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.1)
PAUSE_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
COUNTERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "locus_requests": ("Chat requests", ("model", "policy", "status", "error")),
    "locus_failed_attempts": ("Upstream calls that failed", ("deployment", "cause")),
    "locus_streams_continued": ("Broken streams that another call continued", ("model",)),
    "locus_stand_ins": ("Requests that a stand-in answered", ("chosen", "served", "rule")),
    "locus_tokens": ("Tokens as billed", ("model", "kind")),
    "locus_token_details": ("Those of locus_tokens that have a price of their own", ("model", "kind")),
    "locus_cost_usd": ("Cost of the calls whose price is known", ("model",)),
    "locus_calls_without_price": ("Billed calls whose price is not known", ("model",)),
    "locus_requests_refused": ("Requests refused at a limit of the gateway", ("reason",)),
    "locus_keys_refused": ("Requests refused for a missing or wrong key", ("key", "reason")),
    "locus_records_lost": ("Records lost to a full buffer", ()),
    "locus_cache_requests": ("Requests for which the cache for answers was used", ("result",)),
    "locus_cache_saved_usd": ("What the answers from the cache cost when they were made", ("model",)),
    "locus_ensembles": ("Requests that several models answered together", ("policy", "result")),
    "locus_ensemble_calls": ("Calls of these models and of the judge", ("policy",)),
    "locus_ensemble_cost_usd": ("Cost of these requests, if it is known", ("policy",)),
    "locus_budget_warnings": ("Budgets that reached their warning share", ("scope", "name", "period")),
    "locus_settled_twice": ("Requests whose limits were settled again, which does nothing", ()),
    "locus_feedback": ("Feedback that clients sent", ("result",)),
    "locus_graded_answers": ("Answers that graders were to grade", ("grader", "result")),
    "locus_refinements": ("Embeddings that were refined by outcomes", ("model", "result")),
    "locus_spans_lost": ("Spans that could not be exported", ()),
    "locus_onboarding_probes": ("Probes that onboarding has asked", ("model",)),
    "locus_drift_events": (
        "Changes of deployments that were found, or that providers announce",
        ("model", "deployment", "kind"),
    ),
}
HISTOGRAMS: dict[str, tuple[str, tuple[str, ...], tuple[float, ...]]] = {
    "locus_request_seconds": ("Until the last byte", ("model",), SECONDS),
    "locus_first_token_seconds": ("Until the first content", ("model",), SECONDS),
    "locus_overhead_seconds": ("The gateway's own time", (), OVERHEAD_SECONDS),
    "locus_event_loop_pause_seconds": (
        "Times for which one piece of work blocked the event loop",
        (),
        PAUSE_SECONDS,
    ),
    **GENAI_HISTOGRAMS,
}
MODEL_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "locus_model_state": ("1 for the state of the model", ("model", "state")),
    "locus_drift_suspect": (
        "1 while a deployment is suspect or quarantined, since its answers have changed",
        ("model", "deployment"),
    ),
    "locus_onboarding_predicted_error": ("Mean standard error of P(correct) after the last probes", ("model",)),
}
BUDGET_GAUGES = {  # by scope ("key" or "team"), name and period; the values of one budget are in this order
    "locus_budget_limit_usd": "Budget of the window",
    "locus_budget_spent_usd": "Spent in the window",
    "locus_budget_reserved_usd": "Reserved by requests in progress, for their highest cost",
}
GAUGES = {
    "locus_requests_in_flight": "Chat requests in progress",
    "locus_requests_waiting": "Requests that wait for a place",
    "locus_records_pending": "Records that wait to be written",
    "locus_records_failing": "Processes whose records cannot be written now: disk full, database away",
    "locus_cache_bytes": "Memory of the cache for answers, about",
    "locus_memory_charged_bytes": "Estimate of the memory that requests in progress hold; see max_memory_mb",
}
LARGEST = {  # gauges that are combined over several processes by their maximum, not by their sum
    "locus_records_oldest_seconds": "How long the oldest record has waited to be written",
    "locus_event_loop_longest_pause_seconds": "Longest time since the start for which the event loop was blocked",
}


def budget_gauges(budgets: Mapping[tuple[str, ...], Sequence[float]]) -> Iterator[GaugeMetricFamily]:
    """The gauges of budgets, from the values of each by its labels."""
    for i, (name, what) in enumerate(BUDGET_GAUGES.items()):
        gauge = GaugeMetricFamily(name, what, labels=["scope", "name", "period"])
        for labels, values in budgets.items():
            gauge.add_metric(labels, values[i])
        yield gauge
