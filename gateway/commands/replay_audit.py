"""The audit of `locus replay`: draws requests on which both policies differ, has both models asked, and estimates."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import click
import numpy as np

from gateway.commands.database import reading
from gateway.commands.replay_inputs import Inputs
from gateway.config.feedback import GraderEntry
from gateway.config.portfolio import Model, Portfolio
from gateway.core.json_types import objects_in
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.feedback.graded import Facts
from gateway.http.onboarding import probe_calls
from gateway.http.service import open_service
from gateway.record.needs import Needs, unpack_needs
from gateway.replay.audit_calls import Auditor, OverBudget, Pair
from gateway.replay.logged import stored
from gateway.replay.replay import Differing
from gateway.replay.report import Audit
from gateway.routing.placed_models import PlacedModels
from gateway.upstream.proxy import Proxies
from router.commands.terminal import progress_bar
from router.replay.audit import audited, plan
from router.replay.estimate import Estimate

NO_PROMPTS = (
    "no audit: the record holds the text of none of the requests on which both differ. `store_prompts: true` under `gateway` "
    "in the portfolio file stores the texts of requests from then on"
)


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What the command line asks for.

    Attributes:
        number: of pairs.
        usd: the most that the audit may cost.
        graders: what grades.
    """

    number: int
    usd: float
    graders: tuple[GraderEntry, ...]


def graders_of(known: Inputs, other: PlacedModels, judge: str | None) -> tuple[GraderEntry, ...]:
    """The graders of the portfolio file in force that have a checker, and the judge; without a judge, also those that judge.

    Raises:
        click.ClickException: there is no such judge, or nothing grades.
    """
    feedback = known.file.feedback
    listed = () if feedback is None else tuple(feedback.graders)
    if judge is None:
        if not listed:
            raise click.UsageError("--audit needs --judge MODEL, or graders in the portfolio file.")
        return listed
    if judge not in (names := [model.name for model in _models(known, other)]):
        raise click.BadParameter(f"there is no model {judge!r}; there are {', '.join(names)}", param_hint="--judge")
    return *(grader for grader in listed if grader.model is None), GraderEntry(
        name=f"--judge {judge}"[:64], model=judge
    )


def _models(known: Inputs, other: PlacedModels) -> tuple[Model, ...]:
    """Those of both portfolios; where both have a model of a name, that of the other one."""
    return tuple({model.name: model for model in (*known.file.models, *other.portfolio.models)}.values())


def audit(known: Inputs, other: PlacedModels, differing: Differing, count: int, options: AuditOptions) -> Audit:
    """Asks, grades and estimates. Ctrl-C ends the asking; what was graded until then counts.

    Args:
        other: the models of the other portfolio.
        count: of all requests that were replayed.

    Raises:
        click.ClickException: no text is stored.
    """
    models = _models(known, other)
    names = {model.name for model in models}
    at_hand = [i for i, has in enumerate(differing.prompts) if has and differing.logged[i] in names]
    if not at_hand:
        raise click.ClickException(NO_PROMPTS)
    difference, variance = (np.array(values)[at_hand] for values in (differing.difference, differing.variance))
    drawn = plan(difference, variance, options.number)
    rows = [at_hand[i] for i in drawn.drawn.tolist()]
    asked = asyncio.run(_ask(replace(known.file, models=models), _pairs(known, differing, rows), options))
    graded = np.array(asked.graded, np.float64)
    found = audited(len(at_hand), difference, drawn.strata, drawn.drawn[: len(graded)], graded)
    notes = [asked.note] if asked.note else []
    if found is None:
        notes.append("Too few pairs were graded for an estimate.")
    else:  # differing requests whose text is not stored are taken to be like the others
        share = len(differing.ids) / count
        found = Estimate(found.value * share, found.error * share)
    if len(at_hand) < len(differing.ids):
        notes.append(f"The texts of {len(at_hand):,} of {len(differing.ids):,} differing requests are stored.")
    number = int((~np.isnan(graded)).sum())
    return Audit(
        len(rows),
        len(graded),
        number,
        asked.usd,
        asked.graded_by,
        " ".join(notes),
        found,
        interrupted=asked.interrupted,
    )


def _pairs(known: Inputs, differing: Differing, rows: Sequence[int]) -> list[Pair]:
    with reading(known.location) as connection:
        found = stored(connection, [differing.ids[i] for i in rows])
    pairs = []
    for i in rows:
        row, score = found[differing.ids[i]], differing.scores[i]
        metadata = row.metadata or {}
        needs = unpack_needs(row.needs or {})
        facts = Facts(
            row.served,
            row.policy,
            row.key_name,
            tuple(row.tags or ()),
            metadata=metadata,
            may_see=partial(_may_see, needs),
        )
        messages = tuple(objects_in(row.prompt))
        pairs.append(Pair(row.request_id, messages, facts, differing.other[i], score if score == score else None))
    return pairs


def _may_see(needs: Needs, model: str) -> bool:
    """True if client and key allowed a model to have the request."""
    return (needs.models is None or model in needs.models) and model not in needs.exclude


@dataclass
class _Asked:
    """What the asking gave.

    Attributes:
        graded: differences in the order of the pairs, NaN where there is none.
        usd: what they cost.
        note: why it ended early.
    """

    graded: list[float] = field(default_factory=list)
    usd: float = 0.0
    graded_by: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    interrupted: bool = False


async def _ask(portfolio: Portfolio, pairs: Sequence[Pair], options: AuditOptions) -> _Asked:
    found = _Asked()
    async with open_service(portfolio.without_health_checks, proxies=Proxies(os.environ)) as service:
        service.failover.upstreams.prepare(service.in_force.portfolio)
        models = service.in_force.deployments.models
        auditor = Auditor(partial(probe_calls, service), models, options.graders, options.usd)
        found.graded_by = auditor.graded_by
        try:
            with progress_bar("audit", len(pairs)) as advance:
                for pair in pairs:
                    score = await auditor.grade(pair)
                    found.graded.append(float("nan") if score is None else score)
                    advance(len(found.graded), f"{auditor.spent_nusd / NUSD_PER_USD:.4f} USD")
        except OverBudget:
            found.note = f"It ended early: the next call could exceed {options.usd:g} USD, or has no known price."
        except asyncio.CancelledError:  # Ctrl-C; what was paid for is not thrown away
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            found.note, found.interrupted = "It was interrupted.", True
        found.usd = auditor.spent_nusd / NUSD_PER_USD
    return found
