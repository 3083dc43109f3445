"""The shipped checkpoint, for tests of the router without a gateway."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from router.model.checkpoint import load_checkpoint
from router.model.embedding import Embedding, Embeddings
from router.model.locus import Locus
from router.model.predictor import Predictor
from router.model.serving import Router


@cache
def shipped() -> Router:
    """The shipped router with its space."""
    return Router.load()


@cache
def shipped_locus() -> Locus:
    """The weights of the shipped checkpoint."""
    loaded = load_checkpoint()
    return Locus.restore(loaded.weights, loaded.card["config"])


def graded(model: Embedding, q: NDArray[np.float32]) -> NDArray[np.float32]:
    """P(correct) as graders score it, so that familiarity does not depend on the form of the prompts, (n,)."""
    predictor = Predictor(shipped_locus(), Embeddings.of([model]))
    return predictor.predict(q, graded=True).p_correct[:, 0]
