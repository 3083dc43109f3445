"""Encode, predict, choose: a request -> the model that shall answer it, and who stands in for it, in order.

One matrix product scores the whole portfolio; everything that does not depend on the request is prepared once.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gateway.bodies.offload import offloaded
from gateway.config.portfolio import ENCODER, Portfolio
from gateway.core.errors import ContextTooLong, GatewayError, InvalidRequest, NoEligibleModel, UnknownModel
from gateway.core.vocabulary import EXPECTED_OUTPUT_TOKENS, Api
from gateway.deployments.live import LiveDeployments
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.conversation import Conversation
from gateway.request.model_names import did_you_mean, unknown_model
from gateway.request.prompt_length import counted
from gateway.request.requirements import Requirements
from gateway.routing.candidate import Candidate, uncallable
from gateway.routing.encoder_queue import EncoderQueue, Encoding
from router.model.policy import Policy, believed, choose, utilities
from router.model.serving import Router

AUTO = "auto"
ANSWER_TOKENS = 4_096  # a model must have room for so many, where the client's limit is not lower; see `output_limit`
ANSWER_SHARE = 8  # of a small window: its eighth is enough
CAPABILITIES = ("tools", "vision", "json_schema", "audio", "files", "audio_output", "image_output")
APIS: tuple[Api, ...] = ("messages", "responses", "completions")


@dataclass(frozen=True, slots=True)
class Scores:
    """What is known of every model for one request. Arrays are (M,), in portfolio order.

    Attributes:
        p_correct: predicted correctness; NaN where a model has no embedding.
        standard_error: of p_correct; NaN where it is.
        price_usd: expected price of this request, USD.
        capable: can serve what the request needs, and may, by what the client says.
        guarded: the router knows nothing finer here than the best single model of the query's kind.
        need: what `capable` and `price_usd` are for: its tokens are counted where the estimate left a model in doubt.
    """

    p_correct: NDArray[np.float32]
    standard_error: NDArray[np.float32]
    price_usd: NDArray[np.float64]
    capable: NDArray[np.bool_]
    guarded: bool
    requirements: Requirements

    def utility(self, policy: Policy) -> NDArray[np.float64]:
        """By which a policy compares them, (M,)."""
        return utilities(believed(self.p_correct, self.standard_error, policy), self.price_usd, policy)


@dataclass(frozen=True, slots=True)
class Switch:
    """What it would cost a conversation to leave the model of its last answer.

    Attributes:
        model: index of that model.
        p_correct: so much more probably correct another must be, in the policy's belief.
        lost_cache_usd: what the part of the prompt costs more elsewhere that this model's provider has in its cache.
        forbidden: a turn with tool calls is under way: no other model may continue it.
    """

    model: int
    p_correct: float
    lost_cache_usd: float
    forbidden: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The choice for one request.

    Attributes:
        policy: the policy that chose; None where the client named the model.
        chosen: index of the chosen model.
        scores: None where the client named the model: such a request is decided without them, to save their cost.
        switch: None where the conversation has no model yet.
    """

    models: tuple[str, ...]
    policy: Policy | None
    chosen: int
    scores: Scores | None = None
    switch: Switch | None = None

    @property
    def model(self) -> str:
        return self.models[self.chosen]

    @property
    def kept(self) -> bool:
        """Whether the conversation stays with its model."""
        return self.switch is not None and self.switch.model == self.chosen

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

    def __init__(self, portfolio: Portfolio, router: Router, fleet: LiveDeployments) -> None:
        models = portfolio.models
        self._portfolio = portfolio
        self._clock = fleet.clock
        self.router = router
        self._default = portfolio.policies[portfolio.default_policy]
        self._encoder_queue = EncoderQueue(router.encoder)
        self._quick = router.encoder.quick
        self.names = tuple(model.name for model in models)
        self._index = {name: i for i, name in enumerate(self.names)}
        self.live = tuple(fleet.models[name] for name in self.names)
        self.embeddings = tuple(model.embedding for model in models)
        self._embedded = np.flatnonzero([model.embedding is not None for model in models])
        embedded = [e for e in self.embeddings if e is not None]
        self._scorer = router.scorer(embedded)
        self._z = np.full((len(models), router.space.z.shape[1]), np.nan, np.float32)
        self._z[self._embedded] = router.space.z[router.space.rows(embedded)]
        deployments = [(i, live) for i, model in enumerate(self.live) for live in model.deployments]
        self._breakers = [live.breaker for _, live in deployments]
        self._of_model = np.array([i for i, _ in deployments], np.int64)
        self._no_key = np.array([live.spec.missing_key is not None for _, live in deployments])
        self._usd_in = np.array([model.price.usd_per_mtok_in for model in models]) / 1e6
        self._usd_out = np.array([model.price.usd_per_mtok_out for model in models]) / 1e6
        self._usd_cached = np.array([model.price.usd_per_mtok_cached for model in models]) / 1e6
        self._window = np.array([model.context_window for model in models])
        self._assumed = np.array([not model.window_known for model in models], np.bool_)
        self._room = np.minimum(self._window // ANSWER_SHARE, ANSWER_TOKENS)
        self._can = {c: np.array([c in model.capabilities for model in models]) for c in CAPABILITIES}
        self._can["several"] = np.array([any(d.several for d in model.deployments) for model in models])
        self._can["logprobs"] = np.array([any(d.logprobs for d in model.deployments) for model in models])
        self._speaks = {api: np.array([any(api in d.apis for d in m.deployments) for m in models]) for api in APIS}

    async def decide(self, request: ChatRequest, conversation: Conversation | None = None) -> Decision:
        """The model for a request: the one it names, or for `auto` the one its policy prefers.

        Suspends only where the query must be encoded and the encoder is a slow one, or tokens must be counted.

        A model that is only cooling down stays a candidate: its nearest stand-in answers for it, as long as it lasts,
        just as when it fails during the request. One that needs an operator (no key, key refused) is none.

        Args:
            conversation: which one the request goes on with; it keeps its model unless another is worth the switch.

        Raises:
            UnknownModel: no such model or policy.
            InvalidRequest: what the client asks of the choice cannot be.
            NoEligibleModel: no model has what the request needs.
        """
        overrides = request.overrides
        self._check_names(overrides)
        pinned = self._index.get(request.model)
        if pinned is not None:
            if not _allows(overrides, request.model):
                raise InvalidRequest(f"The request names `{request.model}` and excludes it.", param="model")
            self._check_pinned(request, pinned)
            if self._default.max_predicted_loss is not None:
                await self._encode_slowly(request)  # else no stand-in could be held to it
            return Decision(self.names, None, pinned)
        policy = self._policy(request)
        requirements = await self._measured(request)
        scores = self._scores(request, await self._encode(request), requirements)
        callable_ = self._callable(scores.capable)
        eligible = callable_ & ~np.isnan(scores.p_correct)
        p_believed = believed(scores.p_correct, scores.standard_error, policy)
        if overrides.min_p_correct is not None and (enough := eligible & (p_believed >= overrides.min_p_correct)).any():
            eligible = enough
        switch = self._switch(request, conversation)
        if switch is not None:
            scores.price_usd[switch.model] -= switch.lost_cache_usd
            if switch.forbidden and callable_[switch.model]:  # whatever is asked of a model that is chosen anew
                return Decision(self.names, policy, switch.model, scores, switch)
            here = p_believed[switch.model]
            p_believed -= np.float32(switch.p_correct)
            p_believed[switch.model] = here
        chosen = choose(p_believed, scores.price_usd, eligible, policy)
        if chosen is None:
            raise self._too_long(request, scores) or self._none_eligible(request, scores.requirements, scores.capable)
        return Decision(self.names, policy, chosen, scores, switch)

    def candidates(self, request: ChatRequest, decision: Decision) -> Iterator[Candidate]:
        """The chosen model, then its stand-ins: those that can serve the request, the nearest in embedding space first.
        Alone where the client wants no failover, or `failover_for_named` allows none.

        Models whose distance is not known, because they or the chosen one have no embedding, come last, in portfolio order.
        Where the client named the model, a slow encoder does not know the query, and no policy limits them, predicted losses
        are not known.
        """
        chosen = decision.chosen
        named = decision.policy is None
        rule = self._portfolio.settings.failover_for_named if named else "stand_ins"
        yield Candidate(self.live[chosen], named=named, single=rule == "never")
        if rule != "stand_ins" or not request.overrides.failover:
            return
        scores = decision.scores or self._scores(
            request, self._encoder_queue.at_once(request.query), request.requirements
        )
        limit = (decision.policy or self._default).max_predicted_loss
        capable = scores.capable
        if self._assumed.any():  # an assumed window keeps no model from standing in: its provider knows better
            capable = capable | (self._assumed & self._able(scores.requirements) & self._allowed(request.overrides))
        for i, distance in self._stand_ins(chosen):
            live = self.live[i]
            if not capable[i] or live.useless_to_call:
                continue
            loss = float(scores.p_correct[chosen] - scores.p_correct[i])
            known = None if np.isnan(loss) else loss
            barred = limit is not None and (known is None or known > limit)
            yield Candidate(live, True, distance, known, barred)

    def encoding(self, request: ChatRequest) -> Encoding | None:
        """Of the query, where it is known or quickly had."""
        return self._encoder_queue.at_once(request.query)

    async def scores(self, request: ChatRequest) -> Scores:
        """Of a request that names its model, whose decision has none."""
        return self._scores(request, await self._encode(request), await self._measured(request))

    def lacks(self, i: int, request: ChatRequest, requirements: Requirements) -> list[str]:
        """Why a model cannot serve a request, or may not; empty where it can."""
        lacks = [f"cannot: {c}" for c in sorted(requirements.capabilities) if not self._can[c][i]]
        tokens = requirements.prompt_tokens + int(self._answer_room(requirements)[i])
        if requirements.api is not None and not self._speaks[requirements.api][i]:
            lacks.append(f"does not speak the {requirements.api} API, which `{requirements.api_field}` needs")
        if tokens > self._window[i]:
            lacks.append(f"context window {self._window[i]} < {tokens} tokens")
        if not _allows(request.overrides, self.names[i]):
            lacks.append("excluded by the request")
        return lacks

    def _policy(self, request: ChatRequest) -> Policy:
        """By the request's model name, or by what it asks of the gateway."""
        overrides, model = request.overrides, request.model
        if model == AUTO:
            policy = self._default
        elif model.startswith(AUTO + ":"):
            policy = self._named_policy(model[len(AUTO) + 1 :], "model", f"{AUTO}:")
        elif any(model == one.name for one in self._portfolio.embedding_models) or model == ENCODER:
            raise InvalidRequest(f"`{model}` is an embedding model, for /v1/embeddings alone.", param="model")
        else:
            known = [*self.names, AUTO, *(f"{AUTO}:{policy}" for policy in self._portfolio.policies)]
            raise unknown_model(model, known, "GET /v1/models lists the models; `auto` lets the gateway choose one.")
        if overrides.policy is not None:
            policy = self._named_policy(overrides.policy, "x-locus-policy")
        if overrides.cost_weight is not None:
            return replace(policy, rule="utility", cost_weight=overrides.cost_weight)
        if overrides.min_p_correct is not None and policy.rule == "cheapest":
            return replace(policy, min_p_correct=overrides.min_p_correct)
        return policy

    def _named_policy(self, name: str, param: str, prefix: str = "") -> Policy:
        policy = self._portfolio.policies.get(name)
        if policy is None:
            known = ", ".join(f"{prefix}{policy}" for policy in self._portfolio.policies)
            close = did_you_mean(name, self._portfolio.policies)
            raise UnknownModel(f"There is no policy `{name}`{close} There are {known}.", param=param)
        return policy

    def _check_names(self, overrides: Overrides) -> None:
        for names, param in ((overrides.allow, "x-locus-allow"), (overrides.exclude, "x-locus-exclude")):
            for name in names or ():
                if name not in self._index:
                    raise unknown_model(name, self.names, param=param)

    def _check_pinned(self, request: ChatRequest, pinned: int) -> None:
        """What a named model can do its provider knows best, but not even that helps where it does not speak a format."""
        api = request.requirements.api
        if api is None or self._speaks[api][pinned]:
            return
        capable = self._capable(request.requirements) & self._allowed(request.overrides)
        alone = not request.overrides.failover or self._portfolio.settings.failover_for_named != "stand_ins"
        if alone or not capable.any():
            raise self._none_eligible(request, request.requirements, np.zeros_like(capable))

    def _allowed(self, overrides: Overrides) -> NDArray[np.bool_]:
        """Whom the client lets answer, (M,)."""
        if overrides.allow is None and not overrides.exclude:
            return np.ones(len(self.names), np.bool_)
        return np.array([_allows(overrides, name) for name in self.names])

    def _switch(self, request: ChatRequest, conversation: Conversation | None) -> Switch | None:
        turn = conversation.turn if conversation is not None else None
        model = self._index.get(turn.model) if turn is not None else None
        if model is None or conversation is None:
            return None
        per_token = self._usd_in[model] - self._usd_cached[model]
        return Switch(
            model,
            self._portfolio.settings.switch_price,
            float(max(0.0, conversation.cached_tokens * per_token)),
            request.mid_turn,
        )

    async def _measured(self, request: ChatRequest) -> Requirements:
        """What the request needs, with its tokens counted where a bound and an estimate leave a model's window in doubt."""
        requirements = request.requirements
        bound = await offloaded(len(request.body), lambda: requirements.prompt_bound)
        if bound + min(requirements.output_tokens or 0, ANSWER_TOKENS) <= self._window.min():
            return requirements
        left = self._window - self._answer_room(requirements)
        doubtful = (bound > left) & (requirements.prompt_tokens // 2 <= left)
        return await counted(requirements) if doubtful.any() else requirements

    async def _encode(self, request: ChatRequest) -> Encoding | None:
        return await self._encoder_queue.encode(request.query) if len(self._embedded) else None

    async def _encode_slowly(self, request: ChatRequest) -> None:
        """Makes the query known where that takes a thread; a quick encoder can do it when it is needed."""
        if not self._quick:
            await self._encode(request)

    def _scores(self, request: ChatRequest, q: Encoding | None, requirements: Requirements) -> Scores:
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
        capable = self._capable(requirements) & self._allowed(request.overrides)
        return Scores(p_correct, standard_error, self._price(requirements), capable, guarded, requirements)

    def _callable(self, capable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of these models do not need an operator, (M,): `LiveModel.needs_operator` of a thousand at once.

        Where all of them are taken out, those that have a key: the last resort may still ask them.
        """
        out_until = np.array([breaker.out_until for breaker in self._breakers])
        hopeful = capable & self._with_any(~self._no_key & (out_until <= self._clock()))
        return hopeful if hopeful.any() else capable & self._with_any(~self._no_key)

    def _with_any(self, deployments: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which models have at least one of these deployments, (M,)."""
        models = np.zeros(len(self.names), np.bool_)
        models[self._of_model[deployments]] = True
        return models

    def _capable(self, requirements: Requirements) -> NDArray[np.bool_]:
        fits: NDArray[np.bool_] = requirements.prompt_tokens + self._answer_room(requirements) <= self._window
        return fits & self._able(requirements)

    def _able(self, requirements: Requirements) -> NDArray[np.bool_]:
        """Which models have the capabilities and the API that the request needs, (M,)."""
        able = np.ones(len(self.names), np.bool_)
        for capability in requirements.capabilities:
            able &= self._can[capability]
        if requirements.api is not None:
            able &= self._speaks[requirements.api]
        return able

    def _answer_room(self, requirements: Requirements) -> NDArray[np.int64]:
        """Tokens that must be left for the answer, (M,): the client's limit is no demand, and is cut to what there is."""
        room: NDArray[np.int64] = np.minimum(requirements.output_tokens or 0, self._room)
        return room

    def _price(self, requirements: Requirements) -> NDArray[np.float64]:
        output = np.minimum(requirements.output_tokens or EXPECTED_OUTPUT_TOKENS, EXPECTED_OUTPUT_TOKENS)
        price: NDArray[np.float64] = self._usd_in * requirements.prompt_tokens + self._usd_out * output
        return price

    def _stand_ins(self, chosen: int) -> list[tuple[int, float | None]]:
        """The other models, nearest first, then those of unknown distance. Two may share one embedding: distance 0."""
        distances = np.linalg.norm(self._z - self._z[chosen], axis=1)
        order = np.argsort(distances, kind="stable").tolist()  # NaN comes last
        return [(i, None if (d := float(distances[i])) != d else d) for i in order if i != chosen]

    def _too_long(self, request: ChatRequest, scores: Scores) -> ContextTooLong | None:
        """The error where a shorter prompt could be served, and this one by no model; None elsewhere."""
        requirements = scores.requirements
        shorter = self._capable(replace(requirements, prompt_tokens=0, output_tokens=None)) & self._allowed(
            request.overrides
        )
        if scores.capable.any() or not shorter.any():
            return None
        largest = int(np.argmax(np.where(shorter, self._window, -1)))
        tokens, window = (
            requirements.prompt_tokens + int(self._answer_room(requirements)[largest]),
            int(self._window[largest]),
        )
        message = (
            f"This request needs {tokens} tokens. The maximum context length of the models that can serve it is {window} "
            f"tokens ({self.names[largest]}): shorten the prompt."
        )
        return ContextTooLong(message, tokens=tokens, window=window)

    def _none_eligible(
        self, request: ChatRequest, requirements: Requirements, capable: NDArray[np.bool_]
    ) -> GatewayError:
        if not len(self._embedded) and request.model not in self._index:
            return NoEligibleModel("No model of the portfolio has an embedding, so `auto` cannot choose; name a model.")
        able = np.intersect1d(np.flatnonzero(capable), self._embedded)
        if len(able):
            return uncallable([d for i in able for d in self.live[i].deployments])
        lacks = [self.lacks(i, request, requirements) for i in range(len(self.names))]
        common = set(lacks[0]).intersection(*lacks)
        told = [f"all models: {', '.join(sorted(common))}"] if common else []
        for name, why in zip(self.names, lacks, strict=True):
            own = [one for one in why if one not in common]
            if own or not common:
                told.append(f"{name}: {', '.join(own) or 'can'}")
        return NoEligibleModel(f"No model of the portfolio can serve this request. {'; '.join(told)}.")


def _allows(overrides: Overrides, name: str) -> bool:
    """Whether the client lets this model answer."""
    return name not in overrides.exclude and (overrides.allow is None or name in overrides.allow)
