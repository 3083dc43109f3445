"""What a decision took into account of a request beside its text, so that it can be made again with another portfolio or policy."""

from dataclasses import dataclass
from typing import get_args

import orjson

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import Api, Requirement
from gateway.request.chat_request import ChatRequest, Overrides
from gateway.request.requirements import Requirements
from router.model.policy import RULES, Rule

_APIS: tuple[Api, ...] = get_args(Api)


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request needs of a model and what its client and key demand.

    Attributes:
        capabilities, prompt_tokens, output_tokens, api: as in `Requirements`.
        models: the only ones that the client and the key allow; None: all.
        exclude, rule, min_p_correct, cost_factor: as in `Overrides`.
        reasoning: the reasoning setting that the client asks for.
    """

    capabilities: tuple[Requirement, ...] = ()
    prompt_tokens: int = 0
    output_tokens: int | None = None
    api: Api | None = None
    models: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    rule: tuple[Rule, float] | None = None
    min_p_correct: float | None = None
    cost_factor: float = 1.0
    reasoning: str | None = None

    def pack(self) -> str:
        """A JSON object with what differs from the defaults."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return orjson.dumps({name: value for name, value in fields.items() if value != _DEFAULTS[name]}).decode()

    @property
    def requirements(self) -> Requirements:
        """What a model must be capable of."""
        return Requirements(frozenset(self.capabilities), self.prompt_tokens, self.output_tokens, self.api)

    @property
    def overrides(self) -> Overrides:
        """What restricts the models."""
        allow = None if self.models is None else frozenset(self.models)
        return Overrides(allow=allow, exclude=frozenset(self.exclude))


_DEFAULTS = {name: getattr(Needs(), name) for name in Needs.__dataclass_fields__}


def needs_of(request: ChatRequest, requirements: Requirements) -> Needs:
    """The needs of a request.

    Args:
        requirements: those that the decision used.
    """
    overrides = request.overrides
    allow, allowed = overrides.allow, overrides.allowed.models
    both = allow if allowed is None else allowed if allow is None else allow & allowed
    return Needs(
        tuple(sorted(requirements.capabilities)),
        requirements.prompt_tokens,
        requirements.output_tokens,
        requirements.api,
        None if both is None else tuple(sorted(both)),
        tuple(sorted(overrides.exclude)),
        overrides.rule,
        overrides.min_p_correct,
        overrides.cost_factor,
        request.reasoning_setting,
    )


def unpack_needs(fields: JsonObject) -> Needs:
    """The needs that `pack` wrote, from the parsed object. Of a newer version, what this one does not know is left out."""
    known = {name: fields[name] for name in Needs.__dataclass_fields__ if name in fields}
    for name in ("capabilities", "models", "exclude", "rule"):
        if known.get(name) is not None:
            known[name] = tuple(known[name])
    if "rule" in known and known["rule"][0] not in RULES:
        del known["rule"]
    if known.get("api") not in (None, *_APIS):
        del known["api"]
    return Needs(**known)
