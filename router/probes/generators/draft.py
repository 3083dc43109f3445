"""A question as a template makes it, before it has an id."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from router.probes.checker_spec import checker_spec
from router.probes.json_types import JsonObject, JsonValue
from router.probes.probe import Probe

LEVELS = (1, 2, 3, 4, 5)
SHORT, WORKED = 64, 500
BRIEF = "Answer with the number only."
WORK_IT_OUT = 'Work it out briefly. End with a line that has "Answer:" and the number.'


class DisagreementError(AssertionError):
    """Two computations of one answer differ, or a template does not find a question."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One question.

    Attributes:
        level: from 1, easy, to 5, hard, within its kind.
        right: an answer that the checker must accept; of a tool question the JSON of the calls.
        wrong: plausible answers that it must refuse.
    """

    query: str
    checker: JsonValue
    reference: JsonValue
    level: int
    right: str
    wrong: Sequence[str]
    max_tokens: int = SHORT
    tools: list[JsonObject] = field(default_factory=list)


Template: TypeAlias = Callable[[random.Random, int], Draft]


@dataclass(frozen=True, slots=True)
class Series:
    """Questions of one template: `count` at each of the levels."""

    template: Template
    levels: Sequence[int]
    count: int = 1


def agreed(first: JsonValue, second: JsonValue) -> JsonValue:
    """The value on which two computations agree.

    Raises:
        DisagreementError: they do not.
    """
    if first != second:
        raise DisagreementError(f"{first!r} by one computation, {second!r} by the other")
    return first


def number_draft(
    query: str, level: int, first: float | str, second: float | str, *, work: bool, decimal: str = ""
) -> Draft:
    """A question with a number as its answer, computed twice. Wrong answers are near the right one."""
    reference = agreed(first, second)
    checker: JsonObject = {"type": "number", "decimal": decimal} if decimal else {"type": "number"}
    wrong = _near(reference)
    end = WORK_IT_OUT if work else BRIEF
    return Draft(
        f"{query}\n{end}" if not decimal else query,
        checker,
        reference,
        level,
        f"Answer: {reference}",
        [f"Answer: {item}" for item in wrong],
        WORKED if work else SHORT,
    )


def _near(reference: JsonValue) -> list[str]:
    if isinstance(reference, int):
        return [str(reference + 1), str(reference - 1), str(10 * reference + 7)]
    if isinstance(reference, float):
        return [f"{reference + 1:.10g}", f"{reference * 1.1 + 0.1:.10g}"]
    top, _, bottom = str(reference).partition("/")
    return [f"{int(top) + 1}/{bottom}", f"{top}/{int(bottom) + 1}"]


def choice_draft(
    rng: random.Random, query: str, level: int, options: Sequence[str], right: str, *, work: bool = False, end: str = ""
) -> Draft:
    """A question with options, whose order is drawn; the letters follow the question, then `end`, which asks for the letter."""
    order = list(options)
    rng.shuffle(order)
    letters = "ABCDEFGHIJ"[: len(order)]
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(letters, order, strict=True))
    letter = letters[order.index(right)]
    end = end or ('Reason briefly. End with "Answer:" and the letter.' if work else "Answer with the letter only.")
    return Draft(
        f"{query}\n{listed}\n{end}",
        {"type": "choice", "options": [*order]},
        letter,
        level,
        f"Answer: {letter}",
        [f"Answer: {other}" for other in letters if other != letter],
        WORKED if work else SHORT,
    )


def text_draft(
    query: str, level: int, reference: str, wrong: Sequence[str], *, accept: Sequence[str] = (), work: bool = False
) -> Draft:
    """A question with a short text as its answer."""
    checker: JsonObject = {"type": "exact", "accept": [*accept]} if accept else {"type": "exact"}
    return Draft(query, checker, reference, level, f"Answer: {reference}", wrong, WORKED if work else SHORT)


def drafts(kind: str, series: Sequence[Series]) -> Iterator[tuple[str, Draft]]:
    """(id, draft) of each question. An id depends on the kind, the template, the level and the place among them alone."""
    for item in series:
        name = item.template.__name__.strip("_").replace("_", "-")
        seen: set[str] = set()
        for level in item.levels:
            for place in range(item.count):
                yield (
                    f"{kind}-{name}-{level}-{place + 1}".replace(":", "-"),
                    _new(kind, item.template, level, place, seen),
                )


def _new(kind: str, template: Template, level: int, place: int, seen: set[str]) -> Draft:
    for attempt in range(1_000):
        draft = template(random.Random(f"{kind}/{template.__name__}/{level}/{place}/{attempt}"), level)
        if draft.query not in seen:
            seen.add(draft.query)
            return draft
    raise DisagreementError(f"{kind}: {template.__name__} has no further question at level {level}")


def probe_of(identifier: str, kind: str, draft: Draft) -> Probe:
    """The probe of a draft.

    Raises:
        ValueError: its checker has options that are not valid.
    """
    return Probe(
        identifier,
        draft.query,
        kind,
        checker_spec(draft.checker),
        draft.reference,
        max_tokens=draft.max_tokens,
        tools=draft.tools,
    )
