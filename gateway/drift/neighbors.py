"""What the models nearest to a deployment would answer to probes, for the choice of those that tell them apart."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.drift.asked import Asked
from gateway.drift.baseline import graded_by_probe
from router.drift.probe_choice import NEIGHBORS
from router.model.embedding import Embedding
from router.model.serving import Router


def embedded(router: Router, queries: dict[str, str], answers: Sequence[Asked], name: str | None) -> Embedding | None:
    """The embedding of a deployment from its first answer to each probe; None without any.

    Args:
        queries: the text of each probe, by its id.
        name: of the model, as the space would call it.
    """
    first = {probe: found[0].score for probe, found in graded_by_probe(answers).items() if probe in queries}
    scores = {probe: score for probe, score in first.items() if score is not None}
    if not scores:
        return None
    return router.embed([queries[probe] for probe in scores], list(scores.values()), name)


def neighbors_scores(router: Router, embedding: Embedding, queries: Sequence[str]) -> NDArray[np.float32]:
    """P(correct) of the ten nearest models of the space, (K, B), as graders of benchmarks would score them."""
    nearest = [neighbor.model for neighbor in router.neighbors(embedding, NEIGHBORS)]
    q = router.encoder.encode(list(queries))
    return router.scorer(nearest).p_correct(q, graded=True).T
