"""The choice of a model for one request, and the values on which it is based."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.request.requirements import Requirements
from router.model.model_table import highest, with_switch_price
from router.model.policy import TIE, Choice, Policy, lower_bounds, utilities

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of every model for one request. Arrays are (M,), in portfolio order.

    Attributes:
        p_correct: predicted correctness, float32; NaN for a model without an embedding.
        standard_error: of p_correct, float32; NaN for a model without an embedding.
        price_usd: expected price of this request, float64, USD. A model whose price is not known has the highest one that is.
        priced: the model's price is known.
        capable: the model can serve the request, and the client allows it.
        familiarity: how much the query resembles evaluated ones, in [0, 1]; None if nothing was predicted. At 0, p_correct depends
            on the difficulty of the query and the general ability of the models alone.
        caution: standard errors that are taken off a model's P(correct) besides those of the policy, (M,), float32; None: none.
        q: encoding of the query, (1, d_q), float32; None if it is not known.
        requirements: those that `capable` and `price_usd` are for: the prompt's tokens are counted if the estimate left a
            model's context window in doubt.
        embeddings: name in the model space of each model, by which it was scored; None for a model without one. Models of the same
            name are one model under two names of the portfolio.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    priced: NDArray[np.bool_]
    capable: NDArray[np.bool_]
    familiarity: float | None
    requirements: Requirements
    q: NDArray[np.float32] | None = None
    caution: NDArray[np.float32] | None = None
    embeddings: tuple[str | None, ...] = ()

    def believed(self, policy: Policy | None) -> NDArray[np.float32]:
        """The P(correct) of each model as a policy believes it, (M,), float32."""
        if policy is None:
            return self.p_correct
        caution = 0.0 if self.caution is None else self.caution
        return lower_bounds(self.p_correct, self.standard_error, policy, caution)

    def compared(self, policy: Policy | None, switch: "Switch | None") -> NDArray[np.float32]:
        """The P(correct) by which a policy compares the models for a conversation, (M,), float32."""
        believed = self.believed(policy)
        return believed if switch is None else with_switch_price(believed, switch.model, switch.p_correct)


@dataclass(frozen=True, slots=True)
class Switch:
    """The price that a conversation pays if it leaves the model of its last answer.

    Attributes:
        model: index of that model.
        p_correct: another model is chosen only if its P(correct), as the policy believes it, is higher by at least this.
        lost_cache_usd: the cost of the prompt's cached part at another model, beyond its cost at this one.
        forbidden: tool calls are under way: no other model may continue the turn.
    """

    model: int
    p_correct: float
    lost_cache_usd: float
    forbidden: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The choice for one request.

    Attributes:
        policy: the policy that chose; None if the client named the model.
        chosen: index of the chosen model.
        scores: None if the client named the model: such a request is decided without scores, to save their cost.
        switch: None if the conversation has no model yet.
        cost_weight: by which the policy weighs the price, 1/USD; 0 if it does not.
        choice: what the policy prefers: the chosen model, unless tool calls are under way at another one; None if the client
            named the model, or the policy could choose none.
        propensity: the probability of the choice: a model on trial gets a share of the requests that it is the best for.
        cost_factor: how much more than usual money counted, in the policy's number or in `cost_weight`; more than 1 if a budget of
            the client's key is nearly spent.
    """

    models: tuple[str, ...]
    policy: Policy | None
    chosen: int
    scores: Scores | None = None
    switch: Switch | None = None
    cost_weight: float = 0.0
    choice: Choice | None = None
    cost_factor: float = 1.0
    propensity: float = 1.0

    @property
    def model(self) -> str:
        """The name of the chosen model."""
        return self.models[self.chosen]

    @property
    def kept(self) -> bool:
        """True if the conversation stays with its model."""
        return self.switch is not None and self.switch.model == self.chosen

    @property
    def p_chosen(self) -> float | None:
        """P(correct) of the chosen model; None if it is not known."""
        if self.scores is None:
            return None
        p = float(self.scores.p_correct[self.chosen])
        return None if np.isnan(p) else p

    @property
    def missed_minimum(self) -> float | None:
        """The minimum P(correct) that the policy or the request sets, if the chosen model does not reach it."""
        minimum = None if self.policy is None else self.policy.minimum
        if minimum is None or self.scores is None:
            return None
        return None if self.scores.believed(self.policy)[self.chosen] >= minimum - TIE else minimum

    def price_of(self, model: str) -> float | None:
        """The expected price of the request at a model, USD; None if it is not known."""
        if self.scores is None or model not in self.models:
            return None
        i = self.models.index(model)
        return float(self.scores.price_usd[i]) if self.scores.priced[i] else None

    def utilities(self, scores: Scores) -> NDArray[np.float64]:
        """The values by which the policy compares the models of a new conversation, (M,), float64."""
        return utilities(scores.believed(self.policy), scores.price_usd, self.cost_weight)

    def best(self, number: int) -> list[tuple[str, float, float | None]]:
        """Name, P(correct) and price of the `number` models that the policy prefers, and of the chosen one, in no order.

        The price is None if it is not known.
        """
        if self.scores is None or self.policy is None:
            return []
        scores = self.scores
        chosen: Iterable[int] = range(len(self.models))
        if len(self.models) > number:
            chosen = {self.chosen, *highest(self.utilities(scores), scores.capable, number)}
        p_correct, price, priced = scores.p_correct.tolist(), scores.price_usd.tolist(), scores.priced.tolist()
        return [(self.models[i], p, price[i] if priced[i] else None) for i in chosen if (p := p_correct[i]) == p]
