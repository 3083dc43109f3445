"""Do two deployments serve one model? Compared by their answers to the same probes, asked now.

For each model, one deployment is asked twice as many probes as are needed. Those that tell its model from the nearest other ones
are asked again, of it and of the deployments that it is compared with: the others of its model, and one of the nearest other
model of the portfolio.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp

import numpy as np

from gateway.config.price import Price
from gateway.deployments.live import LiveDeployment, LiveModel
from gateway.drift.asked import Asked
from gateway.drift.asker import CannotAsk
from gateway.drift.baseline import CANDIDATES, spread
from gateway.drift.course import AskProbe
from gateway.drift.neighbors import embedded, neighbors_scores
from router.drift.agreement import SURE, Agreement, agreement
from router.drift.probe_choice import telling_probes
from router.errors import ArtifactError
from router.model.serving import Router
from router.probes.probe import Probe

FEWEST = 8  # probes with a grade from both sides


@dataclass(frozen=True, slots=True)
class Compared:
    """Two deployments.

    Attributes:
        models: their models.
        deployments: their ids.
        agreement: None if it could not be measured.
        prices: of the deployments; None where it is not known.
        reason: why it could not be measured.
    """

    models: tuple[str, str]
    deployments: tuple[str, str]
    agreement: Agreement | None
    prices: tuple[Price | None, Price | None] = (None, None)
    reason: str = ""

    @property
    def verdict(self) -> str:
        """same, different or unclear."""
        if self.agreement is None or abs(self.agreement.log_odds) < SURE:
            return "unclear"
        return "same" if self.agreement.log_odds > 0 else "different"

    def fields(self) -> dict[str, object]:
        """As JSON has them."""
        found = self.agreement
        return {
            "models": self.models,
            "deployments": self.deployments,
            "verdict": self.verdict,
            "probes": 0 if found is None else found.probes,
            "differing": 0 if found is None else found.differing,
            "p_same": None if found is None else 1 / (1 + exp(-max(min(found.log_odds, 500), -500))),
            "prices": [None if price is None else price.stated for price in self.prices],
            "reason": self.reason,
        }


@dataclass
class LiveDuplicates:
    """Compares deployments.

    Args:
        probes: that can be graded without a model.
        ask: asks one; raises CannotAsk.
        count: number of probes for each comparison.
        asked: called after each probe.
    """

    router: Router
    probes: Sequence[Probe]
    ask: AskProbe
    count: int
    asked: Callable[[], None] = field(default=lambda: None)

    def pairs(self, models: Sequence[LiveModel]) -> Iterator[tuple[LiveModel, list[tuple[LiveModel, LiveDeployment]]]]:
        """Each model with the deployments that its first one is compared with; no two models twice.

        A deployment without its key is left out.
        """
        paired: set[frozenset[str]] = set()
        usable = {model.name: [live for live in model.deployments if live.spec.missing_key is None] for model in models}
        for model in models:
            if not usable[model.name]:
                continue
            others = [(model, live) for live in usable[model.name][1:]]
            nearest = self._nearest(model, [one for one in models if one is not model and usable[one.name]])
            if nearest is not None and (pair := frozenset((model.name, nearest.name))) not in paired:
                paired.add(pair)
                others.append((nearest, usable[nearest.name][0]))
            if others:
                yield model, others

    async def compare(self, model: LiveModel, others: Sequence[tuple[LiveModel, LiveDeployment]]) -> list[Compared]:
        """Compares the first usable deployment of a model with others."""
        first = next(live for live in model.deployments if live.spec.missing_key is None)
        ends = [((model.name, other.name), (first.spec.id, live.spec.id)) for other, live in others]
        prices = [(first.spec.price, live.spec.price) for _, live in others]
        try:
            chosen, once, rate = await self._choose(model, first)
            again = await self._all(model, first, chosen)
        except CannotAsk as failure:
            return [Compared(*end, None, price, str(failure)) for end, price in zip(ends, prices, strict=True)]
        own = _both(once, again)
        found = []
        for (other, live), end, price in zip(others, ends, prices, strict=True):
            try:
                theirs = await self._all(other, live, chosen)
            except CannotAsk as failure:
                found.append(Compared(*end, None, price, f"{live.spec.id}: {failure}"))
                continue
            both = _both(once, theirs)
            if len(both) < FEWEST:
                found.append(Compared(*end, None, price, f"only {len(both)} probes have a grade from both"))
                continue
            measured = agreement(len(both), both.count(False), rate, len(own), own.count(False))
            found.append(Compared(*end, measured, price))
        return found

    def _nearest(self, model: LiveModel, others: Sequence[LiveModel]) -> LiveModel | None:
        """The other model that is nearest in the model space; None if that is not known."""
        placed = {one.name: one.spec.embedding for one in (model, *others) if one.spec.embedding is not None}
        if model.name not in placed or len(placed) < 2:
            return None
        space = self.router.space
        try:
            distances = {
                name: space.distance(placed[model.name], at) for name, at in placed.items() if name != model.name
            }
        except ArtifactError:
            return None
        nearest = min(distances, key=lambda name: (distances[name], name))
        return next(one for one in others if one.name == nearest)

    async def _choose(self, model: LiveModel, live: LiveDeployment) -> tuple[list[Probe], dict[str, bool], float]:
        """The probes to compare by, the deployment's outcomes, and how often the nearest other model is expected to differ.

        Raises:
            CannotAsk: they could not be asked, or too few could be graded.
        """
        rng = np.random.default_rng([*live.spec.id.encode()])
        wanted = spread([probe.kind for probe in self.probes], round(CANDIDATES * self.count), rng)
        candidates = [self.probes[i] for i in wanted]
        answers: list[Asked] = []
        outcomes = await self._all(model, live, candidates, answers)
        queries = {probe.id: probe.query for probe in candidates}
        embedding = await asyncio.to_thread(embedded, self.router, queries, answers, live.spec.known_as)
        if embedding is None or len(outcomes) < FEWEST:
            raise CannotAsk(f"{live.spec.id}: only {len(outcomes)} answers could be graded")
        near = await asyncio.to_thread(neighbors_scores, self.router, embedding, list(queries.values()))
        right = np.array([float(outcomes[p.id]) if p.id in outcomes else np.nan for p in candidates])
        chosen = telling_probes(right, near, self.count)
        rate = float(np.abs(right[chosen] - near[:, chosen]).mean(axis=1).min())
        return [candidates[i] for i in chosen.tolist()], outcomes, rate

    async def _all(
        self, model: LiveModel, live: LiveDeployment, probes: Sequence[Probe], answers: list[Asked] | None = None
    ) -> dict[str, bool]:
        """The outcome of each probe that could be graded.

        Args:
            answers: the answers are added to it.

        Raises:
            CannotAsk: one could not be asked.
        """
        found = {}
        for probe in probes:
            asked = (await self.ask(model, live, probe)).asked
            self.asked()
            if answers is not None:
                answers.append(asked)
            if asked.right is not None:
                found[probe.id] = asked.right
        return found


def _both(a: Mapping[str, bool], b: Mapping[str, bool]) -> list[bool]:
    """Whether the outcomes are equal, for each probe that both have."""
    return [a[probe] == b[probe] for probe in b if probe in a]
