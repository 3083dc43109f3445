"""The models that can serve a request: by capabilities, API formats, context windows, overrides and live state.

Arrays are (M,), in portfolio order: a portfolio may have thousands of models, and every request asks about all of them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gateway.bodies.offload import offloaded
from gateway.config.portfolio import Model
from gateway.core.errors import ContextTooLong, NoEligibleModel
from gateway.core.vocabulary import Api, Capability, Clock, Requirement
from gateway.deployments.live import LiveModel
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.prompt_length import with_exact_prompt_tokens
from gateway.request.requirements import Requirements

ANSWER_TOKENS = 4_096  # tokens that must be left for the answer, unless the client's limit is lower; see `output_limit`
ANSWER_SHARE = 8  # of a small window, an eighth is enough
CAPABILITIES: tuple[Capability, ...] = (
    "tools",
    "vision",
    "json_schema",
    "audio",
    "files",
    "audio_output",
    "image_output",
)
APIS: tuple[Api, ...] = ("messages", "responses", "completions")


class Eligibility:
    """The limits of a portfolio's models.

    Args:
        live: the live state of each model, in the same order.

    Attributes:
        names: the names of the models.
        assumed: models whose context window is assumed, not known, (M,), bool.
    """

    def __init__(self, models: Sequence[Model], live: Sequence[LiveModel], clock: Clock) -> None:
        self._clock = clock
        self.names = tuple(model.name for model in models)
        deployments = [(i, one) for i, model in enumerate(live) for one in model.deployments]
        # By deployment, (D,): its breaker, the index of its model (int64), and whether it lacks a key or is in quarantine (bool).
        self._breakers = [one.breaker for _, one in deployments]
        self._model_of = np.array([i for i, _ in deployments], np.int64)
        barred = [one.spec.missing_key is not None or one.quarantined is not None for _, one in deployments]
        self._barred = np.array(barred, np.bool_)
        # By model, (M,): tokens (int64) and flags (bool), all from the portfolio file.
        self._window = np.array([model.context_window for model in models], np.int64)
        self._room = np.minimum(self._window // ANSWER_SHARE, ANSWER_TOKENS)
        self.assumed = np.array([not model.window_known for model in models], np.bool_)
        self._can: dict[Requirement, NDArray[np.bool_]] = {
            c: np.array([c in model.capabilities for model in models], np.bool_) for c in CAPABILITIES
        }
        self._can["several"] = np.array([any(d.several for d in m.deployments) for m in models], np.bool_)
        self._can["logprobs"] = np.array([any(d.logprobs for d in m.deployments) for m in models], np.bool_)
        self._speaks = {
            api: np.array([any(api in d.apis for d in m.deployments) for m in models], np.bool_) for api in APIS
        }

    def speaks(self, model: int, api: Api) -> bool:
        """True if a deployment of the model speaks this API format."""
        return bool(self._speaks[api][model])

    def allowed(self, overrides: Overrides) -> NDArray[np.bool_]:
        """The models that the client and its key allow, (M,)."""
        if overrides.allow is None and not overrides.exclude and overrides.allowed.models is None:
            return np.ones(len(self.names), np.bool_)
        return np.array([allows(overrides, name) for name in self.names], np.bool_)

    def capable(self, requirements: Requirements) -> NDArray[np.bool_]:
        """The models that have what the request needs, and whose context window holds it, (M,)."""
        fits: NDArray[np.bool_] = requirements.prompt_tokens + self.answer_room(requirements) <= self._window
        return fits & self.able(requirements)

    def able(self, requirements: Requirements) -> NDArray[np.bool_]:
        """The models that have the capabilities and the API format that the request needs, (M,)."""
        able = np.ones(len(self.names), np.bool_)
        for capability in requirements.capabilities:
            able &= self._can[capability]
        if requirements.api is not None:
            able &= self._speaks[requirements.api]
        return able

    def answer_room(self, requirements: Requirements) -> NDArray[np.int64]:
        """Tokens that must be left for the answer, (M,): a higher limit of the client is reduced."""
        room: NDArray[np.int64] = np.minimum(requirements.output_tokens or 0, self._room)
        return room

    def callable(self, capable: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Those of the capable models that do not need an operator, (M,): `LiveModel.needs_operator` for all models at once.

        If all of them are taken out, those that have a key and are not in quarantine: the last resort may still ask them.
        """
        out_until = np.array([breaker.out_until for breaker in self._breakers])
        healthy = capable & self._with_any(~self._barred & (out_until <= self._clock()))
        return healthy if healthy.any() else capable & self._with_any(~self._barred)

    async def measured(self, request: ChatRequest) -> Requirements:
        """The request's requirements, with its tokens counted if a bound and an estimate leave a model's window in doubt."""
        requirements = request.requirements
        bound = await offloaded(len(request.body), lambda: requirements.max_prompt_tokens)
        if bound + min(requirements.output_tokens or 0, ANSWER_TOKENS) <= self._window.min():
            return requirements
        left = self._window - self.answer_room(requirements)
        doubtful = (bound > left) & (requirements.prompt_tokens // 2 <= left)
        return await with_exact_prompt_tokens(requirements) if doubtful.any() else requirements

    def lacks(self, model: int, overrides: Overrides, requirements: Requirements) -> list[str]:
        """The reasons why a model cannot serve a request, or may not; empty if it can."""
        lacks = [f"cannot: {c}" for c in sorted(requirements.capabilities) if not self._can[c][model]]
        tokens = requirements.prompt_tokens + int(self.answer_room(requirements)[model])
        if requirements.api is not None and not self._speaks[requirements.api][model]:
            lacks.append(f"does not speak the {requirements.api} API, which `{requirements.api_field}` needs")
        if tokens > self._window[model]:
            lacks.append(f"context window {self._window[model]} < {tokens} tokens")
        if not overrides.allowed.model(self.names[model]):
            lacks.append("not allowed for the key")
        elif not allows(overrides, self.names[model]):
            lacks.append("excluded by the request")
        return lacks

    def too_long(
        self, overrides: Overrides, requirements: Requirements, capable: NDArray[np.bool_]
    ) -> ContextTooLong | None:
        """The error for a prompt that is too long for every model, while a shorter one could be served; None otherwise."""
        shorter = self.capable(replace(requirements, prompt_tokens=0, output_tokens=None)) & self.allowed(overrides)
        if capable.any() or not shorter.any():
            return None
        largest = int(np.argmax(np.where(shorter, self._window, -1)))
        tokens = requirements.prompt_tokens + int(self.answer_room(requirements)[largest])
        window = int(self._window[largest])
        message = (
            f"This request needs {tokens} tokens. The maximum context length of the models that can serve it is {window} "
            f"tokens ({self.names[largest]}): shorten the prompt."
        )
        return ContextTooLong(message, tokens=tokens, window=window)

    def none_capable(self, overrides: Overrides, requirements: Requirements) -> NoEligibleModel:
        """The error for a request that no model can serve: what all models lack, then what each one lacks in addition."""
        names = [name for name in self.names if overrides.allowed.model(name)]
        if not names:
            return NoEligibleModel("The key may use none of the portfolio's chat models.")
        lacks = [self.lacks(self.names.index(name), overrides, requirements) for name in names]
        common = set(lacks[0]).intersection(*lacks)
        reasons = [f"all models: {', '.join(sorted(common))}"] if common else []
        for name, of_model in zip(names, lacks, strict=True):
            own = [reason for reason in of_model if reason not in common]
            if own or not common:
                reasons.append(f"{name}: {', '.join(own) or 'can'}")
        return NoEligibleModel(f"No model of the portfolio can serve this request. {'; '.join(reasons)}.")

    def _with_any(self, deployments: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The models that have at least one of these deployments, (M,).

        Args:
            deployments: (D,).
        """
        models = np.zeros(len(self.names), np.bool_)
        models[self._model_of[deployments]] = True
        return models


def allows(overrides: Overrides, name: str) -> bool:
    """True if the client and its key let this model answer."""
    if name in overrides.exclude or not overrides.allowed.model(name):
        return False
    return overrides.allow is None or name in overrides.allow
