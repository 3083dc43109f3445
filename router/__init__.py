"""LOCUS (arXiv 2601.21082): evaluations in, model embeddings and predictions of correctness out. Knows nothing of HTTP.

    from router import Router

The public names load when they are first used, so `import router` is cheap.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.errors import ArtifactError, DataError, MissingPackage, RouterError
    from router.model.embedding import Embedding
    from router.model.predictor import Prediction
    from router.model.scorer import Scorer
    from router.model.serving import Router
    from router.model.space import ModelSpace, Neighbor

__all__ = [
    "ArtifactError",
    "DataError",
    "Embedding",
    "MissingPackage",
    "ModelSpace",
    "Neighbor",
    "Prediction",
    "Router",
    "RouterError",
    "Scorer",
]
_MODULES = {
    "Embedding": "router.model.embedding",
    "ModelSpace": "router.model.space",
    "Neighbor": "router.model.space",
    "Prediction": "router.model.predictor",
    "Router": "router.model.serving",
    "Scorer": "router.model.scorer",
}


def __getattr__(name: str) -> object:
    """Imports the module of a public name when the name is first used."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_MODULES.get(name, "router.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
