"""The audit of `locus replay`: draws requests on which both policies differ, has both models asked, and estimates."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click
import numpy as np

from gateway.commands.database import reading
from gateway.commands.replay_inputs import Inputs
from gateway.config.portfolio import Portfolio
from gateway.core.json_types import objects_in
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.http.onboarding import probe_calls
from gateway.http.service import open_service
from gateway.replay.audit_calls import Auditor, OverBudget, Pair
from gateway.replay.logged import prompts
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
        judge: name of the model that grades.
    """

    number: int
    usd: float
    judge: str


def audit(known: Inputs, other: PlacedModels, differing: Differing, count: int, options: AuditOptions) -> Audit:
    """Asks, grades and estimates.

    Args:
        other: the models of the other portfolio.
        count: of all requests that were replayed.

    Raises:
        click.ClickException: no text is stored, or there is no such judge.
    """
    models = {model.name: model for model in (*known.file.models, *other.portfolio.models)}
    if options.judge not in models:
        text = f"there is no model {options.judge!r}; there are {', '.join(models)}"
        raise click.BadParameter(text, param_hint="--judge")
    stored = [i for i, has in enumerate(differing.prompts) if has and differing.logged[i] in models]
    if not stored:
        raise click.ClickException(NO_PROMPTS)
    difference, variance = (np.array(values)[stored] for values in (differing.difference, differing.variance))
    drawn = plan(difference, variance, options.number)
    rows = [stored[i] for i in drawn.drawn.tolist()]
    graded, spent_usd, note = asyncio.run(
        _ask(replace(known.file, models=tuple(models.values())), _pairs(known, differing, rows), options)
    )
    found = audited(len(stored), difference, drawn.strata, drawn.drawn[: len(graded)], np.array(graded, np.float64))
    notes = [note] if note else []
    if found is None:
        notes.append("Too few pairs were graded for an estimate.")
    else:  # differing requests whose text is not stored are taken to be like the others
        share = len(differing.ids) / count
        found = Estimate(found.value * share, found.error * share)
    if len(stored) < len(differing.ids):
        notes.append(f"The texts of {len(stored):,} of {len(differing.ids):,} differing requests are stored.")
    number = sum(score == score for score in graded)
    return Audit(len(rows), len(graded), number, spent_usd, " ".join(notes), found)


def _pairs(known: Inputs, differing: Differing, rows: Sequence[int]) -> list[Pair]:
    with reading(known.location) as connection:
        texts = prompts(connection, [differing.ids[i] for i in rows])
    pairs = []
    for i in rows:
        score = differing.scores[i]
        messages = tuple(objects_in(texts.get(differing.ids[i])))
        pairs.append(Pair(messages, differing.logged[i], differing.other[i], score if score == score else None))
    return pairs


async def _ask(portfolio: Portfolio, pairs: Sequence[Pair], options: AuditOptions) -> tuple[list[float], float, str]:
    """The graded differences, NaN where there is none; what they cost in USD; why the asking ended early."""
    graded: list[float] = []
    note = ""
    async with open_service(portfolio.without_health_checks, proxies=Proxies(os.environ)) as service:
        service.failover.upstreams.prepare(service.in_force.portfolio)
        models = service.in_force.deployments.models
        auditor = Auditor(probe_calls(service), models, options.judge, options.usd)
        with progress_bar("audit", len(pairs)) as advance:
            for pair in pairs:
                try:
                    score = await auditor.grade(pair)
                except OverBudget:
                    note = f"It ended early: the next call could exceed {options.usd:g} USD, or has no known price."
                    break
                graded.append(float("nan") if score is None else score)
                advance(len(graded), f"{auditor.spent_nusd / NUSD_PER_USD:.4f} USD")
    return graded, auditor.spent_nusd / NUSD_PER_USD, note
