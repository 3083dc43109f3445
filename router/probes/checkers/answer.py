"""What a model answered, what was taken out of it, and the grade."""

from dataclasses import dataclass, field

from router.probes.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model sent back.

    Attributes:
        tool_calls: in the form of chat completions: `{"function": {"name": ..., "arguments": "JSON"}}`.
        finish_reason: "stop", "length", "content_filter", "tool_calls"; None if the provider states none.
    """

    text: str
    tool_calls: list[JsonObject] = field(default_factory=list)
    finish_reason: str | None = "stop"


@dataclass(frozen=True, slots=True)
class Extracted:
    """The final answer that a checker found.

    Attributes:
        canonical: the answer in one form, so that equal answers are equal texts; None if there is none.
        complete: the text says that this is its answer ("Answer: 4", a box) and goes on after it, so that it counts even where
            the
            text was cut.
        correct: the comparison with the reference.
    """

    canonical: str | None
    complete: bool
    correct: bool


@dataclass(frozen=True, slots=True)
class Grade:
    """A grade.

    Attributes:
        score: from 0 to 1; None if there is nothing to grade: empty, refused, cut before an answer, or the check itself failed.
        canonical: the answer taken out of the text, in one form; None if there is none.
        reason: why there is no score; empty if there is one.
    """

    score: float | None
    canonical: str | None
    reason: str = ""
