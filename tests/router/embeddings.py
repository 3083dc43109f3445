"""Embeddings with given places in the space, for tests of what only needs places."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.model.embedding import Embeddings


def embeddings(z: NDArray[np.floating], evaluations: Sequence[int] | None = None) -> Embeddings:
    """Embeddings of M models at `z`, (M, d), with small arrays of arbitrary values otherwise."""
    number = len(z)
    values = np.linspace(0.1, 0.9, number)
    return Embeddings.of_arrays(
        {
            "z": z,
            "named": z,
            "correction": np.tile(values[:, None], 5),
            "readout": np.tile(values[:, None], 3),
            "variances": np.tile(values[:, None], 2),
            "ability": values,
            "ability_variance": values,
            "level": -values,
            "evaluations": np.array([1] * number if evaluations is None else evaluations),
        }
    )
