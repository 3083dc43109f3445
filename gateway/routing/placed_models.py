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
from gateway.routing.model_embeddings import FoundEmbedding, borrowed, found_embeddings, with_embedding
from gateway.routing.standing import Standing, standing_of
from router.errors import ArtifactError
from router.model.embedding import Embedding, Embeddings
from router.model.serving import Router
from router.model.space import ModelSpace

log = logging.getLogger("locus.models")

OWN_PREFIX = "portfolio/"  # of names in the space that only the portfolio gives


@dataclass(frozen=True, slots=True)
class PlacedModels:
    """A portfolio whose models have their embeddings.

    Attributes:
        portfolio: each embedding by its full name in the router's space.
        router: its space has all of them.
        standings: how each model stands, by name.
        found: what each model is in the space of the files, by name.
    """

    portfolio: Portfolio
    router: Router
    standings: Mapping[str, Standing]
    found: Mapping[str, FoundEmbedding]


def placed_models(portfolio: Portfolio, router: Router, in_use: InUse) -> PlacedModels:
    """The models of a portfolio in one space.

    A live version counts more than what the files' space says of the model, and takes its name there. If that space does not have
    the model, or two models of the portfolio have this embedding, it gets a name of its own. `embedding: none` counts most.
    A model that was never evaluated borrows the embedding of its nearest relative. Live versions of single deployments count with
    the share of the model's calls that the deployment gets.

    Args:
        portfolio: as it is in the file.
        router: of its checkpoint and model spaces.

    Raises:
        ArtifactError: the space lacks an embedding that the portfolio states.
    """
    space, relatives = router.space, router.relatives
    found = found_embeddings(portfolio, space)
    known = [with_embedding(model, found[model.name]) for model in portfolio.models]
    uses = Counter(model.embedding for model in known)
    models: list[Model] = []
    added: dict[str, Embedding] = {}
    standings = {}
    for stated, model in zip(portfolio.models, known, strict=True):
        version = in_use.versions.get(model.name) if stated.embedding != NO_EMBEDDING else None
        embedding = None if version is None else _usable(version, router)
        if embedding is not None:
            shared = model.embedding is None or uses[model.embedding] > 1
            name = own_name(model.name, space) if shared or model.embedding is None else model.embedding
            added[name] = embedding
            model = replace(model, embedding=name)
        own = model.embedding is not None
        lent = None if own else borrowed(stated, found[model.name], relatives, space)
        if lent is not None:
            name = own_name(model.name, space)
            added[name] = relatives.borrow(lent.known_as, lent.relative)
            model = replace(model, embedding=name)
        if model.embedding is not None and len(model.deployments) > 1:
            model = _with_deployments(model, router, in_use, added)
        models.append(model)
        number = version.version if version is not None and embedding is not None else None
        relative = None if lent is None else lent.relative
        standings[model.name] = _standing(model, number, relative, in_use)
    if added:
        more = ModelSpace(list(added), Embeddings.of(list(added.values())), space.checkpoint)
        router = router.joined(more)
    return PlacedModels(replace(portfolio, models=tuple(models)), router, standings, found)


def _with_deployments(model: Model, router: Router, in_use: InUse, added: dict[str, Embedding]) -> Model:
    """The model with the embeddings that its deployments have by themselves, each with the share of the calls that it gets.

    Deployments that are never called have no share. A version that is older than the last onboarding of the model says nothing new.

    Args:
        added: gets the embeddings.
    """
    states = {one.id: in_use.of_deployments.get((model.name, one.id)) for one in model.deployments}
    called = [one for one in model.deployments if one.missing_key is None]
    free = [one for one in called if (state := states[one.id]) is None or state.state != "quarantined"]
    called = free or called
    total = sum(one.weight for one in called)
    of_model = in_use.versions.get(model.name)
    since = of_model.time if of_model is not None and of_model.source == "onboarding" else 0.0
    parts = []
    for one in called:
        version = in_use.versions_of_deployments.get((model.name, one.id))
        embedding = None if version is None or version.time < since else _usable(version, router)
        if embedding is not None:
            name = f"{OWN_PREFIX}{model.name}/deployment/{one.id}"
            added[name] = embedding
            parts.append((name, one.weight / total))
    return replace(model, embedding_of_deployments=tuple(parts))


def own_name(model: str, space: ModelSpace) -> str:
    """The name in the space of a model that the space does not know: that of the portfolio, unless another model has it."""
    return f"{OWN_PREFIX}{model}" if model in space.models else model


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
