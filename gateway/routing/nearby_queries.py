"""The evidence for a choice, as `POST /v1/route` returns it.

It consists of evaluated queries near the request that the winner passed and the runner-up failed.
"""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from gateway.core.json_types import JsonObject
from router.model.evidence import NearestQueries
from router.model.serving import Router


def explain_evidence(
    router: Router, q: NDArray[np.float32] | None, winner: str | None, runner_up: str | None
) -> JsonObject:
    """{"queries": [{"query_id", "benchmark", "similarity", "winner_score", "runner_up_score"}, …], "why_none": None}

    The nearest queries first, at most five. If there are none, `why_none` is the reason.

    Args:
        q: encoding of the request, (1, d_q); None if it is not known.
        winner, runner_up: names in the model space; None for a model without an embedding, or if there is no such model.
    """
    nearest = _nearest(router, q, winner, runner_up)
    return {"queries": [asdict(query) for query in nearest.queries], "why_none": nearest.why_none}


def _nearest(
    router: Router, q: NDArray[np.float32] | None, winner: str | None, runner_up: str | None
) -> NearestQueries:
    if winner is None or runner_up is None:
        return NearestQueries((), "there are not two models with an embedding to compare")
    if winner == runner_up:
        return NearestQueries((), f"both models are {winner} in the model space")
    if q is None:
        return NearestQueries((), "the encoding of the query is not known")
    return router.evidence.nearest(q.reshape(-1)[: router.encoder.text_dim], winner, runner_up)
