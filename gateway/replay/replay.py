"""Replays logged requests: what another portfolio or policy would have chosen, and what that would have given."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from gateway.config.portfolio import Model
from gateway.core.usage import Usage
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.record.needs import Needs
from gateway.replay.decider import Decided, Decider, Predicted, predict_packed
from gateway.replay.logged import Log, LoggedRequest
from gateway.replay.reasons import Reason
from gateway.replay.replayable import Job, Replayable
from gateway.replay.report import Compared, Report
from gateway.replay.usual import Usual
from router.parallel import LOCAL, run_jobs
from router.replay.estimate import Mean
from router.replay.readout import Batch, ReadOut, Side
from router.replay.snips import measured, weighted

Floats = NDArray[np.float64]
FEWEST_JOBS = 8  # that other processes are started for
JOBS = 16  # whose requests are in memory at the same time
_OTHERS = ""  # the place of models without an embedding among the embeddings


@dataclass
class Differing:
    """The requests on which the policies differ, for an audit: one entry for each, in the order of the log.

    Attributes:
        ids: of the rows.
        logged, other: names of the models.
        difference, variance: predicted, as `router.replay.audit.plan` needs them.
        scores: of the logged answers; NaN if not graded.
        prompts: the text of the request is stored.
    """

    ids: list[int] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)
    difference: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    prompts: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class _Rows:
    """Requests that both deciders have decided.

    Attributes:
        other: index of the other policy's model.
        p, error: of the logged and the other model, (2, n).
        places: of both models' embeddings, (2, n).
    """

    rows: list[LoggedRequest]
    other: NDArray[np.int64]
    p: Floats
    error: Floats
    places: NDArray[np.int64]
    kinds: NDArray[np.int64]


@dataclass(frozen=True)
class Replayed:
    """What one alternative would have given.

    Attributes:
        differing: the requests on which it chooses another model than the one that answered; empty if they were not noted.
    """

    report: Report
    differing: Differing


def replay(
    log: Log,
    present: Decider,
    others: Sequence[Decider],
    checkpoint: str,
    since: float | None = None,
    until: float | None = None,
    *,
    engine: str = LOCAL,
    for_audit: bool = False,
) -> list[Replayed]:
    """Replays a log with alternatives, each in turn for each part of the log. Deciders with the same tables predict once.

    Args:
        log: the requests; they are read twice.
        present: the portfolio in force with its policies, by which the models that answered are predicted.
        others: what is tried instead.
        checkpoint: the id of the one that all use.
        since, until: the period of the log, for the reports.
        engine: what predicts; see `router.parallel`. The reports do not depend on it.
        for_audit: note the requests on which each differs.

    Raises:
        EngineError, MissingPackage: see `router.parallel.run_jobs`.
    """
    usual = Usual(log)
    runs = [_Replay(present, other, usual, for_audit=for_audit) for other in others]
    tables = list({id(one.tables): one.tables for one in (present, *others)}.values())
    read = Replayable(log, checkpoint)
    jobs = read.jobs()
    while some := list(islice(jobs, JOBS)):
        calls = [(of_models, *job.packed) for job in some for of_models in tables]
        predicted = iter(list(run_jobs(predict_packed, calls, len(calls), engine, fewest=FEWEST_JOBS)))
        for job in some:
            by_tables = {id(of_models): next(predicted) for of_models in tables}
            decided = present.decide_predicted(by_tables[id(present.tables)], job.needs, job.policies)
            for run in runs:
                run.add(job, decided, by_tables[id(run.other.tables)])
    return [Replayed(run.report(read.requests, read.reasons, since, until), run.differing) for run in runs]


class _Replay:
    """Sums over jobs, for one alternative.

    Attributes:
        other: what is tried.
        differing: see `Replayed`.
    """

    def __init__(self, present: Decider, other: Decider, usual: Usual, *, for_audit: bool) -> None:
        self._for_audit = for_audit
        self._present, self.other, self._usual = present, other, usual
        names = [*sorted(present.embeddings | other.embeddings), _OTHERS]
        self._places = {name: i for i, name in enumerate(names)}
        self._index = {name: i for i, name in enumerate(present.names)}
        self._readout = ReadOut(len(names), max(present.kinds, other.kinds))
        self._reasons: Counter[Reason] = Counter()
        self._usd, self._ms = (Mean(), Mean(), Mean()), (Mean(), Mean(), Mean())  # logged, other, difference
        self._shares: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
        self._graded: list[Floats] = []
        self._same = 0
        self.differing = Differing()

    def add(self, job: Job, present: Decided, predicted: Predicted) -> None:
        """Adds requests.

        Args:
            present: the decisions of the portfolio in force.
            predicted: by the tables of `other`.
        """
        other = present
        if self.other is not self._present:
            other = self.other.decide_predicted(predicted, job.needs, job.policies)
        self._add(self._decided(job, present, other))

    def _decided(self, job: Job, present: Decided, other: Decided) -> _Rows:
        rows, needs = job.rows, job.needs
        p, error, place = self._logged(rows, needs, present)
        chosen = np.maximum(other.chosen, 0)
        at = np.arange(len(rows))
        places = [
            self._places[self.other.embedding(int(m), one.reasoning) or _OTHERS]
            for m, one in zip(chosen, needs, strict=True)
        ]
        both_p = np.array([p, other.p_correct[at, chosen]], np.float64)
        both_errors = np.array([error, other.standard_error[at, chosen]], np.float64)
        unknown, unable = np.isnan(both_p[0]), other.chosen < 0
        self._reasons["unpredicted"] += int((unknown & ~unable).sum())
        self._reasons["none_able"] += int(unable.sum())
        kept = np.flatnonzero(~unknown & ~unable)
        names = self._present.names
        same = [present.chosen[i] >= 0 and names[present.chosen[i]] == rows[i].chosen for i in kept]
        self._same += sum(map(bool, same))
        return _Rows(
            [rows[i] for i in kept],
            chosen[kept],
            both_p[:, kept],
            both_errors[:, kept],
            np.array([place, places], np.int64)[:, kept],
            other.kinds[kept],
        )

    def _logged(
        self, rows: Sequence[LoggedRequest], needs: Sequence[Needs], present: Decided
    ) -> tuple[list[float], list[float], list[int]]:
        """P(correct), standard error and place of the models that answered.

        A model that the portfolio no longer has, or has no embedding of, counts by what was predicted then, with the usual error.
        """
        p, errors, places = [], [], []
        usual = np.nanmean(present.standard_error, axis=1, where=~np.isnan(present.standard_error)).tolist()
        for i, (row, one) in enumerate(zip(rows, needs, strict=True)):
            model = self._index.get(row.served or "")
            name = None if model is None else self._present.embedding(model, one.reasoning)
            if model is not None and name is not None:
                p.append(float(present.p_correct[i, model]))
                errors.append(float(present.standard_error[i, model]))
            else:
                then = float("nan") if row.p_correct is None else row.p_correct - (row.predicted_loss or 0.0)
                p.append(then)
                errors.append(usual[i])
            places.append(self._places[name or _OTHERS])
        return p, errors, places

    def _add(self, decided: _Rows) -> None:
        rows, usual = decided.rows, self._usual
        models = [self.other.portfolio.models[i] for i in decided.other.tolist()]
        sides = [Side(*side) for side in zip(decided.places, decided.p, decided.error, strict=True)]
        self._readout.add(Batch(decided.kinds, *sides))
        for row, model in zip(rows, models, strict=True):
            self._shares[0][row.served or ""] += 1
            self._shares[1][model.name] += 1
        pairs = list(zip(rows, models, strict=True))
        _compare(self._usd, [_nan(row.cost_nusd, NUSD_PER_USD) for row in rows], [_usd(*pair, usual) for pair in pairs])
        _compare(self._ms, [_nan(row.latency_ms) for row in rows], [_ms(*pair, usual) for pair in pairs])
        agree = np.array([row.served == model.name for row, model in pairs], np.bool_)
        propensity = np.array([row.propensity or 1.0 for row in rows])
        score = np.array([_nan(row.score) for row in rows])
        self._graded.append(np.array([agree, propensity, score, *decided.p]))
        if self._for_audit:
            self._note_differing(decided, models)

    def _note_differing(self, decided: _Rows, models: Sequence[Model]) -> None:
        rows, d, (p, q) = decided.rows, self.differing, decided.p
        for i in np.flatnonzero(decided.places[0] != decided.places[1]).tolist():
            d.ids.append(rows[i].id)
            d.logged.append(rows[i].served or "")
            d.other.append(models[i].name)
            d.difference.append(float(q[i] - p[i]))
            d.variance.append(float(p[i] * (1 - p[i]) + q[i] * (1 - q[i])))
            d.scores.append(_nan(rows[i].score))
            d.prompts.append(rows[i].has_prompt)

    def report(self, requests: int, reasons: Counter[Reason], since: float | None, until: float | None) -> Report:
        """The report on all requests that were added.

        Args:
            requests: all of the period.
            reasons: of those that could not be added.
        """
        count = self._readout.count
        graded = np.concatenate(self._graded, axis=1) if self._graded else np.zeros((5, 0))
        agree, propensity, score, *p = graded
        found = weighted(agree.astype(np.bool_), propensity, score, *p)
        readout = Compared(None, None, None)
        if count:
            readout = Compared(self._readout.logged(), self._readout.other(), self._readout.difference())
        names = sorted({**self._shares[0], **self._shares[1]}, key=lambda name: -self._shares[0][name])
        return Report(
            since,
            until,
            requests,
            count,
            +(self._reasons + reasons),
            self._same / count if count else 0.0,
            self._readout.differing / count if count else 0.0,
            readout,
            found.overlap,
            found.uncovered,
            found.snips,
            found.doubly_robust,
            measured(score),
            Compared(*(mean.estimate() for mean in self._usd)),
            Compared(*(mean.estimate() for mean in self._ms)),
            self._usd[2].unknown,
            self._ms[2].unknown,
            {name: (self._shares[0][name] / count, self._shares[1][name] / count) for name in names},
        )


def _compare(means: tuple[Mean, Mean, Mean], logged: Sequence[float], other: Sequence[float]) -> None:
    """Adds values to the means of both sides and of their difference, where both are known."""
    one, two = np.array(logged), np.array(other)
    difference = two - one
    known = ~np.isnan(difference)
    for mean, values in zip(means, (one, two, difference), strict=True):
        mean.add(np.where(known, values, np.nan))


def _nan(value: float | None, unit: float = 1.0) -> float:
    return float("nan") if value is None else value / unit


def _usd(row: LoggedRequest, model: Model, usual: Usual) -> float:
    """What a request would have cost at a model: its tokens, with an answer as long as that model's answers usually are."""
    if model.name == row.served:
        return _nan(row.cost_nusd, NUSD_PER_USD)
    if model.price is None or row.prompt_tokens is None or row.completion_tokens is None:
        return float("nan")
    completion = round(row.completion_tokens * usual.longer(model.name, row.served or ""))
    return model.price.cost_nusd(Usage(row.prompt_tokens, completion, row.cached_tokens or 0)) / NUSD_PER_USD


def _ms(row: LoggedRequest, model: Model, usual: Usual) -> float:
    """How long a request would have taken at a model: its own time, and what that model's answers usually take more."""
    if row.latency_ms is None or model.name == row.served:
        return _nan(row.latency_ms)
    return row.latency_ms + usual.ms(model.name) - usual.ms(row.served or "")
