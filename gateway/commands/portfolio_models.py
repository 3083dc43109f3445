"""What a portfolio adds to the model space, for the commands over it: its spaces, and the models that were onboarded."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway.commands.notices import warn
from gateway.commands.portfolio_path import find_portfolio
from router.commands.sources import Lent, ModelSource, Own, PortfolioModels

if TYPE_CHECKING:
    from gateway.config.portfolio import Portfolio
    from router.model.serving import Router


def _portfolio(config: Path | None) -> PortfolioModels | None:
    """Of a file that the user names; else of the one that `locus serve` finds, unless it is invalid."""
    from gateway.config.portfolio_file import PortfolioError, load_portfolio

    path = config or find_portfolio()
    if path is None:
        return None
    try:
        found = load_portfolio(path, os.environ, writes=False)
    except PortfolioError as exc:
        if config is not None:
            raise click.ClickException(str(exc)) from exc
        warn(f"the models of {path} are left out: it is invalid, as `locus check` shows")
        return None
    checkpoint = None if found.checkpoint is None else Path(found.checkpoint)
    spaces = tuple(map(Path, found.spaces))
    return PortfolioModels(path, checkpoint, spaces, found.trust_checkpoint, lambda router: _own(found, router))


def _own(portfolio: "Portfolio", router: "Router") -> Own:
    from gateway.commands.database import models_in_use
    from gateway.routing.placed_models import placed_models
    from router.errors import ArtifactError
    from router.model.space import ModelSpace

    try:
        placed = placed_models(portfolio, router, models_in_use(portfolio.settings))
    except ArtifactError as exc:
        warn(str(exc))
        return Own(None, ())
    space, onboarded, lent = placed.router.space, [], []
    for model in placed.portfolio.models:
        standing = placed.standings[model.name]
        if model.embedding is None:
            continue
        if standing.relative is not None:
            row = int(space.rows([model.embedding])[0])
            lent.append(Lent(model.name, standing.relative, space.embeddings.row(row)))
        elif standing.version is not None:
            onboarded.append(model.embedding)
    taken = space.embeddings.take(space.rows(onboarded))
    return Own(ModelSpace(onboarded, taken, space.checkpoint) if onboarded else None, tuple(lent))


MODEL_SOURCE = ModelSource(_portfolio)
