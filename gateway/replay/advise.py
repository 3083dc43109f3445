"""Advice on a portfolio: what adding, removing or replacing a model would give on the logged requests. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

import numpy as np

from gateway.config.litellm_table import all_models, model_facts
from gateway.config.portfolio import Deployment, Model
from gateway.config.price import Price
from gateway.core.json_types import JsonObject
from gateway.replay.decider import Decided, Decider
from gateway.replay.sample import Sample
from gateway.routing.placed_models import PlacedModels
from gateway.routing.standing import Standing
from router.model.space import ModelSpace
from router.parallel import LOCAL
from router.replay.advice import Advisor, Change, Traffic

FEWEST = 200  # requests; below, chance in single answers hides what a change gives
KNOWN_WINDOW = 8_192  # where the table states no context window


@dataclass(frozen=True, slots=True)
class Named:
    """A change by the names of its models.

    Attributes:
        added, removed: names; None: none. A candidate has LiteLLM's name.
        price: of the added model.
    """

    change: Change
    added: str | None
    removed: str | None
    price: Price | None

    def as_json(self) -> JsonObject:
        """Gains in shares of the requests and in USD of one request."""
        price = None if self.price is None else {"input": self.price.rates.input, "output": self.price.rates.output}
        return {
            "kind": self.change.kind,
            "add": self.added,
            "remove": self.removed,
            "usd_per_mtok": price,
            "accuracy_gain": self.change.accuracy.value,
            "accuracy_gain_in_nine_of_ten": self.change.accuracy.sure,
            "usd_saved_at_equal_accuracy": self.change.usd,
            "cost_weight": self.change.cost_weight,
            "share": self.change.share,
        }


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found.

    Attributes:
        requests: that were looked at; `of`: that could be.
        candidates: number of models that could be added.
        accuracy, usd: of the portfolio now, by the predictions and expected prices: of one request.
        helpful: changes that gain accuracy at equal cost in nine of ten draws, the best first.
        removals: of each model that the portfolio could lose.
    """

    requests: int
    of: int
    candidates: int
    accuracy: float
    usd: float
    helpful: tuple[Named, ...]
    removals: tuple[Named, ...]

    @property
    def enough(self) -> bool:
        """True if there were enough requests."""
        return self.requests >= FEWEST

    def as_json(self) -> JsonObject:
        """The advice as JSON values."""
        return {
            "requests": self.requests,
            "of": self.of,
            "enough": self.enough,
            "needed": FEWEST,
            "candidates": self.candidates,
            "accuracy": self.accuracy,
            "usd": self.usd,
            "advice": [one.as_json() for one in self.helpful],
            "removals": [one.as_json() for one in self.removals],
        }


def candidates(space: ModelSpace, taken: Sequence[str]) -> list[Model]:
    """The models of the space that LiteLLM's table has a price for, each at the cheapest of its names there.

    Args:
        taken: names in the space that the portfolio has already.
    """
    cheapest: dict[str, tuple[float, int, Model]] = {}
    for name, entry in all_models().items():
        facts = model_facts(name) if entry.get("mode") in ("chat", "responses") else None
        if facts is None or facts.price is None or len(families := space.families.find(name)) != 1:
            continue
        embedding = families[0].variant(families[0].setting)
        rank = facts.price.rates.input + facts.price.rates.output, len(name)
        if embedding in taken or rank >= cheapest.get(embedding, (inf, 0))[:2]:
            continue
        one = Deployment(f"{name}/0", name, "litellm", name, price=facts.price, known_as=name)
        window = facts.context_window or KNOWN_WINDOW
        model = Model(name, (one,), embedding, facts.price, window, capabilities=facts.capabilities)
        cheapest[embedding] = *rank, model
    return sorted((model for *_, model in cheapest.values()), key=lambda model: model.name)


def advise(found: Sample, placed: PlacedModels, engine: str = LOCAL) -> Advice:
    """Looks for changes that help.

    Args:
        found: requests of the log.
        placed: the portfolio in force.
        engine: what weighs the changes; see `router.parallel`. The advice does not depend on it.

    Raises:
        EngineError, MissingPackage: see `router.parallel.run_jobs`.
    """
    present = placed.portfolio.models
    if len(found.asked.needs) < FEWEST:
        return Advice(len(found.asked.needs), found.of, 0, 0.0, 0.0, (), ())
    taken = [model.embedding for model in present if model.embedding is not None]
    added = candidates(placed.router.space, taken)
    usual = Decider(placed).decide(found.asked)
    served = usual.chosen >= 0
    usd = float(np.where(served, usual.price_usd[np.arange(len(served)), usual.chosen], 0).mean())
    models = (*present, *added)
    wider = replace(
        placed,
        portfolio=replace(placed.portfolio, models=models),
        standings={**placed.standings, **{model.name: Standing() for model in added}},
    )
    usable = [i for i, model in enumerate(models) if model.embedding is not None and model.price is not None]
    advisor = Advisor(
        _traffic(Decider(wider).decide(found.asked)),
        [i for i in usable if i < len(present) and not placed.standings[models[i].name].never_chosen],
        usd=usd,
    )
    added_models = [i for i in usable if i >= len(present)]
    changes = advisor.changes(added_models, engine=engine) if advisor.present else []
    named = [_named(change, models) for change in changes]
    return Advice(
        len(found.asked.needs),
        found.of,
        len(added),
        advisor.now.accuracy,
        advisor.now.usd,
        tuple(sorted((one for one in named if one.change.helps), key=lambda one: -one.change.accuracy.sure)),
        tuple(one for one in named if one.change.kind == "remove"),
    )


def _traffic(decided: Decided) -> Traffic:
    able = decided.able & ~np.isnan(decided.p_correct)
    return Traffic(decided.p_correct, decided.standard_error, decided.price_usd, able, decided.kinds)


def _named(change: Change, models: Sequence[Model]) -> Named:
    removed = None if change.removed is None else models[change.removed].name
    if change.added is None:
        return Named(change, None, removed, None)
    added = models[change.added]
    return Named(change, added.name, removed, added.price)
