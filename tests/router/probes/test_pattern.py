"""Patterns of linear time."""

import pytest

from router.probes.pattern import Pattern, whole


def test_a_part_or_the_whole_text() -> None:
    assert Pattern("b+").found_in("abba")
    assert not Pattern(whole("b+")).found_in("abba")
    assert Pattern(whole("a|abba")).found_in("abba")
    assert not Pattern(whole("b")).found_in("b\n")


def test_a_pattern_that_takes_exponential_time_elsewhere_is_linear_here() -> None:
    assert not Pattern(whole("(a+)+b")).found_in("a" * 100_000)


@pytest.mark.parametrize("pattern", ["(", r"(a)\1", "a(?!b)", "(a{1000}){1000}"])
def test_what_no_linear_engine_takes(pattern: str) -> None:
    with pytest.raises(ValueError, match="not a pattern of linear time"):
        Pattern(pattern)
