"""A digest of the gateway key that authenticated a request: tells clients apart without exposing the key.

Only the edge sees the key. It removes the credentials from the request's headers and adds the digest under a header name that no
client can send, so a client cannot choose its digest, and no key reaches the rest of the gateway.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

HEADER = b"(key-digest)"  # not a valid header name, so no client can send it
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})

RawHeaders = Iterable[tuple[bytes, bytes]]


def key_digest(headers: Mapping[bytes, bytes]) -> str:
    """Return the digest of the request's key. Requests without a key share one digest; the key cannot be recovered from it.

    Args:
        headers: of a request that the edge has authenticated.
    """
    return headers.get(HEADER, b"").decode("latin-1")


def with_key_digest(headers: RawHeaders, key: bytes) -> list[tuple[bytes, bytes]]:
    """Return the headers with the digest in place of all credentials.

    Args:
        headers: of the request, names in lower case.
        key: the key that authenticated it; empty where the gateway has no keys.
    """
    kept = [pair for pair in headers if pair[0] not in _CREDENTIALS]
    kept.append((HEADER, owner_of(key).encode()))
    return kept


@lru_cache(1024)
def owner_of(key: bytes) -> str:
    """The digest of a plain key; the key cannot be recovered from it."""
    return blake2b(key, digest_size=16, person=b"locus owner").hexdigest()
