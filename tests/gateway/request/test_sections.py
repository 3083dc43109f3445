"""Sections of a template."""

import pytest

from gateway.request.sections import begins_section, end_of_section, in_code


@pytest.mark.parametrize(
    "line",
    [
        "# Role",
        "**Role**",
        "**Role:**",
        "**Role**:",
        "=== ROLE ===",
        "--- user ---",
        "*** user ***",
        "[USER]",
        "[/user]",
    ],
)
def test_lines_that_begin_a_section(line: str) -> None:
    assert begins_section(line)


@pytest.mark.parametrize("line", ["Role", "#Role", "**Role** is", "---", "=====", "[A](b)", ""])
def test_other_lines(line: str) -> None:
    assert not begins_section(line)


@pytest.mark.parametrize(
    ("label", "words", "rest"),
    [
        ("## User", "\nWhy?\n\n### Output\nx\n\n", "## Rules\nJSON\n\n# Answer\n"),
        ("## User", "\nWhy?\n\n# Notes\nx", ""),
        ("## User", "\nWhy?\n\n```\n# Output\n```\n", ""),
        ("**User**", "\nWhy?\n**Note** x\n", "**Rules**\nJSON\n**Output**: x"),
        ("=== USER ===", "\nWhy?\n# a\n", "=== END ===\n"),
        ("[USER]", "\nWhy?\n", "[/USER]\nGo!"),
        ("User:", "\nWhy?\n# Output\n[X]\n", ""),
    ],
)
def test_where_the_words_of_the_user_end(label: str, words: str, rest: str) -> None:
    text = f"# Role\nx\n{label}{words}{rest}"
    start = text.index(label)
    assert text[end_of_section(text, start, start + len(label)) :] == rest


def test_positions_in_code() -> None:
    text = "a\n```\nb\n```\nc\n```\nd"
    assert [in_code(text, text.index(letter)) for letter in "abcd"] == [False, True, False, False]
