"""Splice: removes from another model's answer the text that the client already has, so that the two join without a seam.

It knows nothing of HTTP or events: text in, text out.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

Way = Literal["prefill", "fresh", "continue"]

PROBE = 24  # an answer whose first characters equal the text's, as many as this, counts as a fresh answer
WINDOW = 400  # characters at the end of the text in which repeated words are searched
ANCHOR_SLACK = 16  # characters that may come before the repeated words
_LAST_WORDS = re.compile(r"((?:\S+\s+){0,4}\S+)\s*\Z")


class Diverged(Exception):
    """Raised when the new answer differs from the text, so that it cannot continue it."""


def anchor(text: str) -> str:
    """The last words of a text; a model that is asked to continue must begin with them."""
    found = _LAST_WORDS.search(text[-WINDOW:])
    return found.group(1) if found else ""


class Splice:
    """Joins one answer to a text.

    `Splice(["The quick", " bro"], "fresh")` makes of "The quick brown fox" the rest "wn fox".

    Args:
        pieces: the text that the client has, in the pieces in which it came.
        way: how the answer was requested. "prefill": the model continues the text directly. "fresh": it repeats the text
            from the beginning. "continue": it was asked to begin with the last words of the text. In each case an answer
            that begins like the text counts as a fresh one.
    """

    def __init__(self, pieces: Sequence[str], way: Way) -> None:
        self._pieces = pieces
        self._text = text = "".join(pieces)
        self._way = way
        self._held = ""
        self._matched = 0  # characters of the text that the new answer has repeated
        self._space = text[len(text.rstrip()) :]  # white space at the end of the text
        self._state: Literal["deciding", "skipping", "overlapping", "passing"] = (
            "deciding" if text.strip() else "passing"
        )

    def feed(self, new: str) -> str:
        """The text for the client from this piece of the answer and from the pieces held back before it.

        Raises:
            Diverged: the answer cannot continue the text.
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
        """The rest of the text for the client, at the end of the answer.

        Raises:
            Diverged: the answer ended before it went beyond the text.
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
        self._held = ""  # comparing all text at each piece would take quadratic time
        return "" if self._matched < len(text) else self._pass(held[len(repeated) :])

    def _overlap(self, *, ended: bool) -> str:
        if self._way == "fresh":
            raise Diverged
        held = self._held
        if (
            self._way == "prefill"
        ):  # the answer continues at the text's end: words that equal the last ones are not a repetition
            space = self._space  # the model has not seen it, because some servers refuse it at the end
            if not ended and len(held) < len(space):
                return ""
            if self._begins_anew(held):
                raise Diverged
            return self._pass(held.removeprefix(space))
        start, goal = held.lstrip(), anchor(self._text)
        if not ended and len(start) < len(goal) + ANCHOR_SLACK:
            return ""
        if start.startswith(goal):  # as requested
            return self._pass(self._after(start[len(goal) :]))
        if not ended and start in self._text[-WINDOW:]:
            return ""  # it may still repeat words that the client has
        if repeated := self._repeated(start):
            return self._pass(self._after(start[repeated:]))
        found = start.find(goal, 0, len(goal) + ANCHOR_SLACK) if len(goal) >= PROBE // 2 else -1
        if found >= 0:
            return self._pass(self._after(start[found + len(goal) :]))
        return self._pass(self._joined(held))

    def _repeated(self, held: str) -> int:
        """The number of characters at the beginning of `held` that repeat the last words of the text."""
        text = self._text.rstrip()
        for k in range(min(len(held), len(text), WINDOW), 0, -1):
            if text.endswith(held[:k]) and held[:k].strip() and _at_word(text, len(text) - k):
                return k
        return 0

    def _after(self, rest: str) -> str:
        """`rest` without the white space that the text already ends with."""
        space = self._space
        if not space:
            return rest
        return rest[len(space) :] if rest.startswith(space) else rest.lstrip(" ")

    def _joined(self, new: str) -> str:
        """`new` with the space that may be missing between it and the text, if `new` repeats nothing."""
        last, first = self._text[-1], new[:1]
        if last.isspace():
            return new.lstrip(" ")
        if first.isalpha() and (last in ".!?,:;)" or (last.isalnum() and not self._splits_words())):
            return " " + new
        return new

    def _splits_words(self) -> bool:
        """Return True if most pieces so far began within a word, so that the next one probably does."""
        within = [a[-1:].isalnum() and b[:1].isalnum() for a, b in pairwise(self._pieces)]
        return sum(within) * 2 > len(within)

    def _begins_anew(self, new: str) -> bool:
        """Return True if `new` looks like a fresh answer: its word follows another without a space, as no piece before did."""
        tight = [_tight(a, b) for a, b in pairwise(self._pieces)]
        capital = self._text[-1:].islower() and new[:1].isupper()
        return _tight(self._text, new) and (capital or (len(tight) > 1 and not any(tight)))

    def _pass(self, rest: str) -> str:
        self._state, self._held = "passing", ""
        return rest


def _tight(text: str, new: str) -> bool:
    """Return True if a word, or the rest of one, follows without a space."""
    return not text[-1:].isspace() and new[:1].isalnum()


def _at_word(text: str, position: int) -> bool:
    """Return True if a word, or the space before a word, begins at `position`."""
    return position == 0 or not text[position].isalnum() or not text[position - 1].isalnum()
