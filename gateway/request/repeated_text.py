"""Removes from a message what a conversation repeats verbatim around the user's words: the constant head and tail of a template."""

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gateway.request.user_labels import is_template, works_on_words

MIN_CHARS = 80  # of a repeated text; a shorter one may be the user's own habit
MIN_FRAME_CHARS = 200  # of a head that no label ends
COMPARED_TURNS = 4  # earlier turns that one is compared with
COMPARED_CHARS = 20_000  # of each
_PARAGRAPH = "\n\n"
# The line before the user's words that announces them, and the line after them that begins a part of the template.
_USER = r"(?:user|human|customer|client)\b"
_WORDS = r"\b(?:question|query|request|message|prompt|task)\b"
_ANNOUNCEMENT = re.compile(
    rf"(?:#{{1,6}} |\*\*|<|\[|[=*~-]{{2,}}).{{0,60}}(?:{_WORDS}|\b{_USER}.{{0,10}}\binput\b).{{0,40}}"
    rf"|(?:(?:here is |this is )?the )?{_USER}.{{0,10}}(?:{_WORDS}|\b(?:input|says|asks|writes)\b).{{0,100}}:"
    r"|(?P<short>question|query|request):",
    re.IGNORECASE,
)
_LABEL = re.compile(
    rf"(?:\*\*)?(?:the )?{_USER}.{{0,10}}(?:{_WORDS}|\binput\b)(?:\*\*)?:(?:\*\*)?[ \t]*(?=\S)", re.IGNORECASE
)
_REMINDER = re.compile(
    r"[-=*_]{3,}|\W{0,10}(?:reminder|remember|important|note|rules|instructions|guidelines|output format|response format)\b.*",
    re.IGNORECASE,
)
_REMINDER_HEADING = re.compile(r"\b(?:rules|instructions|guidelines|format|reminder)\b", re.IGNORECASE)
_HOW_TO_ANSWER = re.compile(r"(?:Always |Please )?(?:answer|reply|respond)\b", re.IGNORECASE)
_ROLE = re.compile(r"(?:You|Your|Answer|Respond)\b")
_DIRECTIVE = re.compile(r"\b(?:MUST|NEVER|ALWAYS|ONLY|DO NOT)\b")


class _Split(NamedTuple):
    """A text as lines: the first `head` and the last `tail` lines are repeated in another turn.

    So are the first `label` characters of the line after the head, which are a label of the user's words.
    """

    lines: list[str]
    head: int
    tail: int
    label: int = 0

    def repeated(self) -> int:
        return sum(map(len, self.lines[: self.head])) + sum(map(len, self.lines[len(self.lines) - self.tail :]))

    def words(self, start: int | None = None) -> str:
        first = self.head if start is None else start
        return "\n".join(self.lines[first : len(self.lines) - self.tail])[self.label if start is None else 0 :].strip()


def without_known(text: str, known: Sequence[str]) -> str:
    """Return `text` without a tail, and without a head, of whole paragraphs that one of the `known` texts contains.

    Known texts are those that an agent certainly wrote, such as system messages. The same string is returned if there is nothing
    to remove, or if nothing else would be left.
    """
    words, _, last = text.rstrip().rpartition(_PARAGRAPH)
    if len(last) < MIN_CHARS and words.strip() and _HOW_TO_ANSWER.match(last) and any(last in other for other in known):
        text = words.rstrip()
    ends = (text.rstrip()[-MIN_CHARS:], text.lstrip()[:MIN_CHARS])  # what is removed contains one of them
    if _PARAGRAPH not in text or not any(end in other for other in known for end in ends):
        return text
    starts = [0]
    while (at := text.find(_PARAGRAPH, starts[-1])) >= 0:
        starts.append(at + len(_PARAGRAPH))
    # A shorter tail of a contained tail is contained too, so that bisection finds the longest one.
    tail = bisect_left(starts, True, 1, key=lambda at: _contained(text[at:], known))
    end = starts[tail] if tail < len(starts) and _directs(text[starts[tail] :]) else len(text)
    head = bisect_left(starts, True, 1, key=lambda at: not _contained(text[:at], known)) - 1
    start = starts[head] if _directs(text[: starts[head]]) else 0
    if start >= end or (start == 0 and end == len(text)):
        return text
    return text[start:end].strip() or text


def without_template(text: str, others: Iterable[str]) -> str:
    """Return `text` without the head and the tail that another user turn has too, if they are a template and not the user's.

    They are a template if a line that announces the user's words ends the head, if the head says what the model is and what follows
    is a question by itself, or if the tail begins like a reminder and two other turns have it. Otherwise nothing is removed.
    """
    if "\n" not in text or len(text) > COMPARED_CHARS:
        return text
    lines = text.split("\n")
    turns = [other for other in others if len(other) <= COMPARED_CHARS and other != text]
    splits = [split for split in (_compared(lines, turn) for turn in turns) if split is not None]
    return _words(max(splits, key=_Split.repeated), turns) or text if splits else text


def _words(split: _Split, others: Sequence[str]) -> str:
    """Return the user's words; empty if what is repeated is no template."""
    head = "\n".join(split.lines[: split.head]).rstrip()
    lead = head.rstrip("-= \n").rpartition("\n")[2].strip()
    if (head or split.label) and not works_on_words(head):
        announced = _ANNOUNCEMENT.fullmatch(lead)
        if split.label or (announced is not None and (announced["short"] is None or is_template(head))):
            return split.words()
        asks = split.words().endswith(("?", "？", "؟")) and not lead.endswith((":", "："))
        if asks and split.repeated() >= MIN_FRAME_CHARS and _ROLE.match(head):
            return split.words()
    tail = "\n".join(split.lines[len(split.lines) - split.tail :]).strip()
    if len(tail) < MIN_CHARS or not _is_reminder(tail) or sum(other.rstrip().endswith(tail) for other in others) < 2:
        return ""
    return split.words(0)


def _compared(lines: list[str], other: str) -> _Split | None:
    """Return what the text of `lines` shares with another turn; None if one of them has no words of its own."""
    others = other.split("\n")
    most = min(len(lines), len(others))
    head = next((i for i in range(most) if lines[i] != others[i]), most)
    tail = next((i for i in range(most - head) if lines[-1 - i] != others[-1 - i]), most - head)
    label = _LABEL.match(lines[head]) if head + tail < most else None
    shared = label is not None and others[head].startswith(label.group())
    split = _Split(lines, head, tail, label.end() if label is not None and shared else 0)
    own = "\n".join(others[head : len(others) - tail])[split.label :].strip()
    return split if (head or tail or split.label) and own and split.words() else None


def _contained(part: str, known: Sequence[str]) -> bool:
    part = part.strip()
    return len(part) < MIN_CHARS or any(part in text for text in known)


def _directs(part: str) -> bool:
    """Return True if a known part of a message directs the model, and is not what the user asks about."""
    part = part.strip()
    return len(part) >= MIN_CHARS and (_is_reminder(part) or is_template(part) or _DIRECTIVE.search(part) is not None)


def _is_reminder(part: str) -> bool:
    first = part.partition("\n")[0].strip()
    return _REMINDER.fullmatch(first) is not None or (
        first.startswith("#") and _REMINDER_HEADING.search(first) is not None
    )
