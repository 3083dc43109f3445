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
    ("To solve this, we add.\n\n15 + 27 = **42**", "42"),
    ("**Total cost: $45.60**", "45.6"),
    ("The total is $45.60 per person for 3 people.\n\n**Answer: 45.60**", "45.6"),
    ("### Final Answer\n42", "42"),
    ("### Final Answer\n\n**42**", "42"),
    ("## Answer\n\n$$\\boxed{42}$$", "42"),
    ("Final Answer: The final answer is $42$. I hope it is correct.", "42"),
    ("Therefore, there are 5! = 120 ways.", "120"),
    ("There are $\\binom{6}{3} = 20$ ways.", "20"),
    ("Answer: $\\frac{5}{36}$", "5/36"),
    ("Answer: 5/36 ≈ 0.1389", "5/36"),
    ("Answer: 0.1389 (5/36)", "0.1389"),
    ("The remainder is 9.", "9"),
    ("Answer: x = 3", "3"),
    ("**x = −3**", "-3"),
    ("x = -3", "-3"),
    ("\\(x = -3\\)", "-3"),
    ("So x = 14/2 = 7.", "7"),
    ("We need 3 + 4·2.\n4·2 = 8\n3 + 8 = 11\nAnswer: 11", "11"),
    ("Answer: **11**.", "11"),
    ("Answer : 11", "11"),
    ("ANSWER - 11", "11"),
    ("The answer: 11 apples.", "11"),
    ("Hence the final price is 435.60 euros.\n\nAnswer: 435.60", "435.6"),
    ("Answer: €435.60", "435.6"),
    ("Answer: 435,60 €", "435.6"),
    ("Answer: 435.6 euros (rounded)", "435.6"),
    ("Antwort: 435,60", "435.6"),
    ("Il y a donc 12 possibilités.", "12"),
    ("所以一共有12种方法。", "12"),
    ("答案是：**12**", "12"),
    ("最终答案：$\\boxed{12}$", "12"),
    ("答えは、12個です。", "12"),
    ("したがって、12です。", "12"),
    ("따라서 답은 12입니다.", "12"),
    ("Итак, ответ: 12.", "12"),
    ("Odpowiedź: 12", "12"),
    ("Svar: 12", "12"),
    ("1. First we compute 2+2=4\n2. Then we double it: 8\n\nResult: 8", "8"),
    ("- Apples: 3\n- Pears: 4\n- **Total: 7**", "7"),
    ("| step | value |\n|---|---|\n| 1 | 4 |\n\nAnswer: 9", "9"),
    ("Answer: 190,062", "190062"),
    ("190 062", "190062"),
    ("190062.00", "190062"),
    ("≈190,062", "190062"),
    ("\\[ 397 \\times 491 - 695 \\times 7 = 190062 \\]", "190062"),
    ("397 × 491 = 194,927\n695 × 7 = 4,865\n194,927 − 4,865 = 190,062\n\n**190,062**", "190062"),
    ("The determinant is \\(-3\\).", "-3"),
    ("det = -3", "-3"),
    ("Answer: −3", "-3"),
    ("Answer: negative three", "-3"),
    ("The LCM of 23 and 8 is 184.", "184"),
    ("LCM(23, 8) = 184", "184"),
    ("gcd is 1, so lcm = 23*8 = 184. Answer: 184", "184"),
    ("Day 1: 5, Day 2: 10. Total 15.", "15"),
    ("Answer:\n```\n42\n```", "42"),
    ('{"answer": 42}', "42"),
    ("<answer>\n42\n</answer>", "42"),
    ("**Final Answer:** \\(\\boxed{42}\\)", "42"),
    ("Answer: 1.2e4", "12000"),
    ("Answer: 12 000,50", "12000.5"),
    ("Answer: 3 hours", "3"),
    ("The mean speed is about 56.0 km/h", "56"),
    ("Answer: 56 km/h.", "56"),
    ("Answer: 24 (2 × 12)", "24"),
    ("Answer: 2 × 12 = 24", "24"),
    ("It's forty-two.", "42"),
    ("87 (siebenundachtzig)", "87"),
    ("siebenundachtzig = 87", "87"),
    ("Die Zahl ist 87.", "87"),
    (
        "Sure! Here's the breakdown:\n\n* 6 × 7 = 42\n\nSo, the final answer is **42**. Let me know if you have any other questions!",
        "42",
    ),
    ("**Answer:** There are **27** divisors.", "27"),
    ("1764 = 2² · 3² · 7², so it has (2+1)(2+1)(2+1) = 27 divisors.\n\nAnswer: 27", "27"),
    ("The number of divisors is (2+1)(2+1)(2+1) = **27**.", "27"),
    ("Answer: 27 divisors", "27"),
    ("$27$", "27"),
    ("\\(27\\)", "27"),
    ("\\[27\\]", "27"),
    ("27 (twenty-seven)", "27"),
    ("Answer:\n27", "27"),
    ("**27**\n\n1764 = 2^2 × 3^2 × 7^2, so (2+1)(2+1)(2+1) = 27.", "27"),
    ("Final answer: 7 zeros.", "7"),
    ("30! ends with **7** zeros.", "7"),
    ("⌊30/5⌋ + ⌊30/25⌋ = 6 + 1 = 7", "7"),
    ("floor(30/5) + floor(30/25) = 6 + 1 = 7.\nSo 30! ends with 7 zeros.", "7"),
    ("P = 10/216 = 5/108", "5/108"),
    ("$P = \\dfrac{10}{216} = \\dfrac{5}{108}$", "5/108"),
    ("Answer: \\( \\frac{5}{108} \\)", "5/108"),
    ("The probability is \\frac{5}{108}.", "5/108"),
    ("5/108", "5/108"),
    ("Answer: 5 / 108", "5/108"),
    ("There are 10 ways out of 216, i.e. 5/108.", "5/108"),
    ("The code is 427.", "427"),
    ("Answer: 427", "427"),
    ("2 of them are knights: Ada and Ben.\nAnswer: 2", "2"),
    ("Answer: 2 knights", "2"),
    ("Answer: Two", "2"),
    ("There are two knights.", "2"),
    ("You get €12.35 back.", "12.35"),
    ("Change: 50.00 − 37.65 = €12.35", "12.35"),
    ("50 - 37.65 = 12.35 euros", "12.35"),
    ("12,35 €", "12.35"),
    ("Answer: 12.35 euros", "12.35"),
    ("77°F", "77"),
    ("25 °C = 77 °F", "77"),
    ("25 degrees Celsius is 77 degrees Fahrenheit.", "77"),
    ("77 degrees Fahrenheit", "77"),
    ("It is **108 days** after.", "108"),
    ("108 days", "108"),
    ("April: 17 days, May: 31, June: 30, July: 30. Sum: 108 days.\nAnswer: 108", "108"),
    ("Le nombre est 93.", "93"),
    ("93 (quatre-vingt-treize = 4×20+13)", "93"),
    ("30 euros", "30"),
    ("Tengo 30 euros.", "30"),
    ("3x − 12 = 78, así que x = 30", "30"),
    ("現在の値段は220元です。", "220"),
    ("300×0.8−20=220（元）", "220"),
    ("220元", "220"),
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


@settings(max_examples=50, deadline=None)
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


@settings(max_examples=50, deadline=None)
@given(st.decimals(-1_000_000, 1_000_000, places=2))
def test_decimals_in_english_and_in_german(number: object) -> None:
    english = f"{number:,}"
    german = english.translate(str.maketrans(",.", ".,"))
    for text, decimal in ((english, "."), (german, ",")):
        checked = check_number(
            CheckerSpec("number", {"decimal": decimal}), f"Answer: {text}", str(number).replace(".", decimal)
        )
        assert checked.correct


@settings(max_examples=50, deadline=None)
@given(st.fractions(max_denominator=999))
def test_fractions_and_their_canonical_form(number: Fraction) -> None:
    latex = rf"\boxed{{{'-' if number < 0 else ''}\frac{{{abs(number.numerator)}}}{{{number.denominator}}}}}"
    for text in (latex, f"Answer: {number.numerator}/{number.denominator}"):
        checked = check_number(CheckerSpec("number"), text, str(number))
        assert checked.correct
        assert checked.canonical == canonical_number(number)


@settings(max_examples=50, deadline=None)
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
