r"""Where a text states its final answer: in a box, after "Answer:", or because it is nothing else.

Of the parts that the checkers of probes try, only those count here that cannot be a part of an essay: without a reference,
whatever is taken out of two texts is compared, and what they have in common by chance must not be a vote.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.probes.checkers.final_part import Part, parts

FIRST_LINES, LAST_LINES = 2, 4
_LABEL = re.compile(r"^\W{0,8}(?:[\w'’]{1,20}\W{1,3}){0,3}$")
_FINAL = re.compile(
    r"(?<!\w)(?:final|finale|endgültige?|definitiva|finale|итоговый|окончательный)(?!\w)|最终|最終", re.IGNORECASE
)
_COLON = re.compile(r"[:=→]|####|^\W*$")


@dataclass(frozen=True, slots=True)
class Statement:
    """A final answer as a text states it.

    Attributes:
        complete: more text follows, so that it was not cut.
    """

    text: str
    complete: bool


def statements(text: str) -> list[Statement]:
    """The final answers that a text states, in order; several if it answers several questions, none if it states none.

    All boxes; else all lines that begin with "Answer:" or the like (if one says "Final answer:", only those); else the last
    "the answer is" among the first two or the last four lines.

    Args:
        text: visible, with plain signs, without the contents of code fences.
    """
    found = [part for part in parts(text) if not part.text.startswith("```")]
    if boxes := [part for part in found if part.kind == "boxed"]:
        return _distinct(reversed(boxes))
    marked = _last_of_each_line(
        text, sorted((part for part in found if part.kind == "marked"), key=lambda p: p.marker_start)
    )
    heads = [(part, line) for part, line in marked if part.names_answer and _is_heading(text, part)]
    final = [part for part, line in heads if _FINAL.search(line)]
    if heads:
        return _distinct(final or [part for part, _ in heads])
    near = [part for part, _ in marked if _is_near_an_end(text, part)]
    return _distinct(near[-1:])


def _distinct(found: Iterable[Part]) -> list[Statement]:
    """One statement for each text that occurs; complete if one of them is."""
    complete: dict[str, bool] = {}
    for part in found:
        complete[part.text] = complete.get(part.text, False) or part.complete
    return [Statement(text, is_complete) for text, is_complete in complete.items()]


def _last_of_each_line(text: str, marked: Sequence[Part]) -> list[tuple[Part, str]]:
    """The last marked part of each line, with what stands before the marker: "Answer: A. No: answer: B" states B."""
    lines: dict[int, tuple[Part, str]] = {}
    for part in marked:
        start = text.rfind("\n", 0, part.marker_start) + 1
        first = lines.get(start)
        lines[start] = (part, text[start : part.marker_start + len(part.marker)] if first is None else first[1])
    return list(lines.values())


def _is_heading(text: str, part: Part) -> bool:
    """Return True if the line begins with the marker: "**Final answer:** B", "### Answer", not "So I think the answer is B"."""
    start = text.rfind("\n", 0, part.marker_start) + 1
    before = text[start : part.marker_start]
    return _LABEL.match(before) is not None and _COLON.search(part.marker.strip()[-3:]) is not None


def _is_near_an_end(text: str, part: Part) -> bool:
    before = [line for line in text[: part.marker_start].splitlines() if line.strip()]
    after = [line for line in text[part.marker_start :].splitlines() if line.strip()]
    return len(before) <= FIRST_LINES or len(after) <= LAST_LINES
