"""The surface of a text as numbers: length, scripts, digits, options, formulas, code. What a mean of token vectors loses.

The same question asked with four options, with ten, or with none is another task; a bag of tokens hardly sees that.
"""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_CHARS = 4_000
_OPTION = re.compile(r"^[ \t]*\(?([A-J])([.)]) ", re.MULTILINE)
_NUMBER = re.compile(r"\d+")
_OPERATOR = re.compile(r"[=+*/^<>]")
_CODE = re.compile(r"def |return|assert|import |function|=>|\[\]|\(\):|[{};]")
_NEGATION = re.compile(r"\b(?:not|except|least)\b", re.IGNORECASE)
_WHICH = re.compile(r"\bwhich of (?:the following|these)\b", re.IGNORECASE)
_IMPERATIVE = re.compile(r"\b(?:find|compute|calculate|evaluate|write)\b", re.IGNORECASE)
_MONEY = re.compile(r"[$€£]\d")
DIM = 34


def surface(texts: Sequence[str]) -> NDArray[np.float32]:
    """Surface statistics, (n, DIM), float32, each of order 1; a function of the first 4,000 characters (and the length)."""
    return np.array([_describe(text) for text in texts], np.float32).reshape(-1, DIM)


def _describe(text: str) -> list[float]:
    cut = text[:MAX_CHARS]
    points = np.frombuffer(cut.encode("utf-32-le", "replace"), np.uint32)
    length = max(1, len(points))
    upper = int(((points >= 65) & (points <= 90)).sum())
    letters = upper + int(((points >= 97) & (points <= 122)).sum())
    digits = int(((points >= 48) & (points <= 57)).sum())
    foreign = int((points > 127).sum())
    han = int(((points >= 0x3400) & (points <= 0x9FFF)).sum())
    words = max(1, len(cut.split()))
    marks = [mark for _, mark in _OPTION.findall(cut)]
    dots, brackets = marks.count("."), marks.count(")")
    return [
        np.log1p(len(text)) / 8,
        np.log1p(words) / 6,
        digits / length * 5,
        upper / length * 5,
        foreign / length,
        han / length,
        letters / words / 8,
        min(len(marks), 12) / 10,
        float(dots > 1),
        float(brackets > 1),
        float(dots == 4),
        float(dots == 5),
        float(dots >= 9),
        float(brackets == 2),
        float(brackets == 4),
        np.log1p(cut.count("\n")) / 4,
        np.log1p(cut.count("$")) / 3,
        np.log1p(cut.count("\\")) / 3,
        np.log1p(len(_OPERATOR.findall(cut))) / 3,
        np.log1p(len(_CODE.findall(cut))) / 3,
        np.log1p(len(_NUMBER.findall(cut))) / 3,
        np.log1p(cut.count("?")) / 2,
        np.log1p(cut.count(",")) / 3,
        np.log1p(cut.count('"') + cut.count("'")) / 3,
        float(cut.rstrip().endswith("?")),
        float("___" in cut),
        float(" _ " in cut),
        float("assert" in cut),
        float(cut.startswith("def ")),
        float('"""' in cut),
        float(_NEGATION.search(cut) is not None),
        float(_WHICH.search(cut) is not None),
        float(_IMPERATIVE.search(cut) is not None),
        float(_MONEY.search(cut) is not None),
    ]
