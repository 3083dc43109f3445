"""The checker `number`: which number an answer states, of real-looking answers in many forms and languages."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.number import canonical_number, check_number, number_of, reference_number
from router.probes.checkers.number_text import numbers_in
from router.probes.checkers.visible import visible

ANSWERS: list[tuple[str, str]] = [
    ("42", "42"),
    ("42.", "42"),
    ("**42**", "42"),
    ("The answer is 42.", "42"),
    ("Answer: 42", "42"),
    ("**Answer:** 42", "42"),
    ("**Answer: 42**", "42"),
    ("Final answer: **$42$**", "42"),
    ("\\boxed{42}", "42"),
    ("So the result is $\\boxed{42}$.", "42"),
    ("$$\\boxed{\\frac{3}{4}}$$", "3/4"),
    ("\\boxed{1{,}234}", "1234"),
    ("\\boxed{12\\text{ cm}}", "12"),
    ("#### 18", "18"),
    ("She has 3 apples and buys 4.\n#### 7", "7"),
    ("1,234.50 USD", "1234.5"),
    ("$1,234.50", "1234.5"),
    ("€ 12,50", "12.5"),
    ("1.234,50 €", "1234.5"),
    ("CHF 1'234.50", "1234.5"),
    ("½", "1/2"),
    ("2½ cups", "5/2"),
    ("−5", "-5"),
    ("–5 °C", "-5"),
    ("-5", "-5"),
    ("minus 5", "-5"),
    ("x = -3", "-3"),
    ("3 + 4 = 7", "7"),
    ("Answer: 3 + 4 = 7", "7"),
    ("Answer: 12 apples in 3 boxes", "12"),
    ("So she has 12 apples left.", "12"),
    ("The total is 5 × 6 = 30 apples after 3 days.", "30"),
    ("First, 6*7 = 42.\nThen 42 - 2 = 40.\n\nThe answer is 40.", "40"),
    ("42\n\nExplanation: 6 times 7 is 42, since 7 + 7 = 14 and so on.", "42"),
    ("Die Antwort lautet 17.", "17"),
    ("Antwort: 17,5", "17.5"),
    ("La réponse est 17.", "17"),
    ("La respuesta es 17.", "17"),
    ("La risposta è 17.", "17"),
    ("A resposta é 17.", "17"),
    ("答案是42", "42"),
    ("答案：42", "42"),
    ("答えは42です。", "42"),
    ("正解は 42 です", "42"),
    ("정답은 42입니다.", "42"),
    ("Ответ: 42", "42"),
    ("الجواب هو ٤٢", "42"),
    ("उत्तर: ४२", "42"),
    ("forty-two", "42"),
    ("The answer is forty-two.", "42"),
    ("Zweiundvierzig, also 42.", "42"),
    ("三百二十", "320"),
    ("The answer is twelve.", "12"),
    ("seventeen", "17"),
    ("zwölf", "12"),
    ("<think>maybe 5 or 6... 7</think>42", "42"),
    ("<think>\nHmm 5\n</think>\n\nThe answer is **42**.", "42"),
    ("Let me see 5</think>42", "42"),
    ("<answer>42</answer>", "42"),
    ("```\n42\n```", "42"),
    ("`42`", "42"),
    ("The answer is `42`.", "42"),
    ("1.5e3", "1500"),
    ("1.5 × 10^3", "1500"),
    ("$1.5 \\times 10^{3}$", "1500"),
    ("10³", "1000"),
    ("2 million", "2000000"),
    ("50%", "50"),
    ("approximately 3.14", "3.14"),
    ("≈ 3.14", "3.14"),
    ("The probability is 3/4.", "3/4"),
    ("$\\frac{1}{3}$", "1/3"),
    ("1/3", "1/3"),
    ("**Answer**: 1 234", "1234"),
    ("12,34,567", "1234567"),
    ("It takes 5 hours and 30 minutes, so the answer is 330 minutes.", "330"),
    ("1. Add 5 and 6 to get 11.\n2. Multiply by 2 to get 22.\n\n**22**", "22"),
    ("Step 1: 5 + 6 = 11\nStep 2: 11 × 2 = 22", "22"),
    ("Answer: 7 (since 3 + 4 = 7)", "7"),
    ("The answer is not 5 but 7.", "7"),
    ("Answer: 5. Wait, that is wrong. Answer: 7", "7"),
    ("$$x = \\frac{-7}{2}$$", "-7/2"),
    ("x ≈ 2.33", "2.33"),
    ("There are 24 ways to do so.", "24"),
    ("**Result:** 99 km/h", "99"),
    ("Resultado: 99", "99"),
    ("The answer is:\n\n$$42$$", "42"),
    ("Therefore,\n\\[\n\\boxed{-17}\n\\]", "-17"),
    ("The final answer is: $42$ dollars.", "42"),
    ("The value of x is 5, so 3x = 15.", "15"),
    ("1000000", "1000000"),
    ("0.1", "1/10"),
    ("Answer: 0,75", "3/4"),
    ("Total: $18", "18"),
    ("He earns $18 per day.", "18"),
    ("(42)", "42"),
    ("[42]", "42"),
    ('"42"', "42"),
    ("42!", "42"),
    ("It's 42 🎉", "42"),
    ("**42** apples, because 6 × 7 = 42", "42"),
    ("Answer: 1,000,000", "1000000"),
    ("Answer: 3:1", "3"),
    ("The sum is **12**, the product is 35.", "12"),
    ("12 (not 15)", "12"),
    ("The answer is 5,000 km.", "5000"),
    ("2^{10}", "1024"),
]


@pytest.mark.parametrize(("answer", "value"), ANSWERS)
def test_the_number_that_an_answer_states(answer: str, value: str) -> None:
    found = number_of(visible(answer))
    assert found is not None
    assert found[0].value == Fraction(value)


@pytest.mark.parametrize("answer", ["I do not know.", "None of them.", "", "x", "-", ".", "1/0"])
def test_answers_without_a_number(answer: str) -> None:
    assert number_of(answer) is None


@pytest.mark.parametrize(
    ("answer", "decimal", "value"),
    [
        ("1,234", ".", "1234"),
        ("1,234", ",", "1.234"),
        ("1.234", ".", "1.234"),
        ("1.234", ",", "1234"),
        ("1,23", ".", "1.23"),
    ],
)
def test_the_sign_before_decimals_where_the_text_does_not_tell(answer: str, decimal: str, value: str) -> None:
    options = CheckerSpec("number", {"decimal": decimal})
    assert check_number(options, answer, value if decimal == "." else value.replace(".", ",")).correct


@pytest.mark.parametrize(
    ("answer", "reference", "options", "correct"),
    [
        ("3.14", 3.14159, {"tolerance": 0.01}, True),
        ("3.1", 3.14159, {"tolerance": 0.01}, False),
        ("102", 100, {"relative": 0.02}, True),
        ("103", 100, {"relative": 0.02}, False),
        ("0.333333", "1/3", {}, True),
        ("0.3333", "1/3", {}, True),
        ("0.142857", "1/7", {}, True),
        ("0.1429", "1/7", {}, True),
        ("0.143", "1/7", {}, False),
        ("0.33", "1/3", {}, False),
        ("0.2501", 0.25, {}, False),
        ("50%", 0.5, {}, True),
        ("50%", 50, {}, True),
        ("50", 0.5, {}, False),
        ("0.1", 0.1, {}, True),
        ("12 345 678 901 234 567 891", 12345678901234567890, {}, False),
        ("-7", 7, {}, False),
        ("42", True, {}, False),
        ("42", "42 or 43", {}, False),
    ],
)
def test_the_comparison(answer: str, reference: float | str, options: dict[str, float], correct: bool) -> None:
    assert check_number(CheckerSpec("number", {**options}), answer, reference).correct is correct


@given(st.integers(-(10**15), 10**15))
def test_whole_numbers_however_they_are_written(number: int) -> None:
    for text in (
        f"{number}",
        f"{number:,}",
        f"{number:_}",
        f"{number:,}".replace(",", " "),
        f"{number:,}".replace(",", "'"),
    ):
        assert [found.value for found in numbers_in(text)] == [number]
        assert check_number(CheckerSpec("number"), f"The answer is **{text}**.", number).correct


@given(st.decimals(-1_000_000, 1_000_000, places=2))
def test_decimals_in_english_and_in_german(number: object) -> None:
    english = f"{number:,}"
    german = english.translate(str.maketrans(",.", ".,"))
    for text, decimal in ((english, "."), (german, ",")):
        checked = check_number(
            CheckerSpec("number", {"decimal": decimal}), f"Answer: {text}", str(number).replace(".", decimal)
        )
        assert checked.correct


@given(st.fractions(max_denominator=999))
def test_fractions_and_their_canonical_form(number: Fraction) -> None:
    latex = rf"\boxed{{{'-' if number < 0 else ''}\frac{{{abs(number.numerator)}}}{{{number.denominator}}}}}"
    for text in (latex, f"Answer: {number.numerator}/{number.denominator}"):
        checked = check_number(CheckerSpec("number"), text, str(number))
        assert checked.correct
        assert checked.canonical == canonical_number(number)


@settings(max_examples=50)
@given(st.text())
def test_any_text_has_a_number_or_none(text: str) -> None:
    found = number_of(visible(text))
    assert found is None or isinstance(found[0].value, Fraction)


@pytest.mark.parametrize(
    "unit", ["1,", "1 ", "1.", "(", "**", "answer ", "answer is ", "\\boxed{", " ", "-", "1/", "9" * 50, "十", "one "]
)
def test_long_hostile_texts_are_read(unit: str) -> None:
    number_of(visible(unit * (40_000 // len(unit))))


@pytest.mark.parametrize(
    ("reference", "value"), [(3, "3"), (0.1, "1/10"), ("3/4", "3/4"), ("1,000", "1000"), (True, None), ([], None)]
)
def test_references(reference: bool | float | str | list[object], value: str | None) -> None:
    assert reference_number(None if reference == [] else reference) == (None if value is None else Fraction(value))
