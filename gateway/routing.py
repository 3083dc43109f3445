"""Encode, predict, choose: a request -> the model that shall answer it, and who stands in for it, in order.

One matrix product scores the whole portfolio; everything that does not depend on the request is prepared once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import NoEligibleModel, UnknownModel
from gateway.fleet import Fleet
from gateway.portfolio import Portfolio
from gateway.request import ChatRequest, Need
from gateway.trail import Hop
from router.policy import Policy, believed, choose, utilities
from router.serving import Router

AUTO = "auto"
EXPECTED_OUTPUT_TOKENS = 400  # where the client sets no lower limit; only differences between models matter
CAPABILITIES = ("tools", "vision", "json_schema", "audio")


@dataclass(frozen=True)
class Decision:
    """The choice for one request. Arrays are in portfolio order; `p_correct` is NaN where a model has no embedding.

    Attributes:
        policy: the policy that chose; None where the client named the model.
        chosen: index of the chosen model.
        p_correct: predicted correctness, (M,).
        standard_error: of p_correct, (M,); NaN where it is.
        price_usd: expected price of this request, (M,), USD.
        capable: can serve what the request needs, (M,).
        unavailable: per model, why it cannot be called now; None where it can.
        guarded: the router knows nothing finer here than the best single model of the query's kind.
    """

    models: tuple[str, ...]
    policy: Policy | None
    chosen: int
    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    capable: NDArray[np.bool_]
    unavailable: tuple[str | None, ...]
    guarded: bool = False

    @property
    def model(self) -> str:
        return self.models[self.chosen]

    @property
    def p_chosen(self) -> float | None:
        p = float(self.p_correct[self.chosen])
        return None if np.isnan(p) else p

    @cached_property
    def utility(self) -> NDArray[np.float64]:
        policy = self.policy or Policy("pinned")
        return utilities(believed(self.p_correct, self.standard_error, policy), self.price_usd, policy)


class Routing:
    """Routes over one portfolio.

    Args:
        portfolio: what can be chosen.
        router: the trained router and its model space; every `embedding` of the portfolio must be in it.
        fleet: the live state, read for availability.

    Raises:
        ArtifactError: an embedding that the space lacks.
    """

    def __init__(self, portfolio: Portfolio, router: Router, fleet: Fleet) -> None:
        models = portfolio.models
        self._portfolio = portfolio
        self._router = router
        self._fleet = fleet
        self.names = tuple(model.name for model in models)
        self._index = {name: i for i, name in enumerate(self.names)}
        self._live = tuple(fleet.models[name] for name in self.names)
        self._embeddings = tuple(model.embedding for model in models)
        self._embedded = np.flatnonzero([model.embedding is not None for model in models])
        self._scorer = router.scorer([e for e in self._embeddings if e is not None])
        self._usd_in = np.array([model.price.usd_per_mtok_in for model in models]) / 1e6
        self._usd_out = np.array([model.price.usd_per_mtok_out for model in models]) / 1e6
        self._window = np.array([model.context_window for model in models])
        self._max_output = np.array([model.max_output_tokens or model.context_window for model in models])
        self._can = {c: np.array([c in model.capabilities for model in models]) for c in CAPABILITIES}

    def decide(self, request: ChatRequest) -> Decision:
        """The model for a request: the one it names, or for `auto` the one its policy prefers.

        A model that is only cooling down stays a candidate: its nearest stand-in answers for it, as long as it lasts,
        just as when it fails during the request. One that needs an operator (no key, key refused) is none.

        Raises:
            UnknownModel: no such model or policy.
            NoEligibleModel: nobody has what the request needs.
        """
        pinned = self._index.get(request.model)
        policy = None if pinned is not None else self._policy(request.model)
        unavailable = tuple(live.unavailable() for live in self._live)
        capable = self._capable(request.need)
        price = self._price(request.need)
        if policy is None:
            assert pinned is not None
            unknown = np.full(len(self.names), np.nan, np.float32)
            return Decision(self.names, None, pinned, unknown, unknown, price, capable, unavailable)
        p_correct, standard_error, guarded = self._predict(request)
        hopeless = np.array([r is not None and m.needs_operator for r, m in zip(unavailable, self._live, strict=True)])
        chosen = choose(
            believed(p_correct, standard_error, policy), price, capable & ~np.isnan(p_correct) & ~hopeless, policy
        )
        if chosen is None:
            raise self._nobody(request.need, capable, hopeless)
        return Decision(self.names, policy, chosen, p_correct, standard_error, price, capable, unavailable, guarded)

    def predicted(self, request: ChatRequest, decision: Decision) -> Decision:
        """The decision with predictions; a pinned request is decided without them, to save their cost."""
        if decision.policy is None and np.isnan(decision.p_correct).all():
            p_correct, standard_error, guarded = self._predict(request)
            return replace(decision, p_correct=p_correct, standard_error=standard_error, guarded=guarded)
        return decision

    def hops(self, request: ChatRequest, decision: Decision) -> Iterator[Hop]:
        """The chosen model, then its stand-ins: those that can serve the request, the nearest in embedding space first.

        Models whose distance is not known, because they or the chosen one have no embedding, come last, in portfolio order.
        """
        chosen = decision.chosen
        yield Hop(self._live[chosen])
        decision = self.predicted(request, decision)
        limit = None if decision.policy is None else decision.policy.max_predicted_loss
        for i, distance in self._stand_ins(chosen):
            live = self._live[i]
            if not decision.capable[i] or live.needs_operator:
                continue
            loss = float(decision.p_correct[chosen] - decision.p_correct[i])
            known = None if np.isnan(loss) else loss
            barred = limit is not None and (known is None or known > limit)
            yield Hop(live, True, distance, known, barred)

    def explain(self, request: ChatRequest, decision: Decision) -> dict[str, Any]:
        """The decision for a person: every candidate with p, price, utility, availability, and why."""
        decision = self.predicted(request, decision)
        hops = list(self.hops(request, decision))
        barred = {hop.model.name for hop in hops if hop.barred}
        next_hop = next((hop for hop in hops if not hop.barred and hop.model.unavailable() is None), None)
        serving = None if next_hop is None else next_hop.model.name
        return {
            "policy": None if decision.policy is None else decision.policy.name,
            "chosen": decision.model,
            "serving": serving,
            "stand_in": None
            if next_hop is None or not next_hop.stand_in
            else {
                "model": serving,
                "for": decision.model,
                "distance": next_hop.distance,
                "predicted_loss": next_hop.predicted_loss,
            },
            "guarded": decision.guarded,
            "query": request.query,
            "need": {
                "capabilities": sorted(request.need.capabilities),
                "prompt_tokens": request.need.prompt_tokens,
                "output_tokens": request.need.output_tokens,
            },
            "candidates": sorted(
                (self._candidate(i, request.need, decision, serving, barred) for i in range(len(self.names))),
                key=lambda c: (not c["eligible"], -(c["utility"] if c["utility"] is not None else -np.inf)),
            ),
        }

    def _candidate(
        self, i: int, need: Need, decision: Decision, serving: str | None, barred: set[str]
    ) -> dict[str, Any]:
        p = float(decision.p_correct[i])
        known = not np.isnan(p)
        unavailable = decision.unavailable[i]
        why = []
        if i == decision.chosen:
            why.append("named by the request" if decision.policy is None else _chosen_because(decision.policy))
            if decision.guarded and decision.policy is not None:
                why.append(
                    "by the models' means on this kind of question: nothing finer beat the best single model there"
                )
        if self.names[i] == serving and i != decision.chosen:
            why.append(f"nearest available stand-in for {decision.model}")
        if self.names[i] in barred:
            why.append("no stand-in: its predicted loss is more than the policy's max_predicted_loss")
        why += self._lacks(i, need)
        if not known:
            why.append("no embedding: only served when named")
        if unavailable is not None:
            why.append(unavailable)
        if not why:
            why.append(_passed_over_because(decision.policy, p, float(decision.standard_error[i])))
        return {
            "model": self.names[i],
            "embedding": self._embeddings[i],
            "p_correct": p if known else None,
            "standard_error": float(decision.standard_error[i]) if known else None,
            "price_usd": float(decision.price_usd[i]),
            "utility": float(decision.utility[i]) if known else None,
            "eligible": bool(decision.capable[i]) and known,
            "available": unavailable is None,
            "why": "; ".join(why),
        }

    def _policy(self, model: str) -> Policy:
        if model == AUTO:
            return self._portfolio.policies[self._portfolio.default_policy]
        if model.startswith(AUTO + ":"):
            name = model[len(AUTO) + 1 :]
            if name in self._portfolio.policies:
                return self._portfolio.policies[name]
            known = ", ".join(f"auto:{policy}" for policy in self._portfolio.policies)
            raise UnknownModel(f"There is no policy `{name}`; there are {known}.", param="model")
        raise UnknownModel(
            f"The model `{model}` is not in the portfolio; GET /v1/models lists what is, `auto` chooses.",
            param="model",
        )

    def _predict(self, request: ChatRequest) -> tuple[NDArray[np.float32], NDArray[np.float32], bool]:
        """P(correct) and its standard error, (M,) each, NaN without an embedding, and whether the guard decides."""
        p_correct, standard_error = np.full((2, len(self.names)), np.nan, np.float32)
        if not len(self._embedded):
            return p_correct, standard_error, False
        predicted = self._scorer.predict(self._router.encoder.encode([request.query]))
        p_correct[self._embedded] = predicted.p_correct[0]
        standard_error[self._embedded] = predicted.standard_error[0]
        return p_correct, standard_error, bool(predicted.guarded[0])

    def _capable(self, need: Need) -> NDArray[np.bool_]:
        capable = need.prompt_tokens + (need.output_tokens or 0) <= self._window
        capable &= (need.output_tokens or 0) <= self._max_output
        for capability in need.capabilities:
            capable &= self._can[capability]
        return capable

    def _lacks(self, i: int, need: Need) -> list[str]:
        lacks = [f"cannot: {c}" for c in sorted(need.capabilities) if not self._can[c][i]]
        tokens = need.prompt_tokens + (need.output_tokens or 0)
        if tokens > self._window[i]:
            lacks.append(f"context window {self._window[i]} < {tokens} tokens")
        if (need.output_tokens or 0) > self._max_output[i]:
            lacks.append(f"output limit {self._max_output[i]} < {need.output_tokens} tokens")
        return lacks

    def _price(self, need: Need) -> NDArray[np.float64]:
        output = np.minimum(need.output_tokens or EXPECTED_OUTPUT_TOKENS, EXPECTED_OUTPUT_TOKENS)
        price: NDArray[np.float64] = self._usd_in * need.prompt_tokens + self._usd_out * output
        return price

    def _stand_ins(self, chosen: int) -> list[tuple[int, float | None]]:
        """The other models, nearest first, then those of unknown distance. Two may share one embedding: distance 0."""
        own = self._embeddings[chosen]
        space = self._router.space
        others: list[tuple[int, float | None]] = []
        for i, other in enumerate(self._embeddings):
            if i == chosen:
                continue
            if own is None or other is None:
                others.append((i, None))
            else:
                others.append((i, 0.0 if other == own else space.distance(own, other)))
        return sorted(others, key=lambda pair: np.inf if pair[1] is None else pair[1])

    def _nobody(self, need: Need, capable: NDArray[np.bool_], hopeless: NDArray[np.bool_]) -> NoEligibleModel:
        if not len(self._embedded):
            return NoEligibleModel("No model of the portfolio has an embedding, so `auto` cannot choose; name a model.")
        if capable.any():
            return NoEligibleModel("Every model that could serve this request lacks a working key or deployment.")
        lacks = "; ".join(f"{name}: {', '.join(self._lacks(i, need))}" for i, name in enumerate(self.names))
        return NoEligibleModel(f"No model of the portfolio can serve this request. {lacks}.")


def _passed_over_because(policy: Policy | None, p: float, standard_error: float) -> str:
    if policy is None:
        return "another model is named by the request"
    if policy.rule == "utility":
        return "lower utility"
    bound = p - policy.caution * standard_error
    if bound >= policy.min_p_correct:
        return "dearer"
    return f"{_quantity(policy)} below {policy.min_p_correct}"


def _chosen_because(policy: Policy) -> str:
    if policy.rule == "cheapest":
        return f"cheapest with {_quantity(policy)} of at least {policy.min_p_correct}"
    if policy.cost_weight == 0:
        return f"highest {_quantity(policy)}"
    return f"highest utility at cost weight {policy.cost_weight}"


def _quantity(policy: Policy) -> str:
    return f"p_correct - {policy.caution:g} standard errors" if policy.caution else "p_correct"
