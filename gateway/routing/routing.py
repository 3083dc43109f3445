"""Chooses the model for a request and orders its stand-ins: encodes the query, scores all models, applies the policy."""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gateway.config.portfolio import Portfolio
from gateway.core.errors import GatewayError, InvalidRequest, NoEligibleModel
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS
from gateway.deployments.live import LiveDeployments, LiveModel
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.conversation import Conversation
from gateway.request.model_names import not_allowed
from gateway.request.requirements import Requirements
from gateway.routing.candidate import MAX_REASONS, Candidate, none_callable
from gateway.routing.decision import Decision, Scores, Switch
from gateway.routing.eligibility import Eligibility, allows
from gateway.routing.encoder_queue import EncoderQueue, Encoding
from gateway.routing.model_tables import embeddings_by_setting, model_tables
from gateway.routing.permission import Permission, permission
from gateway.routing.prediction_queue import PredictionQueue
from gateway.routing.requested_policy import check_model_names, requested_policy
from gateway.routing.stand_ins import in_order
from gateway.routing.standing import Standing
from gateway.routing.states import States
from gateway.routing.trials import Trials
from router.model.model_table import ModelTable, TableScores
from router.model.policy import Policy, choose, cost_weight, saving
from router.model.serving import Router
from router.model.stand_ins import nearest


class Routing:
    """Routes over one portfolio.

    Args:
        portfolio: the models that can be chosen.
        router: the trained router and its model space; every `embedding` of the portfolio must be in it.
        deployments: the live state of the deployments.
        standings: how each model stands, by name; by default all models are live.
        trials: keeps models on trial to their share of the requests.

    Attributes:
        encoder_queue: encodes texts, for routing and for the built-in embedding model.
        tables: of the models, by reasoning setting; see `model_tables`.

    Raises:
        ArtifactError: the space lacks an embedding.
    """

    def __init__(
        self,
        portfolio: Portfolio,
        router: Router,
        deployments: LiveDeployments,
        standings: Mapping[str, Standing] | None = None,
        trials: Trials | None = None,
    ) -> None:
        models = portfolio.models
        self.standings = standings if standings is not None else {model.name: Standing() for model in models}
        self.trials = trials if trials is not None else Trials()
        self._states = States({model.name: self.standings[model.name] for model in models}, self.trials)
        self._portfolio = portfolio
        self.router = router
        self.encoder_queue = EncoderQueue(router.encoder)
        self._predictions = PredictionQueue()
        self._quick = router.encoder.quick
        self.names = tuple(model.name for model in models)
        self._index = {name: i for i, name in enumerate(self.names)}
        self.live = tuple(deployments.models[name] for name in self.names)
        self._embeddings = embeddings_by_setting(models)
        self.tables = model_tables(models, router)
        self._table = self.tables[None]  # what does not depend on the reasoning setting
        self._eligibility = Eligibility(models, self.live, deployments.clock)
        for i, live in enumerate(self.live):
            for deployment in live.deployments:
                deployment.stand_ins = partial(self._usual_stand_ins, i)

    async def decide(self, request: ChatRequest, conversation: Conversation | None = None) -> Decision:
        """The model for a request: the one it names, or for `auto` the one its policy prefers.

        Requests for `auto` that arrive in the same turn of the event loop are predicted together.

        A model that is cooling down stays a candidate: until it recovers, its nearest stand-in answers for it, as it does
        after a failure. A model that needs an operator (no key, key refused) is not a candidate.

        Args:
            conversation: the one that the request continues; it keeps its model unless another one is worth the switch.

        Raises:
            UnknownModel: no such model or policy.
            ModelNotAllowed: the key of the request may not use the model or policy.
            InvalidRequest: the client's overrides contradict each other, or the model cannot chat.
            NoEligibleModel: no model has what the request needs.
        """
        overrides = request.overrides
        check_model_names(overrides, self._index)
        named = self._index.get(request.model)
        if named is not None:
            if not overrides.allowed.model(request.model):
                raise not_allowed(request.model, overrides.allowed)
            return await self._decide_named(request, named)
        asked = requested_policy(self._portfolio, request)
        policy = saving(asked, overrides.cost_factor)
        requirements = await self._eligibility.measured(request)
        scores = await self._predicted(request, requirements)
        callable_ = self._eligibility.callable(scores.capable)
        eligible = callable_ & ~np.isnan(scores.p_correct) & ~self._states.never_chosen
        weight = cost_weight(policy, scores.price_usd[self._table.embedded], overrides.cost_factor)
        factor = overrides.cost_factor if weight or policy is not asked else 1.0
        switch = self._switch(request, conversation)
        if switch is not None:
            scores.price_usd[switch.model] -= switch.lost_cache_usd
        compared = scores.compared(policy, switch)
        kept = None if switch is None else switch.model
        now = self._states.in_turn(eligible, kept)
        choice = choose(compared, scores.standard_error, scores.price_usd, now, policy, weight)
        # The conversation keeps its model, even if the policy could not choose it for a new one.
        if switch is not None and switch.forbidden and callable_[switch.model]:
            return Decision(self.names, policy, switch.model, scores, switch, weight, choice, factor)
        if choice is None:
            too_long = self._eligibility.too_long(overrides, requirements, scores.capable)
            raise too_long or self._none_eligible(request, requirements, scores.capable)
        preferred = choice
        if now is not eligible:
            preferred = choose(compared, scores.standard_error, scores.price_usd, eligible, policy, weight) or choice
        propensity = self._states.propensity(choice.model, preferred.model, kept)
        return Decision(self.names, policy, choice.model, scores, switch, weight, choice, factor, propensity)

    def count_choice(self, decision: Decision) -> None:
        """Counts the choice of a request that is answered now, for the shares of models on trial."""
        if decision.policy is not None:
            self._states.chosen(decision.chosen)

    def held_back(self, model: int) -> bool:
        """True for a model on trial while others have their turn."""
        return self._states.held_back(model)

    def candidates(self, request: ChatRequest, decision: Decision) -> Iterator[Candidate]:
        """The chosen model, then its stand-ins that can serve the request, in the order of `in_order`.

        Only the chosen model if request or portfolio allow no other one. Predicted losses are not known if the client named the
        model, a slow encoder does not know the query, and no policy limits them.
        """
        chosen, named = decision.chosen, decision.policy is None
        allowed = self._permission(request, chosen, named=named)
        yield Candidate(self.live[chosen], named=named, permission=allowed)
        if not allowed.other_models:
            return
        scores = decision.scores or self._known_scores(request)
        limit = (decision.policy or self._default).max_predicted_loss
        capable, eligibility = scores.capable, self._eligibility
        if eligibility.assumed.any():  # a model with an assumed window may stand in: its provider knows the window
            able = eligibility.able(scores.requirements) & eligibility.allowed(request.overrides)
            capable = capable | (eligibility.assumed & able)
        distances = self._table_for(request).distances(chosen)
        among = capable & ~self._states.never_chosen
        for i, rule in in_order(decision, scores, distances, among, self._states.on_trial, allowed, self._index):
            live = self.live[i]
            if live.useless_to_call:
                continue
            loss = _known(scores.p_correct[chosen] - scores.p_correct[i])
            barred = limit is not None and (loss is None or loss > limit)
            yield Candidate(live, True, _known(distances[i]), loss, rule, barred)

    def _permission(self, request: ChatRequest, model: int, *, named: bool) -> Permission:
        return permission(self._portfolio.settings, self.live[model].spec, request.overrides, named=named)

    def _usual_stand_ins(self, model: int) -> Iterator[LiveModel]:
        """The models that may stand in for one, whatever the request: its fallbacks, then the nearest."""
        allowed = permission(self._portfolio.settings, self.live[model].spec, Overrides(), named=False)
        others = ~self._states.never_chosen
        fallbacks = [i for i in map(self._index.__getitem__, allowed.fallbacks) if others[i]]
        others[[model, *fallbacks]] = False
        order = fallbacks if allowed.order is None else fallbacks + nearest(self._table.distances(model), others)
        return (self.live[i] for i in order)

    def encoding(self, request: ChatRequest) -> Encoding | None:
        """The encoding of the query if it is known or quickly computed; None otherwise."""
        return self.encoder_queue.encode_now(request.query)

    async def scores(self, request: ChatRequest) -> Scores:
        """The scores of a request that names its model, whose decision has none."""
        return await self._predicted(request, await self._eligibility.measured(request))

    def lacks(self, model: int, request: ChatRequest, requirements: Requirements) -> list[str]:
        """The reasons why a model cannot serve a request, or may not; empty if it can."""
        return self._eligibility.lacks(model, request.overrides, requirements)

    async def _decide_named(self, request: ChatRequest, named: int) -> Decision:
        if not allows(request.overrides, request.model):
            raise InvalidRequest(f"The request names `{request.model}` and excludes it.", param="model")
        self._check_named(request, named)
        if self._default.max_predicted_loss is not None and not self._quick:
            await self._encode(request)  # otherwise the limit could not be applied to stand-ins
        return Decision(self.names, None, named)

    def _check_named(self, request: ChatRequest, named: int) -> None:
        """Checks that the named model, or a stand-in, speaks the API format that the request needs.

        The provider of a named model knows best what that model can do, but only in a format that it speaks.
        """
        requirements = request.requirements
        if requirements.api is None or self._eligibility.speaks(named, requirements.api):
            return
        capable = self._eligibility.capable(requirements) & self._eligibility.allowed(request.overrides)
        if not self._permission(request, named, named=True).other_models or not capable.any():
            raise self._none_eligible(request, requirements, np.zeros_like(capable))

    def _switch(self, request: ChatRequest, conversation: Conversation | None) -> Switch | None:
        turn = conversation.sticky_turn if conversation is not None else None
        model = self._index.get(turn.model) if turn is not None else None
        if model is None or conversation is None:
            return None
        return Switch(
            model,
            self._portfolio.settings.switch_price,
            self._table.cache_discount_usd(model, request.requirements.prompt_tokens, conversation.cached_tokens),
            request.mid_turn,
        )

    @property
    def _default(self) -> Policy:
        return self._portfolio.policies[self._portfolio.default_policy]

    async def _encode(self, request: ChatRequest) -> Encoding | None:
        return await self.encoder_queue.encode(request.query) if len(self._table.embedded) else None

    def embeddings(self, request: ChatRequest) -> tuple[str | None, ...]:
        """The names in the model space that a request is decided by, in portfolio order; None for a model without an embedding."""
        return self._embeddings.get(request.reasoning_setting, self._embeddings[None])

    def _table_for(self, request: ChatRequest) -> ModelTable:
        return self.tables.get(request.reasoning_setting, self._table)

    async def _predicted(self, request: ChatRequest, requirements: Requirements) -> Scores:
        q = await self._encode(request)
        return self._scores(request, q, requirements, await self._predictions.predict(self._table_for(request), q))

    def _known_scores(self, request: ChatRequest) -> Scores:
        """The scores without waiting for anything: predictions are not known if a slow encoder does not know the query."""
        q = self.encoding(request)
        return self._scores(request, q, request.requirements, self._table_for(request).predict(q))

    def _scores(
        self, request: ChatRequest, q: Encoding | None, requirements: Requirements, predicted: TableScores
    ) -> Scores:
        output_tokens = min(requirements.output_tokens or EXPECTED_OUTPUT_TOKENS, EXPECTED_OUTPUT_TOKENS)
        price_usd = self._table.expected_usd(requirements.prompt_tokens, output_tokens)
        capable = self._eligibility.capable(requirements) & self._eligibility.allowed(request.overrides)
        return Scores(
            predicted.p_correct,
            predicted.standard_error,
            price_usd,
            self._table.priced,
            capable,
            predicted.familiarity,
            requirements,
            q,
            self._states.caution,
            self.embeddings(request),
        )

    def _none_eligible(
        self, request: ChatRequest, requirements: Requirements, capable: NDArray[np.bool_]
    ) -> GatewayError:
        if not len(self._table.embedded) and request.model not in self._index:
            return NoEligibleModel("No model of the portfolio has an embedding, so `auto` cannot choose; name a model.")
        able = np.intersect1d(np.flatnonzero(capable), self._table.embedded)
        if len(able) and self._states.never_chosen[able].all():
            reasons = "; ".join(f"{self.names[i]}: {self._states.standings[i].why}" for i in able[:MAX_REASONS])
            return NoEligibleModel(f"`auto` may choose none of the models that can serve this request. {reasons}.")
        if len(able):
            return none_callable([d for i in able for d in self.live[i].deployments])
        return self._eligibility.none_capable(request.overrides, requirements)


def _known(value: np.float32) -> float | None:
    """The value; None for NaN."""
    return None if np.isnan(value) else float(value)
