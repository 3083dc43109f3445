"""How long requests took, counted in buckets whose bounds grow by a constant factor. Pure functions."""

from collections.abc import Mapping
from math import ceil, log2

_PER_OCTAVE = 4  # so that a quantile is off by less than 10%


def bucket_of(ms: float) -> int:
    """The bucket of a latency in milliseconds: bucket b holds those above 2^((b-1)/4), up to 2^(b/4). 0: up to 1 ms."""
    return 0 if ms <= 1 else ceil(_PER_OCTAVE * log2(ms))


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """The latency in milliseconds that a share `q` of the requests did not exceed, interpolated within its bucket.

    Args:
        counts: of requests by bucket.

    Returns:
        None if there was no request.
    """
    rank = q * sum(counts.values())
    below = 0
    for bucket in sorted(counts):
        if counts[bucket] and below + counts[bucket] >= rank:
            into = (rank - below) / counts[bucket]
            return float(2 ** ((bucket - 1 + into) / _PER_OCTAVE)) if bucket else into
        below += counts[bucket]
    return None
