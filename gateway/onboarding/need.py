"""Which models of a portfolio need to be onboarded. Pure."""

from gateway.config.portfolio import NO_EMBEDDING, Portfolio
from gateway.routing.placed_models import PlacedModels

_UNPROVEN = ("declared", "probing", "shadow")


def models_that_need_it(portfolio: Portfolio, placed: PlacedModels, *, again: bool = False) -> list[str]:
    """The models without an embedding of their own, by name.

    Args:
        portfolio: as it is in the file.
        placed: its models in the model space.
        again: also those that have one.
    """
    allowed = {model.name for model in portfolio.models if model.embedding != NO_EMBEDDING}
    needed = []
    for model in placed.portfolio.models:
        standing = placed.standings[model.name]
        own = model.embedding is not None and standing.relative is None and standing.state not in _UNPROVEN
        if model.name in allowed and (again or not own):
            needed.append(model.name)
    return needed
