"""The checker `number`: the number that an answer states, compared with the reference within a tolerance."""

import re
from collections.abc import Iterable
from fractions import Fraction

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.answer import Extracted
from router.probes.checkers.final_part import Part, parts
from router.probes.checkers.number_text import Decimal, Number, numbers_in
from router.probes.checkers.visible import plain_signs
from router.probes.json_types import JsonValue

_RELATION = re.compile(r"[=≈≃≅]|\\approx|\\Rightarrow|→|⇒")
_ABOUT = re.compile(r"\W{0,6}(?:≈|≃|≅|\\approx)")
LIST_MARK = re.compile(r"^\s{0,8}(?:\d{1,3}[.)]|step \d{1,3}\s{0,4}[:.)])\s", re.IGNORECASE)
SHORT_WORDS = 6


def check_number(spec: CheckerSpec, text: str, reference: JsonValue) -> Extracted:
    """Compares the number of a visible text. The canonical form is that of `canonical_number`."""
    decimal: Decimal = "," if spec.text("decimal", ".") == "," else "."
    expected = reference_number(reference, decimal)
    found = number_of(text, decimal)
    if found is None or expected is None:
        return Extracted(None, False, False)
    number, complete = found
    slack = max(spec.number("tolerance"), spec.number("relative") * abs(float(expected)))
    return Extracted(canonical_number(number.value), complete, any(_equal(v, expected, slack) for v in _values(number)))


def reference_number(reference: JsonValue, decimal: Decimal = ".") -> Fraction | None:
    """The value of a reference: a number, or text with nothing but one, such as "3/4"; None for anything else."""
    if isinstance(reference, bool) or not isinstance(reference, int | float | str):
        return None
    if not isinstance(reference, str):
        return Fraction(repr(reference)) if isinstance(reference, float) else Fraction(reference)
    found = numbers_in(plain_signs(reference), decimal)
    return found[0].value if len(found) == 1 else None


def canonical_number(value: Fraction) -> str:
    """A whole number in digits, any other to six significant digits: "1234", "-0.5", "0.333333"."""
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"


def number_of(text: str, decimal: Decimal = ".") -> tuple[Number, bool] | None:
    """The number that an answer states as its result, and whether text follows after it said so; None without a number.

    A box, then what follows "answer:", then a last or first line with little but one number, then bold text, then what follows
    the last equals sign, then the last number.
    """
    text = plain_signs(text)
    all_parts = list(parts(text))
    for part in all_parts:
        found = _number_of_part(part, decimal)
        if found is not None:
            return found, part.complete and part.says_so
    lines = [LIST_MARK.sub("", line) for line in text.splitlines()]
    for line in reversed(lines):
        if numbers := _in_digits(line, decimal):
            return _after_relation(line, numbers) or numbers[-1], False
    return None


def _number_of_part(part: Part, decimal: Decimal) -> Number | None:
    text = part.text if part.says_so else LIST_MARK.sub("", part.text)
    numbers = numbers_in(text, decimal)
    if not numbers or (part.kind in ("line", "bold") and not _only_one(text, numbers)):
        return None
    if _leads(text, numbers[0]):
        return numbers[0]
    bold = [number for number in numbers if text[: number.start].rstrip(" $").endswith("**")]
    last = (bold or numbers)[-1] if part.kind == "whole" else numbers[0]
    return _after_relation(text, numbers) or last


def _leads(text: str, number: Number) -> bool:
    """Return True if the answer starts with the number and goes on with a remark: "12 (not 15)"."""
    return not text[: number.start].strip(" *$") and bool(re.match(r"\s*\**\s*\(", text[number.end :]))


def _only_one(text: str, numbers: list[Number]) -> bool:
    """Return True for "12", "**12 km**" and "So 12 apples are left.", and False for a sentence that merely has numbers."""
    return len(numbers) == 1 and len(text.split()) <= SHORT_WORDS


def _after_relation(text: str, numbers: list[Number]) -> Number | None:
    """The first number after the last sign of equality; of "5/36 ≈ 0.139" the exact one."""
    if numbers and not text[: numbers[0].start].strip(" $*(\\") and _ABOUT.match(text[numbers[0].end :]):
        return numbers[0]
    relations = [match.end() for match in _RELATION.finditer(text)]
    return next((number for number in numbers if relations and number.start >= relations[-1]), None)


def _in_digits(line: str, decimal: Decimal) -> list[Number]:
    return numbers_in(line, decimal) if any(sign.isdigit() or sign.isnumeric() for sign in line) else []


def _values(number: Number) -> Iterable[Fraction]:
    """The values that the number may mean: 50% is 50 percent, or 0.5."""
    return (number.value, number.value / 100) if number.percent else (number.value,)


def _equal(value: Fraction, expected: Fraction, slack: float) -> bool:
    """Return True within the slack; also for decimals of a number that has no end in decimals, from the fourth one on."""
    if abs(value - expected) <= Fraction(slack):
        return True
    decimals = _decimals(value)
    return (
        _decimals(expected) is None
        and decimals is not None
        and decimals >= 4
        and abs(value - expected) < Fraction(1, 10**decimals)
    )


def _decimals(value: Fraction) -> int | None:
    """How many decimals the number has; None for one that has no end, such as 1/3."""
    rest, twos, fives = value.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    return max(twos, fives) if rest == 1 else None
