"""Public benchmarks with checkable answers: where their rows are, under which licence, and how a row becomes a probe.

The text of a question is made as in the evaluations of known models, without instructions or examples, so that `query_key`
joins the two.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from router.probes.checker_spec import CheckerSpec
from router.probes.checkers.exact import canonical_literal
from router.probes.checkers.final_part import boxed
from router.probes.checkers.number import reference_number
from router.probes.json_types import JsonObject, JsonValue
from router.probes.probe import MOST_QUERY_CHARACTERS, Probe

Row: TypeAlias = Mapping[str, JsonValue]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
CRUX = (
    "You are given a Python function and an assertion containing an input to the function. Complete the assertion with a"
    " literal (no unsimplified expressions, no function calls) containing the output when executing the provided code on the"
    " given input, even if the function is incorrect or incomplete.\n\n[PYTHON]\n{code}\nassert f({input}) == ??\n[/PYTHON]"
)

_AROUND = re.compile(r"\\(?:text|mbox|mathrm)\{[^{}]*\}|\\[!$%,;]|\^\{?\\circ\}?|[\s$]")
_NUMBER = re.compile(
    r"-?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+|\d+/\d+|\\[dt]?frac(?:\{-?\d+\}\{\d+\}|\d\d))"  # no roots, no lists
)


@dataclass(frozen=True, slots=True)
class Part:
    """A configuration and a split of a data set."""

    config: str
    split: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark.

    Attributes:
        dataset: its name on the Hugging Face hub.
        licence: as the card of the data set states it.
        rows_per_probe: of how many rows about one becomes a probe.
        probe: a probe of a row; None for a row that cannot be checked, such as one whose answer is no number.
    """

    name: str
    dataset: str
    parts: Sequence[Part]
    licence: str
    probe: Callable[[Row, str], Probe | None]
    rows_per_probe: int = 1

    @property
    def card(self) -> str:
        """The page of the data set."""
        return f"https://huggingface.co/datasets/{self.dataset}"


def _text(row: Row, name: str) -> str:
    value = row.get(name)
    return value if isinstance(value, str) else ""


def _texts(value: JsonValue) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _choice(
    identifier: str, kind: str, question: str, options: Sequence[str], letter: str, mark: str = "."
) -> Probe | None:
    if not question or not 2 <= len(options) <= len(LETTERS) or letter not in LETTERS[: len(options)] or not letter:
        return None
    query = "\n".join([question, *(f"{LETTERS[i]}{mark} {option}" for i, option in enumerate(options))])
    return _probe(identifier, query, kind, CheckerSpec("choice", {"options": [*options]}), letter, 512)


def _probe(
    identifier: str, query: str, kind: str, checker: CheckerSpec, reference: JsonValue, most: int
) -> Probe | None:
    if not query.strip() or len(query) > MOST_QUERY_CHARACTERS:
        return None
    return Probe(identifier, query, kind, checker, reference, max_tokens=most)


def _gsm8k(row: Row, identifier: str) -> Probe | None:
    number = reference_number(_text(row, "answer").rpartition("####")[2].strip())
    if number is None:
        return None
    return _probe(identifier, _text(row, "question"), "mathematics:gsm8k", CheckerSpec("number"), str(number), 512)


def _math_l5(row: Row, identifier: str) -> Probe | None:
    if _text(row, "level") != "Level 5":
        return None
    answers = boxed(_text(row, "solution"))
    plain = _AROUND.sub("", answers[-1]) if answers else ""
    number = reference_number(plain) if _NUMBER.fullmatch(plain) else None
    if number is None:
        return None
    kind = f"mathematics:{_text(row, 'type').lower().replace(' ', '_') or 'math_l5'}"
    return _probe(identifier, _text(row, "problem"), kind, CheckerSpec("number"), str(number), 1_024)


def _mmlu_pro(row: Row, identifier: str) -> Probe | None:
    kind = f"mmlu_pro:{_text(row, 'category') or 'other'}"
    return _choice(identifier, kind, _text(row, "question"), _texts(row.get("options")), _text(row, "answer"))


def _mmlu(row: Row, identifier: str) -> Probe | None:
    place = row.get("answer")
    letter = LETTERS[place] if isinstance(place, int) and 0 <= place < len(LETTERS) else ""
    return _choice(
        identifier, f"mmlu:{_text(row, 'subject')}", _text(row, "question"), _texts(row.get("choices")), letter
    )


def _arc(row: Row, identifier: str) -> Probe | None:
    choices = row.get("choices")
    options = _texts(choices.get("text")) if isinstance(choices, dict) else []
    labels = _texts(choices.get("label")) if isinstance(choices, dict) else []
    key = _text(row, "answerKey")
    if key not in labels or len(labels) != len(options):
        return None
    letter = LETTERS[labels.index(key) : labels.index(key) + 1]
    return _choice(identifier, "knowledge:arc", _text(row, "question"), options, letter, ")")


def _crux(row: Row, identifier: str) -> Probe | None:
    output = _text(row, "output")
    if canonical_literal(output) is None:
        return None
    query = CRUX.format(code=_text(row, "code").strip(), input=_text(row, "input"))
    return _probe(identifier, query, "code:crux", CheckerSpec("exact", {"compare": "literal"}), output, 512)


_MATH = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra", "precalculus",
)  # fmt: skip
BENCHMARKS: Mapping[str, Benchmark] = {
    item.name: item
    for item in (
        Benchmark("gsm8k", "openai/gsm8k", (Part("main", "test"),), "MIT", _gsm8k),
        Benchmark("mmlu_pro", "TIGER-Lab/MMLU-Pro", (Part("default", "test"),), "MIT", _mmlu_pro),
        Benchmark(
            "math_l5", "EleutherAI/hendrycks_math", tuple(Part(name, "test") for name in _MATH), "MIT", _math_l5, 7
        ),
        Benchmark("mmlu", "cais/mmlu", (Part("all", "test"),), "MIT", _mmlu),
        Benchmark("crux", "cruxeval-org/cruxeval", (Part("default", "test"),), "MIT", _crux),
        Benchmark("arc_challenge", "allenai/ai2_arc", (Part("ARC-Challenge", "test"),), "CC BY-SA 4.0", _arc),
    )
}


def identifier(benchmark: Benchmark, part: Part, row: int) -> str:
    """The id of a row, which stays the same as long as the data set does."""
    config = f"-{part.config}" if len(benchmark.parts) > 1 else ""
    return f"{benchmark.name}{config}-{row}"


def described(benchmark: Benchmark) -> JsonObject:
    """Name, page and licence, as they are written beside the bank."""
    return {"name": benchmark.name, "source": benchmark.card, "licence": benchmark.licence}
