"""A sample of the logged requests that can be decided again, for questions about the portfolio as a whole."""

from dataclasses import dataclass, replace

import numpy as np

from gateway.replay.decider import Asked
from gateway.replay.logged import Log, LoggedRequest
from gateway.replay.reasons import why_not
from gateway.routing.placed_models import PlacedModels

MOST = 3_000  # of a sample; the chance in their answers is then below a point


@dataclass(frozen=True)
class Sample:
    """A sample without replacement.

    Attributes:
        asked: the requests.
        of: the number of requests that could be decided again, of which they are a sample.
        requests: all requests of the log.
    """

    asked: Asked
    of: int
    requests: int


def sample(log: Log, checkpoint: str, most: int = MOST, seed: int = 0) -> Sample:
    """Draws a sample; every request that can be decided again has the same chance (Vitter's reservoir).

    Args:
        checkpoint: the id of the one in use.
    """
    rng = np.random.default_rng(seed)
    kept: list[LoggedRequest] = []
    count = requests = 0
    for chunk in log.requests():
        requests += len(chunk)
        for row in chunk:
            if why_not(row, checkpoint) is not None:
                continue
            count += 1
            if len(kept) < most:
                kept.append(row)
            elif (place := int(rng.integers(count))) < most:
                kept[place] = row
    return Sample(Asked.of(kept), count, requests)


def only(placed: PlacedModels, name: str) -> PlacedModels:
    """The same portfolio with this model alone."""
    models = tuple(model for model in placed.portfolio.models if model.name == name)
    return replace(placed, portfolio=replace(placed.portfolio, models=models))
