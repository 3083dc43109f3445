"""Advice: what adding, removing or replacing a model of a portfolio would give on given requests.

Portfolios are compared at equal cost, by accuracy, and at equal accuracy, by cost. Each is routed by cost weight, at the weight
that keeps the present cost or accuracy. The best of many predictions is optimistic, so P(correct) is drawn from its standard
errors, and the answers to these requests by chance: a change counts only by the gain that it reaches in nine of ten draws. So few
requests, or a model with few evaluations, give no advice.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from router.model.policy import Policy, choose_each
from router.parallel import LOCAL, run_jobs

DRAWS = 20
QUANTILE = 0.1  # of the draws: the gain that is reached in nine of ten
COST_WEIGHTS = 1_023  # that are tried: neighbours differ by some 2%
ROUNDING = 1e-9  # relative, of a mean of prices
CHANGES_OF_A_JOB = 16  # with 3,000 requests about half a second of work
FEWEST_JOBS = 8  # that other processes are started for
_BY_WEIGHT = Policy("advice")
Floats = NDArray[np.float64]
_Pair = tuple[int | None, int | None]  # the added and the removed model


@dataclass(frozen=True)
class Traffic:
    """Requests and all models that a portfolio could have. n requests, M models, K kinds.

    Attributes:
        p_correct, standard_error: (n, M), float32.
        price_usd: expected price of each request at each model, (n, M), float64.
        able: the model can serve the request, (n, M), bool.
        kinds: of the requests, (n,), int64; the errors are equal within a kind, as in `router.replay.readout.Batch`.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: Floats
    able: NDArray[np.bool_]
    kinds: NDArray[np.int64]

    def of(self, models: NDArray[np.int64]) -> "Traffic":
        """The same requests and these models alone, in this order."""
        return Traffic(
            self.p_correct[:, models],
            self.standard_error[:, models],
            self.price_usd[:, models],
            self.able[:, models],
            self.kinds,
        )


@dataclass(frozen=True)
class Routed:
    """Requests routed among some models.

    Attributes:
        chosen: (n,), int64; -1: no model is able.
        cost_weight: 1/USD.
        accuracy: mean P(correct) of the chosen models; a request that no model can serve counts as 0.
        usd: mean price of a request.
    """

    chosen: NDArray[np.int64]
    cost_weight: float
    accuracy: float
    usd: float


@dataclass(frozen=True, slots=True)
class Gain:
    """A gain by the predictions, and what nine of ten draws reach. The unit is that of the number.

    Attributes:
        value: by the predictions themselves.
        sure: the 10% quantile over draws.
    """

    value: float
    sure: float


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the portfolio and what it gives.

    Attributes:
        added, removed: indexes of models; None: none.
        accuracy: gained at no higher cost, as a share of the requests.
        usd: saved per request at no lower accuracy: the lower accuracy is excluded in nine of ten draws. 0 if nothing is saved.
        cost_weight: the one that keeps the present cost with the changed portfolio, 1/USD.
        share: of the requests that the added model gets, at equal cost.
    """

    kind: Literal["add", "remove", "replace"]
    added: int | None
    removed: int | None
    accuracy: Gain
    usd: float
    cost_weight: float
    share: float

    @property
    def helps(self) -> bool:
        """True if the change gains accuracy in nine of ten draws."""
        return self.accuracy.sure > 0


class Advisor:
    """Compares portfolios on requests.

    Args:
        traffic: the requests.
        present: indexes of the portfolio's models.
        cost_weight: by which the portfolio is routed, 1/USD; None: at the weight that costs `usd`.
        usd: what the portfolio costs per request, by the same expected prices; only without a cost weight.

    Attributes:
        present: the models of the portfolio.
        now: the requests, routed among them.
    """

    def __init__(
        self,
        traffic: Traffic,
        present: Sequence[int],
        cost_weight: float | None = None,
        usd: float = np.inf,
        seed: int = 0,
    ) -> None:
        self._traffic = traffic
        self.present = tuple(present)
        kinds = int(traffic.kinds.max(initial=0)) + 1
        shape = (DRAWS, traffic.p_correct.shape[1], kinds)
        self._draws: Floats = np.random.default_rng(seed).standard_normal(shape)
        self._chances: Floats = np.random.default_rng([seed, 1]).standard_normal(DRAWS)
        self._weights = _cost_weights(traffic.price_usd, cost_weight or 0.0)
        self.now = self.at_cost(self.present, usd) if cost_weight is None else self.routed(self.present, cost_weight)

    def routed(self, models: Iterable[int], cost_weight: float) -> Routed:
        """The requests, routed among these models at a cost weight."""
        world = self._traffic
        index = np.array(sorted(models), np.int64)
        weights = np.full(len(world.kinds), cost_weight)
        of_models = (world.p_correct[:, index], world.standard_error[:, index], world.price_usd[:, index])
        chosen = choose_each(*of_models, world.able[:, index], _BY_WEIGHT, weights)
        models_chosen = np.where(chosen >= 0, index[chosen], -1)
        served = np.flatnonzero(chosen >= 0)
        p = world.p_correct[served, models_chosen[served]].astype(np.float64)
        usd = world.price_usd[served, models_chosen[served]]
        count = max(1, len(chosen))
        return Routed(models_chosen, cost_weight, float(p.sum()) / count, float(usd.sum()) / count)

    def at_cost(self, models: Sequence[int], usd: float) -> Routed:
        """The requests, routed at the smallest cost weight that costs at most so much; if none does, at the largest."""
        found = self._border(models, lambda routed: routed.usd > usd * (1 + ROUNDING))
        return self.routed(models, self._weights[min(found, len(self._weights) - 1)])

    def changes(self, candidates: Sequence[int], *, best: int = 5, engine: str = LOCAL) -> list[Change]:
        """Every addition of a candidate, every removal, and the replacement of each model by each of the `best` additions.

        Args:
            engine: what computes; see `router.parallel`. The changes do not depend on it.

        Raises:
            EngineError, MissingPackage: see `router.parallel.run_jobs`.
        """
        added = self._weighed([(add, None) for add in candidates], engine)
        if len(self.present) < 2:
            return added
        good = sorted(added, key=lambda change: -change.accuracy.sure)[:best]
        others = [(None, remove) for remove in self.present]
        return added + self._weighed([*others, *((a.added, remove) for a in good for remove in self.present)], engine)

    def _weighed(self, pairs: Sequence[_Pair], engine: str) -> list[Change]:
        """`change` for each pair. A job gets the columns that its changes need."""
        jobs = [pairs[i : i + CHANGES_OF_A_JOB] for i in range(0, len(pairs), CHANGES_OF_A_JOB)]
        parts = ((*self._part(job), job) for job in jobs)
        done = run_jobs(_change_each, parts, len(jobs), engine, fewest=FEWEST_JOBS)
        return [change for changes in done for change in changes]

    def _part(self, pairs: Sequence[_Pair]) -> tuple["Advisor", NDArray[np.int64]]:
        """An adviser that knows the models of the portfolio and of these pairs alone, and the indexes that these have here."""
        named = {model for pair in pairs for model in pair if model is not None}
        models = np.array(sorted(named.union(self.present)), np.int64)
        part = copy(self)
        part._traffic, part._draws = self._traffic.of(models), self._draws[:, models]
        part.present = tuple(np.searchsorted(models, self.present).tolist())
        chosen = self.now.chosen
        part.now = replace(self.now, chosen=np.where(chosen >= 0, np.searchsorted(models, chosen), -1))
        return part, models

    def change(self, added: int | None, removed: int | None) -> Change:
        """What one change gives. At least one of both is an index."""
        models = [model for model in self.present if model != removed] + ([] if added is None else [added])
        kind: Literal["add", "remove", "replace"] = (
            "remove" if added is None else "add" if removed is None else "replace"
        )
        equal_cost = self.at_cost(models, self.now.usd)
        affordable = equal_cost.usd <= self.now.usd * (1 + ROUNDING)
        gain = self.gain(equal_cost)
        if not affordable:  # even the cheapest choices cost more
            gain = replace(gain, sure=min(gain.sure, 0.0))
        # Where nothing is gained at equal cost, nothing is saved at equal accuracy.
        too_cheap = self._border(models, lambda routed: self.gain(routed).sure >= 0) if gain.value > 0 else 0
        cheapest = self.routed(models, self._weights[too_cheap - 1]) if too_cheap else None
        saved = 0.0 if cheapest is None else max(0.0, self.now.usd - cheapest.usd)
        share = 0.0 if added is None else float((equal_cost.chosen == added).mean())
        return Change(kind, added, removed, gain, saved, equal_cost.cost_weight, share)

    def gain(self, routed: Routed) -> Gain:
        """Accuracy of these choices minus that of the present ones."""
        return self.difference(routed.chosen, self.now.chosen)

    def difference(self, chosen: NDArray[np.int64], base: NDArray[np.int64]) -> Gain:
        """Accuracy of some choices minus that of others, both (n,)."""
        drawn = self.drawn(chosen, base)
        return Gain(self._accuracy(chosen) - self._accuracy(base), float(np.quantile(drawn, QUANTILE)))

    def drawn(self, chosen: NDArray[np.int64], base: NDArray[np.int64]) -> Floats:
        """The same difference with P(correct) drawn from its standard errors, and answers by chance, (DRAWS,)."""
        count = max(1, len(chosen))
        errors = self._errors(chosen) - self._errors(base)
        value = self._accuracy(chosen) - self._accuracy(base)
        spread: Floats = np.tensordot(self._draws, errors, axes=2) / count
        differ = chosen != base
        # Of these requests, and because they are a sample of the traffic.
        chance = (self._chance(chosen, differ) + self._chance(base, differ)).sum()
        sampled = ((self._p(chosen) - self._p(base) - value) ** 2).sum()
        return value + spread + self._chances * (sqrt(chance + sampled) / count)

    def _border(self, models: Sequence[int], below: Callable[[Routed], bool]) -> int:
        """Index of the first cost weight at which a condition does not hold that holds only below some weight; bisection."""
        low, high = 0, len(self._weights)
        while low < high:
            middle = (low + high) // 2
            low, high = (middle + 1, high) if below(self.routed(models, self._weights[middle])) else (low, middle)
        return low

    def _p(self, chosen: NDArray[np.int64]) -> Floats:
        """P(correct) of each request at its chosen model, (n,)."""
        p = self._traffic.p_correct[np.arange(len(chosen)), chosen].astype(np.float64)
        return np.where(chosen >= 0, p, 0.0)

    def _chance(self, chosen: NDArray[np.int64], among: NDArray[np.bool_]) -> Floats:
        """Variance of each single answer, (n,); 0 outside `among`."""
        p = self._p(chosen)
        return np.where(among, p * (1 - p), 0.0)

    def _accuracy(self, chosen: NDArray[np.int64]) -> float:
        return float(self._p(chosen).sum()) / max(1, len(chosen))

    def _errors(self, chosen: NDArray[np.int64]) -> Floats:
        """Sums of the chosen models' standard errors by model and kind, (M, K)."""
        served = np.flatnonzero(chosen >= 0)
        _, models, kinds = self._draws.shape
        place = chosen[served] * kinds + self._traffic.kinds[served]
        own = self._traffic.standard_error[served, chosen[served]].astype(np.float64)
        sums: Floats = np.zeros(models * kinds)
        np.add.at(sums, place, own)
        return sums.reshape(models, kinds)


def _change_each(advisor: Advisor, models: NDArray[np.int64], pairs: Sequence[_Pair]) -> list[Change]:
    """Each change by a part of an adviser, with the indexes that the models have in the whole."""
    place: dict[int | None, int | None] = {None: None} | {int(model): i for i, model in enumerate(models)}
    return [replace(advisor.change(place[a], place[r]), added=a, removed=r) for a, r in pairs]


def _cost_weights(price_usd: Floats, present: float) -> list[float]:
    """0, weights from one at which prices hardly matter to one at which only they do, and the present one, ascending."""
    prices = price_usd[price_usd > 0]
    if not len(prices):
        return [0.0]
    steps = np.geomspace(0.001 / prices.max(), 1_000 / prices.max(), COST_WEIGHTS)
    return sorted({0.0, present, *steps.tolist(), 10 / prices.min()})
