"""What choosing by request has saved or gained, beside one model for all requests, and what the exact cache has saved."""

from dataclasses import dataclass

import numpy as np

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.replay.decider import Decider
from gateway.replay.logged import Log
from gateway.replay.replay import replay
from gateway.replay.report import Report
from gateway.replay.sample import only, sample
from gateway.routing.placed_models import PlacedModels

NEARLY_ALL = 0.95  # of the requests that a single model must be able to serve, to be compared


@dataclass(frozen=True, slots=True)
class Beside:
    """The logged requests beside one model for all of them.

    Attributes:
        what: "best" by P(correct), or "dearest".
        report: the replay with this model alone.
    """

    what: str
    model: str
    report: Report

    def as_json(self) -> JsonObject:
        """The replay, and the model it is about."""
        return {"beside": self.what, "model": self.model, "replay": self.report.as_json()}


@dataclass(frozen=True, slots=True)
class Savings:
    """What was saved.

    Attributes:
        beside: one or two comparisons; none if no request can be replayed.
        cache_hits: requests that the exact cache answered.
        cache_usd: what their answers had cost, by the record; those of an unknown price are not in it, and counted in
            `cache_unpriced`.
    """

    beside: tuple[Beside, ...]
    cache_hits: int
    cache_usd: float
    cache_unpriced: int

    def as_json(self) -> JsonObject:
        """The savings as JSON values."""
        cache = {"hits": self.cache_hits, "usd": self.cache_usd, "unknown": self.cache_unpriced}
        return {"beside": [one.as_json() for one in self.beside], "cache": cache}


def savings(log: Log, placed: PlacedModels, checkpoint: str, since: float | None, until: float | None) -> Savings:
    """Compares a log with the best and the dearest model of the portfolio.

    Args:
        placed: the portfolio in force.
        checkpoint: the id of the one in use.
    """
    present = Decider(placed)
    singles = _singles(log, placed, present, checkpoint)
    others = [Decider(only(placed, model)) for model in singles.values()]
    found = replay(log, present, others, checkpoint, since, until) if others else []
    beside = [Beside(*single, one.report) for single, one in zip(singles.items(), found, strict=True)]
    return Savings(tuple(beside), *_cache(log))


def _singles(log: Log, placed: PlacedModels, present: Decider, checkpoint: str) -> dict[str, str]:
    """The best and the dearest of the models that can serve nearly all requests, and whose price is known."""
    asked = sample(log, checkpoint).asked
    if not asked.needs:
        return {}
    decided = present.decide(asked)
    able = decided.able & ~np.isnan(decided.p_correct)
    usable = [
        i
        for i, model in enumerate(placed.portfolio.models)
        if model.price is not None and able[:, i].mean() >= NEARLY_ALL
    ]
    if not usable:
        return {}
    p = {i: float(decided.p_correct[able[:, i], i].mean()) for i in usable}
    usd = {i: float(decided.price_usd[able[:, i], i].mean()) for i in usable}
    best, dearest = max(usable, key=lambda i: p[i]), max(usable, key=lambda i: usd[i])
    found = {"best": present.names[best]}
    return found if best == dearest else found | {"dearest": present.names[dearest]}


def _cache(log: Log) -> tuple[int, float, int]:
    """Hits of the exact cache, what their answers had cost in USD, and of how many that is not known."""
    saved = [row.saved_nusd for chunk in log.requests() for row in chunk if row.cache == "hit"]
    known = [nusd for nusd in saved if nusd is not None]
    return len(saved), sum(known) / NUSD_PER_USD, len(saved) - len(known)
