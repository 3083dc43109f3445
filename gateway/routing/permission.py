"""Which models may stand in for a model that cannot answer, by the request and by the portfolio, and who says so."""

from dataclasses import dataclass
from typing import Literal

from gateway.config.portfolio import Model
from gateway.config.settings import Settings
from gateway.core.vocabulary import StandIns
from gateway.request.chat_request import Overrides


@dataclass(frozen=True, slots=True)
class Permission:
    """What may answer if a call of the chosen model fails.

    Attributes:
        mode: `never`: no other deployment; `same_model`: the model's other deployments; `nearest` and `best`: other models too, in
            this order.
        fallbacks: names of the models that are asked before the others.
        only_fallbacks: no other model than these may answer.
        said_by: who says so, for the error if nothing else may answer.
    """

    mode: StandIns
    said_by: str
    fallbacks: tuple[str, ...] = ()
    only_fallbacks: bool = False

    @property
    def single(self) -> bool:
        """True if only one deployment may be called."""
        return self.mode == "never"

    @property
    def order(self) -> Literal["nearest", "best"] | None:
        """How the models that are no fallbacks are ordered; None if they may not answer."""
        return None if self.only_fallbacks or self.mode == "never" or self.mode == "same_model" else self.mode

    @property
    def other_models(self) -> bool:
        """True if other models may answer."""
        return bool(self.fallbacks) or self.order is not None

    def explanation(self) -> str:
        """Which models may answer, and who says so."""
        if self.order is None:
            allowed = "only its fallbacks" if self.fallbacks else "no other model"
        else:
            allowed = "its fallbacks, then any model" if self.fallbacks else "any model"
        return f"{allowed}: {self.said_by}"

    def refusal(self) -> str | None:
        """The sentence of an error that says why no further model was asked; None if any model may answer."""
        return None if self.order is not None else f"No other model may answer: {self.said_by}."


def permission(settings: Settings, model: Model, overrides: Overrides, *, named: bool) -> Permission:
    """What may answer for a model, by the first of these that says it: request, `failover_for_named`, model, gateway's setting.

    Args:
        named: the client named the model.
    """
    if overrides.stand_ins is not None:
        return Permission(overrides.stand_ins, f"the request says `stand_ins: {overrides.stand_ins}`")
    for_named = settings.failover_for_named
    if named and for_named != "stand_ins":
        return Permission(for_named, f"the portfolio says `failover_for_named: {for_named}`")
    if model.fallbacks:
        names = ", ".join(model.fallbacks)
        said_by = f"the portfolio says `fallbacks: [{names}]` for {model.name}"
        return Permission(model.stand_ins or "nearest", said_by, model.fallbacks, model.stand_ins is None)
    if model.stand_ins is not None:
        return Permission(model.stand_ins, f"the portfolio says `stand_ins: {model.stand_ins}` for {model.name}")
    return Permission(settings.stand_ins, f"the portfolio says `stand_ins: {settings.stand_ins}`")
