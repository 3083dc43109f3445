import numpy as np

from router.surface import DIM, MAX_CHARS, surface


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
