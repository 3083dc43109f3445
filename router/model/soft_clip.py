"""The bend of an expected score into [0, 1]."""

import numpy as np
from numpy.typing import NDArray

SOFTNESS = 0.04  # width of the bend at 0 and 1


def soft_clip(value: NDArray[np.float32]) -> NDArray[np.float32]:
    """An expected score, any shape, as a probability in [0, 1], float32. Strictly increasing, so that it keeps the order of models.

    s (softplus(v / s) - softplus((v - 1) / s)) with s = `SOFTNESS`: the identity, except that it bends near 0 and 1.
    """
    soft = np.float32(SOFTNESS)
    bent: NDArray[np.float32] = soft * (np.logaddexp(0, value / soft) - np.logaddexp(0, (value - 1) / soft))
    return bent.astype(np.float32, copy=False)
