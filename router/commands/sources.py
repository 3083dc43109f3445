"""Where the commands over the model space get it from: a file, a checkpoint, or the portfolio of the gateway with its own models.

Knows no gateway: the `locus` command says what a portfolio has, by an object of click's context.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from router.model.checkpoint import Checkpoint
    from router.model.embedding import Embedding
    from router.model.serving import Router
    from router.model.space import ModelSpace


class Lent(NamedTuple):
    """The embedding that a model of a portfolio borrows.

    Attributes:
        model: its name in the portfolio.
        relative: full name in the model space.
    """

    model: str
    relative: str
    embedding: "Embedding"


class Own(NamedTuple):
    """What a portfolio adds to its model spaces.

    Attributes:
        onboarded: the models that were onboarded, each by its name in the model space if it has one; None if there are none.
        lent: the embeddings that other models borrow.
    """

    onboarded: "ModelSpace | None"
    lent: tuple[Lent, ...]


@dataclass(frozen=True)
class PortfolioModels:
    """What a portfolio file says of model spaces.

    Attributes:
        path: of the file.
        checkpoint: folder; None: the shipped one.
        spaces: files of further model spaces.
        trust: the encoder that the checkpoint names may run code.
        own: what the portfolio adds to them, given their router.
    """

    path: Path
    checkpoint: Path | None
    spaces: tuple[Path, ...]
    trust: bool
    own: "Callable[[Router], Own]"


@dataclass(frozen=True)
class ModelSource:
    """Finds portfolios; an object of click's context.

    Attributes:
        portfolio: what the portfolio in a file says; without a file, that of the one that `locus serve` finds, or None.
    """

    portfolio: Callable[[Path | None], PortfolioModels | None]


class Models(NamedTuple):
    """The models that a command sees.

    Attributes:
        lent: borrowed embeddings, which are not in the router's space.
    """

    checkpoint: "Checkpoint"
    router: "Router"
    lent: tuple[Lent, ...] = ()


def load_models(checkpoint: Path | None, trust: bool, space: Path | None, config: Path | None) -> Models:
    """A checkpoint and a router of it.

    Its space is exactly `space`, or the checkpoint's own; if neither is given, the shipped space, those of the portfolio and the
    onboarded models in one.

    Raises:
        RouterError: a file cannot be loaded.
        click.ClickException: the portfolio cannot be read.
        click.UsageError: a portfolio is given beside a checkpoint or space.
    """
    from router.encode.load import PRETRAINED
    from router.model.checkpoint import SPACE_FILE, load_checkpoint
    from router.model.serving import SPACE, Router

    if config is not None and (checkpoint is not None or space is not None):
        raise click.UsageError("Give --config, or --checkpoint and --space.")
    source = click.get_current_context().find_object(ModelSource)
    found = None
    if source is not None and checkpoint is None and space is None:
        found = source.portfolio(config)
    if found is None:
        folder = checkpoint or PRETRAINED
        loaded = load_checkpoint(folder, trust=trust)
        return Models(loaded, Router.with_spaces(loaded, [space or folder / SPACE_FILE]))
    loaded = load_checkpoint(found.checkpoint, trust=trust or found.trust)
    shipped = [SPACE] if found.checkpoint is None else []
    router = Router.with_spaces(loaded, [*shipped, *found.spaces])
    own = found.own(router)
    if own.onboarded is not None:
        router = router.joined(own.onboarded)
        click.echo(f"with the onboarded models of {found.path}: {', '.join(own.onboarded.models)}", err=True)
    return Models(loaded, router, own.lent)
