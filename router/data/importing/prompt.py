"""The text of a question: which texts are the same query, and which split a query falls in."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

SHARES = (("train", 0.7), ("val", 0.1), ("test", 0.2))
MOST_HELD_OUT = ("test", "val", "train")

_SPACE = re.compile(r"\s+")


def identity(prompt: str) -> str:
    """Texts with the same identity are one query: composed Unicode, plain line ends, no blanks around."""
    return unicodedata.normalize("NFC", prompt).replace("\r\n", "\n").replace("\r", "\n").strip()


def likeness(prompt: str) -> str:
    """Texts with the same likeness ask the same question, and so share a split: compatible letters, case and blanks folded.

    >>> likeness("  What is\\n2 + 2? ") == likeness("what is 2 + 2?")
    True
    """
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", prompt)).strip().casefold()


def split_of(alike: str, seed: int = 0) -> str:
    """The split of a likeness: 70 % train, 10 % val, 20 % test, by its hash alone; another seed, another division."""
    digest = hashlib.sha256(f"{seed}\n{alike}".encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SHARES:
        if position < share:
            return split
        position -= share
    return SHARES[-1][0]


def most_held_out(splits: Sequence[str]) -> str:
    """The one of several stated splits that keeps test questions out of training: test before val before train."""
    return min(splits, key=MOST_HELD_OUT.index)


def with_options(question: str, options: Sequence[str]) -> str:
    """The question with its options lettered, one a line: `with_options("Which?", ["x", "y"])` -> "Which?\\nA. x\\nB. y"."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lettered = [f"{letters[i] if i < len(letters) else i + 1}. {option}" for i, option in enumerate(options)]
    return "\n".join([question, *lettered])
