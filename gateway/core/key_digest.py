"""The owner of a request's conversations and stored responses: the id of its gateway key, or a digest of a plain key.

Only the edge sees the key. It removes the credentials from the request's headers and adds the owner under a header name that no
client can send, so a client cannot choose its owner, and no key reaches the rest of the gateway.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

HEADER = b"(owner)"  # not a valid header name, so no client can send it
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})

RawHeaders = Iterable[tuple[bytes, bytes]]


def key_digest(headers: Mapping[bytes, bytes]) -> str:
    """Return the owner of the request. Requests without a key share one owner; no key can be recovered from it.

    Args:
        headers: of a request that the edge has authenticated.
    """
    return headers.get(HEADER, b"").decode()


def with_owner(headers: RawHeaders, owner: str) -> list[tuple[bytes, bytes]]:
    """Return the headers with the owner in place of all credentials.

    Args:
        headers: of the request, names in lower case.
    """
    kept = [pair for pair in headers if pair[0] not in _CREDENTIALS]
    kept.append((HEADER, owner.encode()))
    return kept


@lru_cache(1024)
def owner_of(key: bytes) -> str:
    """The digest of a plain key; the key cannot be recovered from it."""
    return blake2b(key, digest_size=16, person=b"locus owner").hexdigest()
