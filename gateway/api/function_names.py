"""Names that chat APIs take for functions: at most 64 letters, digits, `_` and `-`."""

import hashlib
import re

NAME_CHARS = 64
_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")


def short_name(name: str) -> str:
    """A name that chat APIs take: a long one is cut, with a hash at its end so that it stays the only one."""
    return name if len(name) <= NAME_CHARS else hashed_name(name, name)


def hashed_name(name: str, of: str) -> str:
    """`name`, cut where it must be, with a hash of `of` at its end."""
    return f"{name[: NAME_CHARS - 9]}_{hashlib.sha256(of.encode(errors='replace')).hexdigest()[:8]}"


def allowed_name(name: str) -> str:
    """`short_name`, with `_` for each character that chat APIs do not take: `a.b` is `a_b`."""
    return short_name(_NOT_IN_NAME.sub("_", name))
