r"""Numbers in text, exact: "1,234.50", "1.234,5", "−3", "½", "2 1/3", "\frac{3}{4}", "1.5 × 10^3", "2 million", "50%"."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from router.probes.checkers.number_words import words_in

Decimal = Literal[".", ","]
MOST_DIGITS = 400

_UNICODE = {
    "½": Fraction(1, 2), "⅓": Fraction(1, 3), "⅔": Fraction(2, 3), "¼": Fraction(1, 4), "¾": Fraction(3, 4), "⅕": Fraction(1, 5),
    "⅖": Fraction(2, 5), "⅗": Fraction(3, 5), "⅘": Fraction(4, 5), "⅙": Fraction(1, 6), "⅚": Fraction(5, 6), "⅐": Fraction(1, 7),
    "⅛": Fraction(1, 8), "⅜": Fraction(3, 8), "⅝": Fraction(5, 8), "⅞": Fraction(7, 8), "⅑": Fraction(1, 9), "⅒": Fraction(1, 10),
}  # fmt: skip
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SCALES = {
    "hundred": 100, "thousand": 1_000, "million": 10**6, "millions": 10**6, "mn": 10**6, "mio": 10**6, "millionen": 10**6,
    "billion": 10**9, "billions": 10**9, "bn": 10**9, "mrd": 10**9, "milliarden": 10**9, "milliards": 10**9, "trillion": 10**12,
    "tausend": 1_000, "mille": 1_000, "mil": 1_000, "millones": 10**6, "milhões": 10**6, "milioni": 10**6, "lakh": 10**5,
    "crore": 10**7, "千": 1_000, "万": 10**4, "萬": 10**4, "億": 10**8, "亿": 10**8,
}  # fmt: skip
_FRACTION_SIGNS = "".join(_UNICODE)
_TOKEN = re.compile(
    r"(?P<sign>(?<![A-Za-z0-9_).\]])(?:[-+±–][ ]?|(?:minus|negative)[ ])?)"
    r"(?P<currency>(?:US|A|C)?[$€£¥₹₩][ ]?|\\\$[ ]?|(?:USD|EUR|CHF|GBP|JPY|CNY|INR)[ ]?)?(?P<inner>-)?"
    r"(?:\\[dtc]?frac[ ]?\{?(?P<top>-?\d{1,40})\}?[ ]?\{?(?P<bottom>\d{1,40})\}?"
    rf"|(?P<whole>\d{{1,40}})?[ ]?(?P<special>[{_FRACTION_SIGNS}])"
    r"|(?P<mixed>\d{1,40})[ ](?P<mtop>\d{1,9})/(?P<mbottom>\d{1,9})(?![\d/])"
    r"|(?P<plain>\d{1,400}(?:(?:[.,'_]|\{,\}|\\,)\d{1,400}){0,130}(?:[ ]\d{3}(?!\d)){0,130}(?:[.,]\d{1,400})?|\.\d{1,400}))"
)
_AFTER = re.compile(
    r"(?:[eE](?P<e>[+-]?\d{1,3})(?![\w.])"
    r"|[ ]?(?:×|x|\*|·|⋅|\\times|\\cdot)[ ]?10(?:[ ]?(?:\^|\*\*)[ ]?\{?(?P<ten>[+-]?\d{1,3})\}?|(?P<super>[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
    r"|[ ]?(?:\^|\*\*)[ ]?\{?(?P<power>-?\d{1,3})\}?|(?P<superpower>[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))?"
    r"(?:[ ]?/[ ]?(?P<over>\d{1,40})(?!\d|/|\.\d))?"
    r"(?P<percent>[ ]?\\?%|[ ]percent|[ ]Prozent|[ ]pour cent|[ ]por ciento)?"
    rf"(?:[ ]?(?P<scale>{'|'.join(sorted(_SCALES, key=len, reverse=True))})(?![a-zäöüéèíõ]))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text.

    Attributes:
        percent: it is followed by a sign for percent; the value is what stands before it.
    """

    value: Fraction
    start: int
    end: int
    percent: bool = False


def numbers_in(text: str, decimal: Decimal = ".") -> list[Number]:
    """The numbers in a text with plain signs, in order; those in words only if none is in digits.

    Args:
        decimal: the sign before decimals where the text does not tell: "1,234" is 1234 with "." and 1.234 with ",".
    """
    return list(_digits(text, decimal)) or [Number(Fraction(value), *span) for value, span in words_in(text)]


def _digits(text: str, decimal: Decimal) -> Iterator[Number]:
    position = 0
    while (match := _TOKEN.search(text, position)) is not None:
        position = match.end()
        plain = _plain_value(match["plain"], decimal) if match["plain"] else _fraction(match)
        if plain is None:
            yield from _several(match)
            continue
        after = _AFTER.match(text, match.end())
        value = _scaled(plain, after)
        position = after.end() if after else match.end()
        if value is not None:
            yield Number(_signed(value, match), match.start(), position, bool(after and after["percent"]))


def _several(match: re.Match[str]) -> Iterator[Number]:
    """The numbers of a list without spaces, such as "3,4,5", or of a date, such as "24.12.2026"."""
    if match["plain"]:
        start = match.start("plain")
        for i, part in enumerate(re.finditer(r"\d+", match["plain"])):
            value = Fraction(int(part[0]))
            yield Number(_signed(value, match) if i == 0 else value, start + part.start(), start + part.end())


def _signed(value: Fraction, match: re.Match[str]) -> Fraction:
    return -value if match["sign"].strip() in ("-", "–", "minus", "negative") or match["inner"] else value


def _fraction(match: re.Match[str]) -> Fraction | None:
    if match["special"]:
        return int(match["whole"] or 0) + _UNICODE[match["special"]]
    whole, top, bottom = match["mixed"] or 0, match["top"] or match["mtop"], match["bottom"] or match["mbottom"]
    return int(whole) + Fraction(int(top), int(bottom)) if int(bottom) else None


def _scaled(value: Fraction, after: re.Match[str] | None) -> Fraction | None:
    """The value with what follows it: a power of ten, an exponent, a divisor, "million"."""
    if after is None:
        return value
    ten = after["e"] or after["ten"] or (after["super"] or "").translate(_SUPERSCRIPTS)
    power = after["power"] or (after["superpower"] or "").translate(_SUPERSCRIPTS)
    if ten:
        value *= Fraction(10) ** int(ten)
    elif power:
        if (not value and int(power) < 0) or abs(int(power)) * len(str(value)) > 4 * MOST_DIGITS:
            return None
        value **= int(power)
    if after["over"]:
        if not int(after["over"]):
            return None
        value /= int(after["over"])
    return value * _SCALES[after["scale"].lower()] if after["scale"] else value


def _plain_value(body: str, decimal: Decimal) -> Fraction | None:
    """The value of digits with separators; None if they are several numbers, as in "3,4,5"."""
    groups = re.split(r"([.,'_ ])", body.replace("{,}", ",").replace("\\,", ","))
    digits, separators = groups[::2], groups[1::2]
    point = _decimal_sign(digits, separators, decimal) if separators else ""
    thousands = separators[:-1] if point else separators
    grouped = digits[1 : len(thousands) + 1]
    if len(set(thousands)) > 1 or not _grouped(digits[0], grouped, thousands) or (point and point in thousands):
        return None
    whole = "".join(digits[: len(thousands) + 1])
    return Fraction(f"0{whole}.{digits[-1]}" if point else whole)


def _decimal_sign(digits: list[str], separators: list[str], decimal: Decimal) -> str:
    """The sign before the decimals; empty if all separators are between thousands."""
    last = separators[-1]
    if last not in ".,":
        return ""
    if len(separators) > 1:
        return last if last not in separators[:-1] else ""
    if len(digits[-1]) == 3 and 1 <= len(digits[0]) <= 3 and digits[0] != "0":
        return last if last == decimal else ""
    return last


def _grouped(first: str, groups: list[str], separators: list[str]) -> bool:
    """Return True for 1,234,567 and, as in India, 12,34,567."""
    if not groups:
        return True
    if not first or len(first) > 3 or len(groups[-1]) != 3:
        return False
    inner = {len(group) for group in groups[:-1]}
    return inner <= {3} or (inner == {2} and separators[0] == "," and len(first) <= 2)
