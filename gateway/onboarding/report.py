"""What the answers of a model say: its accuracy by kind of question, the models that it resembles, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.model_versions.stored import ModelState
from gateway.onboarding.jobs import Job
from router.model.serving import Router
from router.model.space import Neighbor
from router.probes.probe import Probe

NEAREST = 5
FEW = 64  # graded answers, with fewer the report warns


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of question.

    Attributes:
        right: the sum of the scores of `graded` answers.
        p_correct: mean P(correct) of all probes of the kind, by the embedding.
        error: its mean standard error.
    """

    kind: str
    right: float
    graded: int
    p_correct: float
    error: float


@dataclass(frozen=True, slots=True)
class Report:
    """What an onboarding has found.

    Attributes:
        kinds: by name.
        nearest: the models of the space that answer most alike.
    """

    kinds: tuple[KindRow, ...]
    nearest: tuple[Neighbor, ...]


def report_of(router: Router, name: str, probes: Sequence[Probe], scores: Mapping[str, float]) -> Report:
    """The report of one model.

    Args:
        router: its space has the onboarded models too.
        name: of the model in that space.
        scores: of its answers, by the id of the probe.
    """
    q = router.encoder.encode([probe.query for probe in probes])
    predicted = router.scorer([name]).predict(q, graded=True)  # as the checkers grade
    p, errors = predicted.p_correct[:, 0], predicted.standard_error[:, 0]
    kinds = np.array([probe.main_kind for probe in probes])
    rows = []
    for kind in sorted(set(kinds.tolist())):
        of_kind = kinds == kind
        found = [scores[probe.id] for probe in probes if probe.main_kind == kind and probe.id in scores]
        rows.append(KindRow(kind, sum(found), len(found), float(p[of_kind].mean()), float(errors[of_kind].mean())))
    return Report(tuple(rows), tuple(router.neighbors(name, NEAREST)))


def next_step(job: Job, state: ModelState | None) -> str:
    """What the operator can do, in one sentence."""
    if job.state == "failed":
        return f"Correct that, then `locus onboard {job.model}` goes on; what was answered is not asked again."
    if job.state != "done":
        return f"`locus onboard {job.model}` goes on where it stopped."
    if state is not None and state.state == "shadow":
        return f"Too few answers to choose it by: `locus onboard {job.model}` with more --usd or --probes goes on."
    if state is not None and state.trial is not None:
        share, requests = state.trial.share, state.trial.requests
        return f"`auto` gives it at most {100 * share:g}% of the requests; after {requests} it is chosen as any other model."
    return "`auto` chooses it as any other model."
