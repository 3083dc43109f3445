"""Finds the embedding of each model of a portfolio in the model space, and its variants by reasoning setting."""

from dataclasses import dataclass, replace

from gateway.config.known_as import CUSTOM
from gateway.config.portfolio import NO_EMBEDDING, Model, Portfolio
from gateway.request.reasoning_setting import reasoning_setting
from router.errors import ArtifactError
from router.model.model_families import RANKS, Family
from router.model.relatives import Relatives
from router.model.space import ModelSpace


@dataclass(frozen=True, slots=True)
class FoundEmbedding:
    """What a model of a portfolio is in the model space.

    Attributes:
        family: None if the space has no such model, or none is certain.
        setting: the reasoning setting of requests that state none.
        fixed: the deployment decides the setting, whatever a request asks for.
        known_as: the name of a deployment that shows what model it is; None if the portfolio states the embedding.
        why_none: the reason where `family` is None.
        several: its deployments' names mean more than one model.
    """

    family: Family | None
    setting: str | None = None
    fixed: bool = False
    known_as: str | None = None
    why_none: str = ""
    several: bool = False

    @property
    def name(self) -> str | None:
        """The full name in the model space."""
        return None if self.family is None else self.family.variant(self.setting)


def find_embedding(model: Model, space: ModelSpace) -> FoundEmbedding:
    """The embedding that the portfolio states for a model; else the one that its deployments' names mean.

    Raises:
        ArtifactError: the space lacks the stated embedding.
    """
    if model.embedding == NO_EMBEDDING:
        return FoundEmbedding(None, why_none=f"`embedding: {NO_EMBEDDING}`")
    deployed = next((s for d in model.deployments if (s := reasoning_setting(d.params)) is not None), None)
    if model.embedding is not None:
        family = space.family(model.embedding)
        setting = deployed if family.setting is None else family.setting
        return FoundEmbedding(family, setting, fixed=deployed is not None)
    meant: dict[str, tuple[str, Family]] = {}  # full name -> the deployment's name, and the family
    for name in dict.fromkeys(d.known_as for d in model.deployments if d.known_as):
        for family in space.families.find(name):
            meant.setdefault(family.name, (name, family))
    if not meant:
        names = ", ".join(dict.fromkeys(d.known_as.removeprefix(CUSTOM) for d in model.deployments))
        return FoundEmbedding(None, why_none=f"the model space has no {names}")
    if len(meant) > 1:
        why_none = f"its deployments may be {' or '.join(meant)}: state `embedding`"
        return FoundEmbedding(None, why_none=why_none, several=True)
    name, family = next(iter(meant.values()))
    setting = family.setting if deployed is None else deployed
    return FoundEmbedding(family, setting, fixed=setting is not None, known_as=name)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """The embedding that a model borrows.

    Attributes:
        known_as: the name that says what model it is.
        relative: full name in the space of the model whose embedding it is, at the reasoning setting of the deployment.
    """

    known_as: str
    relative: str


def borrowed(model: Model, found: FoundEmbedding, relatives: Relatives, space: ModelSpace) -> Borrowed | None:
    """What a model borrows that is not in the space.

    Returns:
        None if it is in the space, `embedding: none` forbids it, its deployments are several models, or no name says what it is.
    """
    if found.family is not None or found.several or model.embedding == NO_EMBEDDING:
        return None
    names = [name for d in model.deployments for name in (d.known_as, d.upstream_model) if name]
    nearest = relatives.find(list(dict.fromkeys([*names, model.name])))
    if nearest is None:
        return None
    name, relative = nearest
    setting = next((s for d in model.deployments if (s := reasoning_setting(d.params)) is not None), None)
    family = space.family(relative.name)
    return Borrowed(name, relative.name if setting is None else family.variant(setting))


def found_embeddings(portfolio: Portfolio, space: ModelSpace) -> dict[str, FoundEmbedding]:
    """What each model of a portfolio is in the space, by name, in its order.

    Raises:
        ArtifactError: the space lacks embeddings that the portfolio states: a line for each, with its line in the file and similar
            names.
    """
    found, problems = {}, []
    for model in portfolio.models:
        try:
            found[model.name] = find_embedding(model, space)
        except ArtifactError as exc:
            problems.append(f"{portfolio.places.get(model.name, model.name)}: {exc}")
    if problems:
        raise ArtifactError("\n".join(problems))
    return found


def with_embedding(model: Model, found: FoundEmbedding) -> Model:
    """The model with its embedding by its full name in the space, and with the variants by reasoning setting."""
    if found.family is None or found.fixed:
        return replace(model, embedding=found.name)
    variants = {setting: found.family.variant(setting) for setting in RANKS if setting is not None}
    others = {setting: name for setting, name in variants.items() if name != found.name}
    return replace(model, embedding=found.name, embedding_by_setting=others)
