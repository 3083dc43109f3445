"""Encode, predict, choose: a request -> the model that shall answer it, and who stands in for it, in order.

One matrix product scores the whole portfolio; everything that does not depend on the request is prepared once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.encoding import Encoding, Encodings
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


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of every model for one request. Arrays are (M,), in portfolio order.

    Attributes:
        p_correct: predicted correctness; NaN where a model has no embedding.
        standard_error: of p_correct; NaN where it is.
        price_usd: expected price of this request, USD.
        capable: can serve what the request needs.
        guarded: the router knows nothing finer here than the best single model of the query's kind.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    capable: NDArray[np.bool_]
    guarded: bool

    def utility(self, policy: Policy) -> NDArray[np.float64]:
        """By which a policy compares them, (M,)."""
        return utilities(believed(self.p_correct, self.standard_error, policy), self.price_usd, policy)


@dataclass(frozen=True, slots=True)
class Decision:
    """The choice for one request.

    Attributes:
        policy: the policy that chose; None where the client named the model.
        chosen: index of the chosen model.
        scores: None where the client named the model: such a request is decided without them, to save their cost.
    """

    models: tuple[str, ...]
    policy: Policy | None
    chosen: int
    scores: Scores | None = None

    @property
    def model(self) -> str:
        return self.models[self.chosen]

    @property
    def p_chosen(self) -> float | None:
        if self.scores is None:
            return None
        p = float(self.scores.p_correct[self.chosen])
        return None if np.isnan(p) else p

    def best(self, number: int) -> list[tuple[str, float, float]]:
        """Name, p_correct and price of so many models that the policy likes most, and of the chosen one, in no order."""
        if self.scores is None or self.policy is None:
            return []
        scores = self.scores
        chosen: Iterable[int] = range(len(self.models))
        if len(self.models) > number:
            utility = np.where(scores.capable, scores.utility(self.policy), -np.inf)
            chosen = {self.chosen, *np.argpartition(-utility, number)[:number].tolist()}
        p_correct, price = scores.p_correct.tolist(), scores.price_usd.tolist()
        return [(self.models[i], p, price[i]) for i in chosen if (p := p_correct[i]) == p]


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
        self._default = portfolio.policies[portfolio.default_policy]
        self._encodings = Encodings(router.encoder)
        self._quick = router.encoder.quick
        self.names = tuple(model.name for model in models)
        self._index = {name: i for i, name in enumerate(self.names)}
        self._live = tuple(fleet.models[name] for name in self.names)
        self._embeddings = tuple(model.embedding for model in models)
        self._embedded = np.flatnonzero([model.embedding is not None for model in models])
        embedded = [e for e in self._embeddings if e is not None]
        self._scorer = router.scorer(embedded)
        self._z = np.full((len(models), router.space.z.shape[1]), np.nan, np.float32)
        self._z[self._embedded] = router.space.z[router.space.rows(embedded)]
        deployments = [(i, live) for i, model in enumerate(self._live) for live in model.deployments]
        self._breakers = [live.breaker for _, live in deployments]
        self._of_model = np.array([i for i, _ in deployments], np.int64)
        self._no_key = np.array([live.spec.missing_key is not None for _, live in deployments])
        self._usd_in = np.array([model.price.usd_per_mtok_in for model in models]) / 1e6
        self._usd_out = np.array([model.price.usd_per_mtok_out for model in models]) / 1e6
        self._window = np.array([model.context_window for model in models])
        self._max_output = np.array([model.max_output_tokens or model.context_window for model in models])
        self._can = {c: np.array([c in model.capabilities for model in models]) for c in CAPABILITIES}

    async def decide(self, request: ChatRequest) -> Decision:
        """The model for a request: the one it names, or for `auto` the one its policy prefers.

        Suspends only where the query must be encoded and the encoder is a slow one.

        A model that is only cooling down stays a candidate: its nearest stand-in answers for it, as long as it lasts,
        just as when it fails during the request. One that needs an operator (no key, key refused) is none.

        Raises:
            UnknownModel: no such model or policy.
            NoEligibleModel: nobody has what the request needs.
        """
        pinned = self._index.get(request.model)
        if pinned is not None:
            if self._default.max_predicted_loss is not None:
                await self._encode_slowly(request)  # else no stand-in could be held to it
            return Decision(self.names, None, pinned)
        policy = self._policy(request.model)
        scores = self._scores(request, await self._encode(request))
        eligible = scores.capable & ~np.isnan(scores.p_correct) & self._has_hope()
        p_believed = believed(scores.p_correct, scores.standard_error, policy)
        chosen = choose(p_believed, scores.price_usd, eligible, policy)
        if chosen is None:
            raise self._nobody(request.need, scores.capable)
        return Decision(self.names, policy, chosen, scores)

    def hops(self, request: ChatRequest, decision: Decision) -> Iterator[Hop]:
        """The chosen model, then its stand-ins: those that can serve the request, the nearest in embedding space first.

        Models whose distance is not known, because they or the chosen one have no embedding, come last, in portfolio order.
        Where the client named the model, a slow encoder does not know the query, and no policy limits them, predicted losses
        are not known.
        """
        chosen = decision.chosen
        yield Hop(self._live[chosen])
        scores = decision.scores or self._scores(request, self._encodings.at_once(request.query))
        limit = (decision.policy or self._default).max_predicted_loss
        for i, distance in self._stand_ins(chosen):
            live = self._live[i]
            if not scores.capable[i] or live.needs_operator:
                continue
            loss = float(scores.p_correct[chosen] - scores.p_correct[i])
            known = None if np.isnan(loss) else loss
            barred = limit is not None and (known is None or known > limit)
            yield Hop(live, True, distance, known, barred)

    async def explain(self, request: ChatRequest) -> dict[str, Any]:
        """The decision for a person: every candidate with p, price, utility, availability, and why.

        Raises:
            UnknownModel, NoEligibleModel: as `decide` does.
        """
        decision = await self.decide(request)
        scores = decision.scores or self._scores(request, await self._encode(request))
        hops = list(self.hops(request, replace(decision, scores=scores)))
        barred = {hop.model.name for hop in hops if hop.barred}
        next_hop = next((hop for hop in hops if not hop.barred and hop.model.unavailable() is None), None)
        serving = None if next_hop is None else next_hop.model.name
        candidates = [
            self._candidate(i, request.need, decision, scores, serving, barred) for i in range(len(self.names))
        ]
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
            "guarded": scores.guarded,
            "query": request.query,
            "need": {
                "capabilities": sorted(request.need.capabilities),
                "prompt_tokens": request.need.prompt_tokens,
                "output_tokens": request.need.output_tokens,
            },
            "candidates": sorted(
                candidates, key=lambda c: (not c["eligible"], -(c["utility"] if c["utility"] is not None else -np.inf))
            ),
        }

    def _candidate(
        self, i: int, need: Need, decision: Decision, scores: Scores, serving: str | None, barred: set[str]
    ) -> dict[str, Any]:
        p, standard_error = float(scores.p_correct[i]), float(scores.standard_error[i])
        known = not np.isnan(p)
        unavailable = self._live[i].unavailable()
        utility = scores.utility(decision.policy or Policy("pinned"))[i]
        why = []
        if i == decision.chosen:
            why.append("named by the request" if decision.policy is None else _chosen_because(decision.policy))
            if scores.guarded and decision.policy is not None:
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
            why.append(_passed_over_because(decision.policy, p, standard_error))
        return {
            "model": self.names[i],
            "embedding": self._embeddings[i],
            "p_correct": p if known else None,
            "standard_error": standard_error if known else None,
            "price_usd": float(scores.price_usd[i]),
            "utility": float(utility) if known else None,
            "eligible": bool(scores.capable[i]) and known,
            "available": unavailable is None,
            "why": "; ".join(why),
        }

    def _policy(self, model: str) -> Policy:
        if model == AUTO:
            return self._default
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

    async def _encode(self, request: ChatRequest) -> Encoding | None:
        return await self._encodings.encode(request.query) if len(self._embedded) else None

    async def _encode_slowly(self, request: ChatRequest) -> None:
        """Makes the query known where that takes a thread; a quick encoder can do it when somebody asks."""
        if not self._quick:
            await self._encode(request)

    def _scores(self, request: ChatRequest, q: Encoding | None) -> Scores:
        """
        Args:
            q: the query; None where it is not known.
        """
        p_correct, standard_error = np.full((2, len(self.names)), np.nan, np.float32)
        guarded = False
        if len(self._embedded) and q is not None:
            predicted = self._scorer.predict(q)
            p_correct[self._embedded] = predicted.p_correct[0]
            standard_error[self._embedded] = predicted.standard_error[0]
            guarded = bool(predicted.guarded[0])
        return Scores(p_correct, standard_error, self._price(request.need), self._capable(request.need), guarded)

    def _has_hope(self) -> NDArray[np.bool_]:
        """Which models do not need an operator, (M,): `LiveModel.needs_operator` of a thousand at once."""
        hope = np.zeros(len(self.names), np.bool_)
        taken_out = np.array([breaker.taken_out for breaker in self._breakers], np.bool_)
        hope[self._of_model[~(self._no_key | taken_out)]] = True
        return hope

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
        distances = np.linalg.norm(self._z - self._z[chosen], axis=1)
        order = np.argsort(distances, kind="stable").tolist()  # NaN comes last
        return [(i, None if (d := float(distances[i])) != d else d) for i in order if i != chosen]

    def _nobody(self, need: Need, capable: NDArray[np.bool_]) -> NoEligibleModel:
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
