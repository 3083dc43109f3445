"""How each model of a portfolio stands: where its embedding comes from, and how far routing trusts it."""

from dataclasses import dataclass

from gateway.model_versions.states import State
from gateway.model_versions.stored import ModelState, Trial

CAUTION = 1.0  # standard errors that are taken off the P(correct) of a model that is on trial or suspect
_NEVER_CHOSEN: tuple[State, ...] = ("shadow", "quarantined")
_CAUTIOUS: tuple[State, ...] = ("limited", "suspect")


@dataclass(frozen=True, slots=True)
class Standing:
    """A model's embedding and state.

    Attributes:
        state: as it was set; "declared" for a model that was never evaluated and has no state.
        reason: why it is in this state, for people; may be empty.
        version: number of the version of its embedding; None if a model space has it, or it has none.
        relative: name in the model space of the model whose embedding it borrows; None if it borrows none.
        trial: None unless the state is "limited".
        suspects: ids of deployments that are suspect.
    """

    state: State = "live"
    reason: str = ""
    version: int | None = None
    relative: str | None = None
    trial: Trial | None = None
    suspects: tuple[str, ...] = ()

    @property
    def never_chosen(self) -> bool:
        """`auto` does not choose it, and it is no stand-in."""
        return self.state in _NEVER_CHOSEN

    @property
    def caution(self) -> float:
        """Standard errors that are taken off its P(correct) before it is compared, besides those of the policy."""
        return CAUTION if self.state in _CAUTIOUS or self.suspects else 0.0

    @property
    def why(self) -> str:
        """What the state does to the model, in words; empty if nothing."""
        reason = f" ({self.reason})" if self.reason else ""
        if self.state == "shadow":
            return f"shadow{reason}: its P(correct) is predicted and recorded, but it is only served when named"
        if self.state == "quarantined":
            return f"quarantined{reason}: only served when named"
        cautious = "one more standard error is taken off its P(correct)"
        suspects = f"its deployment {', '.join(self.suspects)} is suspect" if self.suspects else ""
        if self.trial is not None:
            also = f"; {suspects}" if suspects else ""
            return f"on trial{reason}: at most {100 * self.trial.share:g}% of the requests, and {cautious}{also}"
        if self.state == "suspect":
            return f"suspect{reason}: {cautious}"
        return f"{suspects}: {cautious}" if suspects else ""

    def shown(self, embedding: str | None) -> str | None:
        """The name of its embedding for people: that of a relative has the sign ≈."""
        return embedding if self.relative is None else f"≈{self.relative}"


def standing_of(
    state: ModelState | None,
    *,
    version: int | None,
    relative: str | None,
    evaluated: bool,
    quarantined: bool,
    suspects: tuple[str, ...],
) -> Standing:
    """The standing of a model.

    Args:
        state: as it was set; None if it was not.
        evaluated: its embedding is its own.
        quarantined: all of its deployments are.
        suspects: its deployments that are suspect.
    """
    if quarantined and (state is None or state.state != "quarantined"):
        return Standing("quarantined", "all of its deployments are", version, relative)
    if state is None:
        return Standing("live" if evaluated else "declared", "", version, relative, None, suspects)
    return Standing(state.state, state.reason, version, relative, state.trial, suspects)
