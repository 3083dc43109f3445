import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from router.encode.surface import DIM, MAX_CHARS, surface


def test_each_text_has_all_statistics_and_no_text_is_an_empty_table() -> None:
    out = surface(["", "Why?", "def f(x):\n    return x"])
    assert out.shape == (3, DIM)
    assert out.dtype == np.float32
    assert np.isfinite(out).all()
    assert surface([]).shape == (0, DIM)


def test_the_same_question_with_other_options_looks_different() -> None:
    four = "Which of the following is a metal?\n" + "\n".join(f"{c}. thing" for c in "ABCD")
    ten = "Which of the following is a metal?\n" + "\n".join(f"{c}. thing" for c in "ABCDEFGHIJ")
    brackets = four.replace(". ", ") ")
    none = four.split("\n")[0]
    rows = surface([four, ten, brackets, none])
    assert len({row.tobytes() for row in rows}) == 4


def test_scripts_and_digits_are_counted() -> None:
    latin, han, digits = surface(["abcd", "汉字汉字", "1234"])
    assert (latin != han).any()
    assert han[5] == 1.0  # all of it is Han
    assert digits[2] == 5.0  # all of it is digits, times five
    assert latin[2] == han[2] == 0.0


def test_what_lies_behind_the_cut_counts_only_as_length() -> None:
    head = "a" * MAX_CHARS
    short, long = surface([head, head + " 1234 ?" * 1000])
    assert long[0] > short[0]
    np.testing.assert_array_equal(short[1:], long[1:])


def test_lone_surrogates_do_not_break_it() -> None:
    assert np.isfinite(surface(["\ud800 broken \udfff"])).all()


BITS = [
    *("def ", "return", "=>", "[]", "():", "{", ";", "import ", "function", "assert", "a=b", "^", "<"),
    *(
        "NOT",
        "not",
        "Knot",
        "least",
        "leaſt",
        "Which of THESE",
        "which of the",
        "write",
        "Find",
        "$",
        "$5",
        "€٣",
        "12",
        "3.4",
    ),
    *(" ", "\n", "٣", "é", "汉", "𒀀", "\ud800", "K", "A. ", "(B) ", "_"),
]


@given(st.lists(st.sampled_from(BITS), max_size=20).map("".join))
def test_the_quick_ways_count_what_the_patterns_say(text: str) -> None:
    def count(pattern: str) -> np.float32:
        return np.float32(np.log1p(len(re.findall(pattern, text))) / 3)

    def found(pattern: str, flags: int = re.IGNORECASE) -> bool:
        return re.search(pattern, text, flags) is not None

    (row,) = surface([text])
    points = [ord(c) if not "\ud800" <= c <= "\udfff" else ord("?") for c in text]
    length = max(1, len(text))
    assert row[2] == np.float32(sum(48 <= p <= 57 for p in points) / length * 5)
    assert row[3] == np.float32(sum(65 <= p <= 90 for p in points) / length * 5)
    assert row[4] == np.float32(sum(p > 127 for p in points) / length)
    assert row[5] == np.float32(sum(0x3400 <= p <= 0x9FFF for p in points) / length)
    assert row[18] == count(r"[=+*/^<>]")
    assert row[19] == count(r"def |return|assert|import |function|=>|\[\]|\(\):|[{};]")
    assert row[20] == count(r"\d+")
    assert row[30] == found(r"\b(?:not|except|least)\b")
    assert row[31] == found(r"\bwhich of (?:the following|these)\b")
    assert row[32] == found(r"\b(?:find|compute|calculate|evaluate|write)\b")
    assert row[33] == found(r"[$€£]\d", 0)


def test_a_megabyte_costs_no_more_than_its_head() -> None:
    text = "Which one is not prime? 12 = 3*4; " * 30_000
    np.testing.assert_array_equal(surface([text])[0, 1:], surface([text[:MAX_CHARS]])[0, 1:])


def test_a_question_in_another_script_looks_like_a_question() -> None:
    english, chinese, japanese, arabic = surface(
        ["What is the capital?", "请告诉我，首都是哪里？", "首都はどこですか？", "ما هي العاصمة؟"]
    )
    for other in (chinese, japanese, arabic):
        np.testing.assert_array_equal(other[[21, 24]], english[[21, 24]])  # one question mark, at the end
    assert chinese[22] == surface(["a, b"])[0, 22]  # commas
    assert abs(japanese[6] - english[6]) < 0.2  # letters of a word
