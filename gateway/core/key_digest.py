"""Whose request it is, without the key itself: a digest of the key that authenticated the request.

The edge alone knows which key that is. It takes the credentials out of a request's headers and puts the owner there, so that
nothing that a client writes can choose an owner, and no key travels further in.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

OWNER = b"(owner)"  # no client can send a header with brackets in its name
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})

RawHeaders = Iterable[tuple[bytes, bytes]]


def key_digest(headers: Mapping[bytes, bytes]) -> str:
    """The same for all requests with the same key, and for all without one; the key cannot be told from it.

    Args:
        headers: of a request that has passed the edge.
    """
    return headers.get(OWNER, b"").decode("latin-1")


def with_key_digest(headers: RawHeaders, key: bytes) -> list[tuple[bytes, bytes]]:
    """The headers with the owner in place of all credentials.

    Args:
        headers: of the request, names in lower case.
        key: the key that authenticated it; empty where the gateway has no keys.
    """
    kept = [pair for pair in headers if pair[0] not in _CREDENTIALS]
    kept.append((OWNER, _digest(key)))
    return kept


@lru_cache(1024)
def _digest(key: bytes) -> bytes:
    return blake2b(key, digest_size=16, person=b"locus owner").hexdigest().encode()
