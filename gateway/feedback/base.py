"""Which embedding of a model its outcomes refine, and which one is in use."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.model_versions.stored import Version
from router.errors import ArtifactError
from router.model.embedding import Embedding, Embeddings
from router.model.serving import Router


@dataclass(frozen=True, slots=True)
class Standing:
    """The embeddings of one model.

    Attributes:
        base: without outcomes: what onboarding or a drift alarm made of the model, else that of the model spaces.
        live: in use.
        gone_back: a refinement that had gone live is no longer in use, because the operator went back to an earlier version.
    """

    base: Embedding
    live: Embedding
    gone_back: bool


def standing_of(versions: Sequence[Version], router: Router, name: str | None) -> Standing | None:
    """How a model stands; None if nothing is known of it that could be refined.

    Args:
        versions: of the model, the newest first; those of its deployments are left out.
        router: of the checkpoint and model spaces of the portfolio.
        name: of the model in these model spaces; None if they do not have it.
    """
    ours = [v for v in versions if v.deployment is None and v.checkpoint == router.checkpoint]
    live = next((v for v in ours if v.live), None)
    in_spaces = None if name is None else router.space.embeddings.row(int(router.space.rows([name])[0]))
    number = 0 if live is None else live.version
    made = live
    if live is None or live.source == "refinement":
        earlier = (v for v in ours if v.used and v.source != "refinement" and v.version < number)
        made = next(earlier, None)
    base = in_spaces if made is None else _readable(made, router)
    if base is None:
        return None
    used = None if live is None else _readable(live, router)
    gone_back = any(v.source == "refinement" and v.used and v.version > number for v in ours)
    return Standing(base, used or base, gone_back)


def _readable(version: Version, router: Router) -> Embedding | None:
    """The embedding of a version; None if another version of this package wrote it."""
    try:
        embedding = version.embedding()
    except ArtifactError:
        return None
    return embedding if Embeddings.of([embedding]).widths() == router.space.embeddings.widths() else None
