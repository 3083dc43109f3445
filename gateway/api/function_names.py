"""Function names that chat APIs accept: at most 64 letters, digits, `_` and `-`."""

import hashlib
import re

MAX_NAME_CHARS = 64
_INVALID_CHAR = re.compile(r"[^A-Za-z0-9_-]")


def short_name(name: str) -> str:
    """Return the name; a name over the limit is cut and ends in its hash, which keeps it unique."""
    return name if len(name) <= MAX_NAME_CHARS else name_with_hash(name, name)


def name_with_hash(name: str, hashed: str) -> str:
    """Return `name`, cut if necessary, followed by `_` and eight digits of the hash of `hashed`."""
    return f"{name[: MAX_NAME_CHARS - 9]}_{hashlib.sha256(hashed.encode(errors='replace')).hexdigest()[:8]}"


def valid_name(name: str) -> str:
    """Return `short_name` with `_` in place of each character that chat APIs do not accept: `a.b` becomes `a_b`."""
    return short_name(_INVALID_CHAR.sub("_", name))
