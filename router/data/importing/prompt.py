"""Prompts: which texts are the same query, and which split a query belongs to."""

import hashlib
import re
import unicodedata
from collections.abc import Sequence

SPLIT_SHARES = (("train", 0.7), ("val", 0.1), ("test", 0.2))
STRICTEST_FIRST = ("test", "val", "train")

_SPACE = re.compile(r"\s+")


def normalise_prompt(prompt: str) -> str:
    """The text in composed Unicode, with \\n as line end, without leading and trailing blanks. Equal results are one query."""
    return unicodedata.normalize("NFC", prompt).replace("\r\n", "\n").replace("\r", "\n").strip()


def split_key(prompt: str) -> str:
    """The text without differences of case, blanks and compatible letters. Prompts with equal keys share a split.

    >>> split_key("  What is\\n2 + 2? ") == split_key("what is 2 + 2?")
    True
    """
    return _SPACE.sub(" ", unicodedata.normalize("NFKC", prompt)).strip().casefold()


def assign_split(key: str, seed: int = 0) -> str:
    """The split for a split key, by its hash alone: 70 % train, 10 % val, 20 % test. Another seed gives another division."""
    digest = hashlib.sha256(f"{seed}\n{key}".encode("utf-8", "surrogatepass")).digest()
    position = int.from_bytes(digest[:8], "big") / 2**64
    for split, share in SPLIT_SHARES:
        if position < share:
            return split
        position -= share
    return SPLIT_SHARES[-1][0]


def strictest_split(splits: Sequence[str]) -> str:
    """The split among several stated ones that keeps test questions out of training: test before val before train."""
    return min(splits, key=STRICTEST_FIRST.index)


def with_options(question: str, options: Sequence[str]) -> str:
    """The question and its lettered options, one per line: `with_options("Which?", ["x", "y"])` -> "Which?\\nA. x\\nB. y"."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    lettered = [f"{letters[i] if i < len(letters) else i + 1}. {option}" for i, option in enumerate(options)]
    return "\n".join([question, *lettered])
