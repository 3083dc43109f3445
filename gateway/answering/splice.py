"""Splice: the text that a client has already, and another model's answer -> only what is new of it, without a seam.

Knows nothing of HTTP or events: text in, text out.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Way = Literal["prefill", "fresh", "continue"]

PROBE = 24  # characters after which an answer that began like the text is taken for one that began anew
WINDOW = 400  # characters of the text's end in which repeated words are looked for
ANCHOR_SLACK = 16  # characters of introduction that may come before the repeated words
_LAST_WORDS = re.compile(r"((?:\S+\s+){0,4}\S+)\s*\Z")


class Diverged(Exception):
    """The new answer says something else than the text, so that nothing of it can follow."""


def anchor(text: str) -> str:
    """The last words of a text, as they are in it: what a model that is asked to go on shall begin with."""
    found = _LAST_WORDS.search(text[-WINDOW:])
    return found.group(1) if found else ""


class Splice:
    """Joins one answer to a text.

    `Splice(["The quick", " bro"], "fresh")` makes of "The quick brown fox" the rest "wn fox".

    Args:
        pieces: what the client has, as it came.
        way: how the answer was asked for. "prefill": it goes on from the text by itself. "fresh": it begins anew and says
            the same. "continue": it was asked to go on, beginning with the last words of the text. Whatever was asked, an
            answer that begins like the text is taken for one that began anew.
    """

    def __init__(self, pieces: Sequence[str], way: Way) -> None:
        self._pieces = pieces
        self._text = text = "".join(pieces)
        self._way = way
        self._held = ""
        self._matched = 0  # characters of the text that the new answer has repeated
        self._space = text[len(text.rstrip()) :]  # that the text ends with
        self._state: Literal["deciding", "skipping", "overlapping", "passing"] = (
            "deciding" if text.strip() else "passing"
        )

    def feed(self, new: str) -> str:
        """What the client gets of this piece of the answer and of those held back before it.

        Raises:
            Diverged: it cannot follow the text.
        """
        if self._state == "passing":
            return new
        self._held += new
        if self._state == "deciding":
            probe = self._text[:PROBE]
            if not self._held.startswith(probe[: len(self._held)]):
                self._state = "overlapping"
            elif len(self._held) < len(probe):
                return ""
            else:
                self._state = "skipping"
        return self._skip() if self._state == "skipping" else self._overlap(ended=False)

    def close(self) -> str:
        """What is left when the answer has ended.

        Raises:
            Diverged: it ended before it said anything new, where it should have.
        """
        if self._state == "passing":
            return ""
        if self._state == "skipping" or (self._state == "deciding" and self._way == "fresh"):
            raise Diverged
        return self._overlap(ended=True)

    def _skip(self) -> str:
        text, held = self._text, self._held
        repeated = held[: len(text) - self._matched]
        if not text.startswith(repeated, self._matched):
            raise Diverged
        self._matched += len(repeated)
        self._held = ""  # to compare all of it with each piece would take quadratic time
        return "" if self._matched < len(text) else self._pass(held[len(repeated) :])

    def _overlap(self, *, ended: bool) -> str:
        if self._way == "fresh":
            raise Diverged
        held = self._held
        if self._way == "prefill":  # it goes on where the text ends: words that equal the last ones are meant twice
            space = self._space  # which the model was not shown, since some refuse it at the end
            if not ended and len(held) < len(space):
                return ""
            if self._begins_anew(held):
                raise Diverged
            return self._pass(held.removeprefix(space))
        start, goal = held.lstrip(), anchor(self._text)
        if not ended and len(start) < len(goal) + ANCHOR_SLACK:
            return ""
        if start.startswith(goal):  # as it was asked to
            return self._pass(self._after(start[len(goal) :]))
        if not ended and start in self._text[-WINDOW:]:
            return ""  # it may still be on its way through words that the client has
        if repeated := self._repeated(start):
            return self._pass(self._after(start[repeated:]))
        found = start.find(goal, 0, len(goal) + ANCHOR_SLACK) if len(goal) >= PROBE // 2 else -1
        if found >= 0:
            return self._pass(self._after(start[found + len(goal) :]))
        return self._pass(self._joined(held))

    def _repeated(self, held: str) -> int:
        """How many characters at the beginning of `held` are words that the text ends with."""
        text = self._text.rstrip()
        for k in range(min(len(held), len(text), WINDOW), 0, -1):
            if text.endswith(held[:k]) and held[:k].strip() and _at_word(text, len(text) - k):
                return k
        return 0

    def _after(self, rest: str) -> str:
        """`rest` as it follows the text's last word, where the white space at the text's end is there already."""
        space = self._space
        if not space:
            return rest
        return rest[len(space) :] if rest.startswith(space) else rest.lstrip(" ")

    def _joined(self, new: str) -> str:
        """`new` as it follows the text where neither repeats the other. An answer of its own begins without a space."""
        last, first = self._text[-1], new[:1]
        if last.isspace():
            return new.lstrip(" ")
        if first.isalpha() and (last in ".!?,:;)" or (last.isalnum() and not self._splits_words())):
            return " " + new
        return new

    def _splits_words(self) -> bool:
        """Whether most pieces so far began within a word, so that the next would have."""
        within = [a[-1:].isalnum() and b[:1].isalnum() for a, b in pairwise(self._pieces)]
        return sum(within) * 2 > len(within)

    def _begins_anew(self, new: str) -> bool:
        """Whether this is no continuation by how it begins: with a word right after another, where no piece so far did."""
        tight = [_tight(a, b) for a, b in pairwise(self._pieces)]
        capital = self._text[-1:].islower() and new[:1].isupper()
        return _tight(self._text, new) and (capital or (len(tight) > 1 and not any(tight)))

    def _pass(self, rest: str) -> str:
        self._state, self._held = "passing", ""
        return rest


def _tight(text: str, new: str) -> bool:
    """Whether a word or the rest of one follows without a space."""
    return not text[-1:].isspace() and new[:1].isalnum()


def _at_word(text: str, position: int) -> bool:
    """Whether a word, or the space before one, begins here."""
    return position == 0 or not text[position].isalnum() or not text[position - 1].isalnum()
