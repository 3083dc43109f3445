"""The form of keys that the gateway makes: `lk-<id>-<secret><checksum>`.

The id is public: a key is found by it. The secret has 256 random bits. The checksum lets the gateway, and scanners for leaked
secrets, tell a key from a typo without a look-up.
"""

import base64
import re
import secrets
import zlib
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

PREFIX = b"lk-"
IMPORTED_PREFIX = b"sk-"  # LiteLLM makes no others
ID_CHARS = 12
_KEY = re.compile(rb"(lk-([a-z2-7]{12})-([A-Za-z0-9_-]{43}))([0-9A-Za-z]{6})")
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKSUM_CHARS = 6


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A key of this form, whose checksum is right.

    Attributes:
        id: its public id.
        secret: what the store has a digest of.
    """

    id: str
    secret: bytes


def new_id() -> str:
    """A public id: 60 random bits in base 32."""
    return base64.b32encode(secrets.token_bytes(8)).decode().lower()[:ID_CHARS]


def new_key(key_id: str) -> str:
    """A new key with this id."""
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=")
    body = PREFIX + key_id.encode() + b"-" + secret
    return (body + _checksum(body)).decode()


@lru_cache(1024)
def parse_key(key: bytes) -> ParsedKey | None:
    """The parts of a key; None if it does not have this form, or its checksum is wrong."""
    match = _KEY.fullmatch(key)
    if match is None or match[4] != _checksum(match[1]):
        return None
    return ParsedKey(match[2].decode(), match[3])


def imported_key(digest: bytes) -> ParsedKey:
    """The id and secret under which a key of LiteLLM is kept, of which only its SHA-256, `digest`, is known.

    The id follows from it, so that such a key is found by one look-up as others are.
    """
    return ParsedKey(base64.b32encode(digest[:8]).decode().lower()[:ID_CHARS], b"sha256:" + digest.hex().encode())


@lru_cache(1024)
def parse_imported(key: bytes) -> ParsedKey | None:
    """The id and secret of a key that may be one of LiteLLM; None if it does not begin as those do."""
    return imported_key(sha256(key).digest()) if key.startswith(IMPORTED_PREFIX) else None


def _checksum(body: bytes) -> bytes:
    number, digits = zlib.crc32(body), ""
    for _ in range(_CHECKSUM_CHARS):
        number, digit = divmod(number, len(_BASE62))
        digits = _BASE62[digit] + digits
    return digits.encode()
