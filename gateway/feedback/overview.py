"""What outcomes weigh, and what became of the last refinement of each model, for people."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gateway.config.feedback import FeedbackEntry
from gateway.config.portfolio import Portfolio
from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.feedback.base import standing_of
from gateway.feedback.outcomes import Outcomes
from gateway.feedback.refinement import SourceWeight, weigh
from gateway.feedback.refinement_job import MOST_USED, measured
from gateway.feedback.reports import LEAST_HELD_OUT, Reports
from gateway.model_versions.model_versions import ModelVersions
from gateway.model_versions.stored import Version
from gateway.routing.model_embeddings import find_embedding
from router.model.serving import Router


@dataclass(frozen=True, slots=True)
class ModelOverview:
    """One model.

    Attributes:
        sources: what each source says of it, by its name; none if it has no outcome that is usable.
        last: its last refinement.
        gone_back: it is not refined, because the operator went back to an earlier version.
        known: onboarding or the model spaces say something of it, which outcomes can refine.
        exact: number of its exact outcomes; with fewer than `needed` nothing goes live.
    """

    needed: ClassVar[int] = LEAST_HELD_OUT

    sources: Mapping[str, SourceWeight]
    last: Version | None
    gone_back: bool = False
    known: bool = True
    exact: int = 0


async def overview(
    portfolio: Portfolio, router: Router, settings: FeedbackEntry, outcomes: Outcomes, versions: ModelVersions
) -> dict[str, ModelOverview]:
    """The models of a portfolio that have outcomes.

    Args:
        router: of its checkpoint and model spaces.

    Raises:
        StoreUnavailable: the database cannot be used.
    """
    found = {}
    rates = await measured(outcomes, settings)
    written = await outcomes.written()
    for model in portfolio.models:
        if model.name not in written:
            continue
        history = await versions.history(model.name)
        last = next((v for v in history if v.source == "refinement" and v.deployment is None), None)
        standing = standing_of(history, router, find_embedding(model, router.space).name)
        if standing is None:
            found[model.name] = ModelOverview({}, last, known=False)
            continue
        rows = await outcomes.of_model(model.name, router.checkpoint[:CHECKPOINT_CHARS], MOST_USED)
        reports = Reports.of(rows, router.encoder.dim).counting()
        weighed = await asyncio.to_thread(weigh, router, standing.base, reports, rates, settings, time.time())
        by_name = {source.source: source for source in weighed.sources}
        exact = sum(source.outcomes for source in weighed.sources if source.kind == "exact")
        found[model.name] = ModelOverview(by_name, last, standing.gone_back, exact=exact)
    return found
