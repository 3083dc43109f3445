"""The items that the readers of all formats yield: graded answers as their source states them, and skipped answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One graded answer, not yet checked.

    Attributes:
        model: `provider/name`, or the name that the source uses.
        prompt: the question alone: no few-shot examples, no answer.
        score: as the source states it; `collect` checks that it is a number in [0, 1].
        benchmark: "" where the source states none.
        location: file and line (row, sample), for error messages.
        category: finer than the benchmark; may be empty.
        split: train, val or test where the source states one.
        query_id: where the source states one.
        usd: cost of this one answer, US dollars, where the source states it.
    """

    model: str
    prompt: str
    score: object
    benchmark: str
    location: str
    category: str = ""
    split: str | None = None
    query_id: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """An answer without a score. It is not imported; the command reports the number for each reason."""

    reason: str
