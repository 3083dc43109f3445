"""The `x-locus-*` headers, which describe how an answer was made, and the same as fields of a JSON body. Pure functions.

Many client libraries hide headers, so answers of stand-ins carry the fields too.
"""

from collections.abc import Callable, Iterable
from itertools import chain, islice

from gateway.ensemble.outcome import Outcome
from gateway.routing.candidate import Candidate
from gateway.routing.decision import Decision

RawHeaders = list[tuple[bytes, bytes]]

PREFIX = "x-locus-"
MAX_VALUES = 20  # of one header, if it differs among the prompts of a batch
_OF_BATCH = (
    b"x-locus-model",
    b"x-locus-policy",
    b"x-locus-min-p-correct-missed",
    b"x-locus-stand-in",
    b"x-locus-stand-in-cause",
    b"x-locus-stand-in-rule",
    b"x-locus-left-out",
    b"x-locus-simulated",
)
_OF_ONE_REQUEST = (b"x-locus-overhead-ms", b"x-locus-conversation")

# The fields whose values are not text, by the names that they have in the body.
_VALUES: dict[str, Callable[[str], object]] = {
    "overhead_ms": float,
    "p_correct": float,
    "min_p_correct_missed": float,
    "stand_in_distance": float,
    "stand_in_predicted_loss": float,
    "simulated": "true".__eq__,
}


def answer_headers(
    decision: Decision,
    candidate: Candidate,
    left_out: Iterable[str],
    overhead_s: float,
    *,
    simulated: bool,
    stand_in_cause: str | None = None,
    ensemble: Outcome | None = None,
) -> RawHeaders:
    """The headers of one answer.

    Args:
        candidate: the model that answers.
        left_out: fields of the client's request that the deployment was not sent.
        overhead_s: the gateway's own time, seconds.
        stand_in_cause: why the chosen model does not answer itself.
        ensemble: how several models found the answer; None if one was asked.
    """
    model, p_correct = decision.model, decision.p_chosen
    if ensemble is not None:
        model, p_correct = ensemble.model, ensemble.p_correct
    headers = [(b"x-locus-model", model.encode()), _overhead(overhead_s)]
    if decision.policy is not None:
        headers.append((b"x-locus-policy", decision.policy.name.encode()))
    if p_correct is not None:
        headers.append((b"x-locus-p-correct", b"%.4f" % p_correct))
    if ensemble is not None:
        headers.append((b"x-locus-ensemble", ensemble.header()))
    if decision.missed_minimum is not None:
        headers.append((b"x-locus-min-p-correct-missed", b"%.4g" % decision.missed_minimum))
    if decision.switch is not None:
        headers.append((b"x-locus-conversation", b"kept" if decision.kept else b"switched"))
    if candidate.stand_in:
        headers.append((b"x-locus-stand-in", candidate.model.name.encode()))
        if stand_in_cause is not None:
            headers.append((b"x-locus-stand-in-cause", stand_in_cause.encode()))
    if candidate.rule is not None:
        headers.append((b"x-locus-stand-in-rule", candidate.rule.encode()))
    if candidate.distance is not None:
        headers.append((b"x-locus-stand-in-distance", b"%.4f" % candidate.distance))
    if candidate.predicted_loss is not None:
        headers.append((b"x-locus-stand-in-predicted-loss", b"%.4f" % candidate.predicted_loss))
    if names := ", ".join(left_out):
        headers.append((b"x-locus-left-out", names.encode()))
    if simulated:
        headers.append((b"x-locus-simulated", b"true"))
    return headers


def lasting_headers(headers: RawHeaders) -> tuple[tuple[bytes, bytes], ...]:
    """Those of an answer's headers that also hold if the answer is given again from the cache."""
    return tuple(pair for pair in headers if pair[0] not in _OF_ONE_REQUEST)


def cached_headers(lasting: Iterable[tuple[bytes, bytes]], overhead_s: float, age_s: float) -> RawHeaders:
    """The headers of an answer from the cache.

    Args:
        lasting: of the answer when it was stored.
        overhead_s: the gateway's own time, seconds.
        age_s: since it was stored, seconds.
    """
    return [*lasting, _overhead(overhead_s), (b"x-locus-cache", b"hit; age=%d" % age_s)]


def batch_headers(of_prompts: Iterable[RawHeaders], overhead_s: float) -> RawHeaders:
    """The headers of the answer to several prompts: a value that differs among the prompts becomes a list.

    Args:
        of_prompts: the headers of the answers to these prompts.
        overhead_s: the gateway's own time for all of them, seconds.
    """
    values: dict[bytes, dict[bytes, None]] = {name: {} for name in _OF_BATCH}
    for name, value in chain.from_iterable(of_prompts):
        if name in values:
            values[name][value] = None
    lists = [(name, b", ".join(islice(distinct, MAX_VALUES))) for name, distinct in values.items() if distinct]
    return [_overhead(overhead_s), *lists]


def header_fields(headers: RawHeaders) -> dict[str, object]:
    """The gateway's own headers as JSON fields: `x-locus-stand-in` becomes `stand_in`; numbers and booleans get their types."""
    texts = {
        name.decode().removeprefix(PREFIX).replace("-", "_"): value.decode()
        for name, value in headers
        if name.startswith(PREFIX.encode())
    }
    return {name: _VALUES.get(name, str)(value) for name, value in texts.items()}


def _overhead(seconds: float) -> tuple[bytes, bytes]:
    return b"x-locus-overhead-ms", b"%.2f" % (seconds * 1000)
