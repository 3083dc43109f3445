"""The option of a multiple-choice question that an answer chooses."""

import re
from collections.abc import Sequence

from gateway.ensemble.question import Options, is_labelled, labels_lines
from gateway.ensemble.stated_answer import Statement
from router.probes.checkers.choice import chosen_letter

SHORT_TEXT = 600  # characters; in a longer text a letter may be no answer
_WORD = re.compile(r"[^\W\d_]+")
_JOINS = frozenset(["and", "und", "et", "y", "e", "options", "answers"])


def chosen_option(text: str, stated: Sequence[Statement], options: Options) -> str | None:
    """The chosen letter, "A,C" for several that are chosen together; of several statements theirs, joined by "|". None without one.

    Args:
        text: visible, with plain signs, without the contents of code fences.
        stated: what the text states as its answer.
    """
    if stated:
        chosen = [_of_statement(one.text, options) for one in stated]
        return None if None in chosen else "|".join(letter for letter in chosen if letter)
    if labels_lines(text):  # it goes through the options
        last = text.rstrip().rpartition("\n")[2]
        return None if is_labelled(last) else _of_text(last, options)
    if len(text) <= SHORT_TEXT:
        return _together(text, options) or _of_text(text, options)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return _of_text(lines[-1], options) or (_of_text(lines[0], options) if len(lines) > 1 else None)


def _of_statement(text: str, options: Options) -> str | None:
    return _together(text, options) or _of_text(f"Answer: {text}", options)


def _of_text(text: str, options: Options) -> str | None:
    return chosen_letter(text, options.letters, list(options.texts))[0]


def _together(text: str, options: Options) -> str | None:
    """The letters of "A, C", "(A) and (C)" and "AC"; None for one letter, and for anything else."""
    words = [word for word in _WORD.findall(text) if word.lower() not in _JOINS]
    letters = words[0] if len(words) == 1 else "".join(words) if all(len(word) == 1 for word in words) else ""
    found = set(letters)
    if len(found) < 2 or len(found) < len(letters) or not found <= set(options.letters):
        return None
    return ",".join(sorted(found))
