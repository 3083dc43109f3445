"""Puts the models of a portfolio in one model space: that of its files, with the versions that are live and borrowed embeddings.

Embeddings of another checkpoint have no meaning in this one, so they are left out, with a warning.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.config.portfolio import NO_EMBEDDING, Model, Portfolio
from gateway.core.vocabulary import CHECKPOINT_CHARS
from gateway.model_versions.stored import InUse, Version
from gateway.routing.model_embeddings import borrowed, find_embedding, missing_embeddings, with_embeddings
from gateway.routing.standing import Standing, standing_of
from router.errors import ArtifactError
from router.model.embedding import Embedding, Embeddings
from router.model.serving import Router
from router.model.space import ModelSpace

log = logging.getLogger("locus.models")


@dataclass(frozen=True, slots=True)
class PlacedModels:
    """A portfolio whose models have their embeddings.

    Attributes:
        portfolio: each embedding by its full name in the router's space.
        router: its space has all of them.
        standings: how each model stands, by name.
    """

    portfolio: Portfolio
    router: Router
    standings: Mapping[str, Standing]


def placed_models(portfolio: Portfolio, router: Router, in_use: InUse) -> PlacedModels:
    """The models of a portfolio in one space.

    A live version counts more than what the files' space says of the model, and takes its name there. If that space does not have
    the model, or two models of the portfolio have this embedding, it gets a name of its own. `embedding: none` counts most.
    A model that was never evaluated borrows the embedding of its nearest relative.

    Args:
        portfolio: as it is in the file.
        router: of its checkpoint and model spaces.

    Raises:
        ArtifactError: the space lacks an embedding that the portfolio states.
    """
    if problems := missing_embeddings(portfolio, router.space):
        raise ArtifactError("\n".join(problems))
    found = with_embeddings(portfolio, router.space)
    relatives = router.relatives
    uses = Counter(model.embedding for model in found.models)
    models: list[Model] = []
    added: dict[str, Embedding] = {}
    standings = {}
    for stated, model in zip(portfolio.models, found.models, strict=True):
        version = in_use.versions.get(model.name) if stated.embedding != NO_EMBEDDING else None
        embedding = None if version is None else _usable(version, router)
        if embedding is not None:
            shared = model.embedding is None or uses[model.embedding] > 1
            name = own_name(model.name, router.space) if shared or model.embedding is None else model.embedding
            added[name] = embedding
            model = replace(model, embedding=name)
        own = model.embedding is not None
        lent = None if own else borrowed(stated, find_embedding(stated, router.space), relatives, router.space)
        if lent is not None:
            name = own_name(model.name, router.space)
            added[name] = relatives.borrow(lent.known_as, lent.relative)
            model = replace(model, embedding=name)
        models.append(model)
        number = version.version if version is not None and embedding is not None else None
        relative = None if lent is None else lent.relative
        standings[model.name] = _standing(model, number, relative, in_use)
    if added:
        more = ModelSpace(list(added), Embeddings.of(list(added.values())), router.space.checkpoint)
        router = router.joined(more)
    return PlacedModels(replace(found, models=tuple(models)), router, standings)


def own_name(model: str, space: ModelSpace) -> str:
    """The name in the space of a model that the space does not know: that of the portfolio, unless another model has it."""
    return f"portfolio/{model}" if model in space.models else model


def _usable(version: Version, router: Router) -> Embedding | None:
    """The embedding of a version; None, with a warning, if this checkpoint cannot use it."""
    if version.checkpoint != router.checkpoint:
        log.warning(
            "version %d of %s is of checkpoint %s, this gateway uses %s: it is left out; onboard the model again",
            version.version,
            version.model,
            version.checkpoint[:CHECKPOINT_CHARS],
            router.checkpoint[:CHECKPOINT_CHARS],
        )
        return None
    try:
        embedding = version.embedding()
    except ArtifactError as exc:
        log.warning("%s: it is left out; onboard the model again", exc)
        return None
    if Embeddings.of([embedding]).widths() != router.space.embeddings.widths():
        log.warning(
            "version %d of %s does not have the shapes of this checkpoint: it is left out; onboard the model again",
            version.version,
            version.model,
        )
        return None
    return embedding


def _standing(model: Model, version: int | None, relative: str | None, in_use: InUse) -> Standing:
    of_deployments = {
        one.id: state.state
        for one in model.deployments
        if (state := in_use.of_deployments.get((model.name, one.id))) is not None
    }
    quarantined = [id for id, state in of_deployments.items() if state == "quarantined"]
    return standing_of(
        in_use.states.get(model.name),
        version=version,
        relative=relative,
        evaluated=model.embedding is not None and relative is None,
        quarantined=len(quarantined) == len(model.deployments),
        suspects=tuple(id for id, state in of_deployments.items() if state == "suspect"),
    )
