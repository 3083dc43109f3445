"""What a reader yields: one graded answer as its source states it, or the mention of one that was left out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One graded answer, not yet checked.

    Attributes:
        model: `provider/name`, or whatever the source calls it.
        prompt: the question alone: no few-shot examples, no answer.
        score: what the source states; `gathered` demands a number in [0, 1].
        benchmark: "" where the source states none.
        at: file and line (row, sample), for errors.
        category: finer than the benchmark; may be empty.
        split: train, val or test where the source states one.
        query_id: where the source states one.
        usd: cost of this one answer, US dollars, where the source states it.
    """

    model: str
    prompt: str
    score: object
    benchmark: str
    at: str
    category: str = ""
    split: str | None = None
    query_id: int | None = None
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An answer without a score; absent from the data, and counted by reason."""

    reason: str
