"""Surface statistics of a text: length, scripts, digits, answer options, formulas, code.

A mean of token vectors loses them. For example, a question with four options, with ten or with none is a different task, but
the mean of its token vectors hardly changes.
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from router.encode.scripts import SPACED, UNSPACED

MAX_CHARS = 4_000
_OPTION = re.compile(r"^[ \t]*\(?([A-J])([.)]) ", re.MULTILINE)
_NUMBER = re.compile(r"\d+")
_NEGATION = re.compile(r"\b(?:not|except|least)\b", re.IGNORECASE)
_WHICH = re.compile(r"\bwhich of (?:the following|these)\b", re.IGNORECASE)
_IMPERATIVE = re.compile(r"\b(?:find|compute|calculate|evaluate|write)\b", re.IGNORECASE)
_MONEY = re.compile(r"[$€£]\d")
_OPERATORS = "=+*/^<>"
_CODE = (
    "def ",
    "return",
    "assert",
    "import ",
    "function",
    "=>",
    "[]",
    "():",
    "{",
    "}",
    ";",
)  # occurrences never overlap
# UTF-8 byte -> its kind: upper case, lower case, digit, first of a character beyond ASCII, anything else.
_BYTE_KINDS = b" " * 48 + b"0" * 10 + b" " * 7 + b"U" * 26 + b" " * 6 + b"l" * 26 + b" " * 69 + b"f" * 64
# Marks of other scripts, as the ones that English texts have.
_MARKS = str.maketrans("？؟，、،；؛：（）［］｛｝＝＋＊／＾＜＞＄．", "??,,,;;:()[]{}=+*/^<>$.")
_UNSPACED, _SPACED = re.compile(f"[{UNSPACED}]+"), re.compile(f"[{SPACED}]+")
_LETTERS_PER_WORD = 1.7  # of scripts without spaces; such a letter counts as three
_DIGITS_ONLY = bytes(b if 48 <= b <= 57 else 32 for b in range(256))
DIM = 34
OPTIONS_COLUMN, OPTIONS_SCALE = 7, 10  # the number of answer options in a text is this statistic times the scale


def surface(texts: Sequence[str]) -> NDArray[np.float32]:
    """Surface statistics, (n, DIM), float32, each of order 1; a function of the first 4,000 characters (and the length)."""
    return np.array([_statistics(text) for text in texts], np.float32).reshape(-1, DIM)


def _statistics(text: str) -> list[float]:
    cut = text[:MAX_CHARS]
    plain = cut.isascii()
    data = cut.encode("utf-8", "replace")
    kinds = data.translate(_BYTE_KINDS)
    length = max(1, len(cut))
    upper, digits = kinds.count(b"U"), kinds.count(b"0")
    letters = upper + kinds.count(b"l")
    unspaced = 0 if plain else sum(map(len, _UNSPACED.findall(cut)))
    spaced = 0 if plain else sum(map(len, _SPACED.findall(cut)))
    if unspaced or spaced:
        cut = cut.translate(_MARKS)
    numbers = len(data.translate(_DIGITS_ONLY).split()) if plain else len(_NUMBER.findall(cut))
    words = max(1.0, len(cut.split()) + unspaced / _LETTERS_PER_WORD)
    marks = [mark for _, mark in _OPTION.findall(cut)]
    dots, brackets = marks.count("."), marks.count(")")
    lower = cut.lower() if plain else None
    return [
        math.log1p(len(text)) / 8,
        math.log1p(words) / 6,
        digits / length * 5,
        upper / length * 5,
        0.0 if plain else kinds.count(b"f") / length,
        0.0 if plain else _han(cut) / length,
        (letters + spaced + 3 * unspaced) / words / 8,
        min(len(marks), 12) / OPTIONS_SCALE,
        float(dots > 1),
        float(brackets > 1),
        float(dots == 4),
        float(dots == 5),
        float(dots >= 9),
        float(brackets == 2),
        float(brackets == 4),
        *_marks(cut, numbers),
        float(cut.rstrip().endswith("?")),
        float("___" in cut),
        float(" _ " in cut),
        float("assert" in cut),
        float(cut.startswith("def ")),
        float('"""' in cut),
        _matches(_NEGATION, cut, lower, ("not", "except", "least")),
        _matches(_WHICH, cut, lower, ("which of the",)),
        _matches(_IMPERATIVE, cut, lower, ("find", "compute", "calculate", "evaluate", "write")),
        float(("$" in cut or "€" in cut or "£" in cut) and _MONEY.search(cut) is not None),
    ]


def _marks(text: str, numbers: int) -> list[float]:
    """How often marks occur that code, formulas and long texts have, and numbers."""
    return [
        math.log1p(text.count("\n")) / 4,
        math.log1p(text.count("$")) / 3,
        math.log1p(text.count("\\")) / 3,
        math.log1p(sum(map(text.count, _OPERATORS))) / 3,
        math.log1p(sum(map(text.count, _CODE))) / 3,
        math.log1p(numbers) / 3,
        math.log1p(text.count("?")) / 2,
        math.log1p(text.count(",")) / 3,
        math.log1p(text.count('"') + text.count("'")) / 3,
    ]


def _matches(pattern: re.Pattern[str], text: str, lower: str | None, words: Sequence[str]) -> float:
    """Return 1.0 if the pattern occurs, else 0.0. Looks first for the words, since every match contains one: that is faster.

    Args:
        lower: the text in lower case; None if it is not ASCII, since IGNORECASE then compares other characters too.
    """
    return float((lower is None or any(word in lower for word in words)) and pattern.search(text) is not None)


def _han(text: str) -> int:
    points = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32)
    return int(((points >= 0x3400) & (points <= 0x9FFF)).sum())
