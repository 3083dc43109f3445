"""The models that a decision compared, as lines of a chart: P(correct) with its standard error, and the price. Pure functions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One model.

    Attributes:
        standard_error: of P(correct), by the embeddings in force now; None if it is not known.
        usd: expected price of the request; None if it is not known.
        mark: "chosen", "answered" or "" .
        state: how far routing trusted the model then; "" if fully.
    """

    model: str
    p_correct: float
    standard_error: float | None
    usd: float | None
    mark: str = ""
    state: str = ""

    @property
    def low(self) -> float:
        """One standard error below, at least 0."""
        return max(0.0, self.p_correct - (self.standard_error or 0.0))

    @property
    def high(self) -> float:
        """One standard error above, at most 1."""
        return min(1.0, self.p_correct + (self.standard_error or 0.0))


def lines(
    known: Sequence[tuple[str, float | None, float | None]],
    errors: Mapping[str, float],
    states: Mapping[str, str],
    chosen: str | None,
    served: str | None,
) -> list[Line]:
    """The `MOST` models with the highest P(correct), and those that were chosen or answered, the highest first.

    Args:
        known: name, P(correct) and price of each model.
        errors: standard errors by model.
        states: of models that are not live.
    """
    found = [
        Line(name, p, errors.get(name), usd, _mark(name, chosen, served), states.get(name, ""))
        for name, p, usd in known
        if p is not None
    ]
    found.sort(key=lambda line: (-line.p_correct, line.usd or 0.0, line.model))
    return [line for i, line in enumerate(found) if i < MOST or line.mark]


def finding(found: Sequence[Line]) -> str:
    """What the chart shows, as its title."""
    chosen = next((line for line in found if line.mark.startswith("chosen")), None)
    if not found or chosen is None:
        return "P(correct) and expected price of the models"
    best = found[0]
    if best.model == chosen.model:
        return f"{chosen.model} was the most likely to be right"
    less = best.p_correct - chosen.p_correct
    if chosen.usd is None or not best.usd or chosen.usd >= best.usd:
        return f"{chosen.model} was chosen, {less:.2f} below the P(correct) of {best.model}"
    share = _share(chosen.usd / best.usd)
    return f"{chosen.model} was chosen: {less:.2f} below the P(correct) of {best.model}, at {share} of its price"


def _share(ratio: float) -> str:
    return f"{100 * ratio:.0f}%" if ratio >= 0.01 else "under 1%"


def _mark(name: str, chosen: str | None, served: str | None) -> str:
    if name == chosen:
        return "chosen" if served in (None, name) else "chosen, did not answer"
    return "answered" if name == served else ""
