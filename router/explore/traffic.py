"""The queries that a portfolio is chosen for, as weighted encodings: anchor queries by benchmark, or the user's prompts."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder
from router.errors import DataError
from router.explore.text_file import read_text, read_yaml
from router.model.anchors import Anchors

BENCHMARK_WEIGHTS = (".json", ".yaml", ".yml")


@dataclass(frozen=True)
class Traffic:
    """Encoded queries and their weights.

    Attributes:
        q: encodings, (n, d_q), float32.
        weights: (n,), non-negative, summing to 1.
        about: a phrase that describes them, for the output of commands.
        graded: the queries are of benchmarks, so the scores of their graders are predicted; False for prompts of users.
    """

    q: NDArray[np.float32]
    weights: NDArray[np.float64]
    about: str
    graded: bool


def anchor_traffic(anchors: Anchors) -> Traffic:
    """All anchors, with equal weights."""
    number = len(anchors.q)
    return Traffic(anchors.q, np.full(number, 1 / number), f"{number} anchor queries", graded=True)


def weighted_traffic(path: Path, anchors: Anchors) -> Traffic:
    """Anchors, weighted by a JSON or YAML file of benchmark -> weight; benchmarks that it does not name have weight 0.

    {"gsm8k": 3, "mmlu": 1}: the anchors of gsm8k share three quarters of the weight, those of mmlu one quarter.

    Raises:
        DataError: the file is unreadable, is not such a mapping, or names a benchmark without anchors.
    """
    found = read_yaml(path)
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path}: expected benchmark: weight, as in {{gsm8k: 3, mmlu: 1}}")
    for name, weight in found.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < float("inf"):
            raise DataError(f"{path}: {name}: weight is {weight!r}, expected a number of 0 or more")
    try:
        weights = anchors.weights({str(name): float(weight) for name, weight in found.items()})
    except DataError as exc:
        raise DataError(f"{path}: {exc}") from exc
    return Traffic(anchors.q, weights, f"anchor queries weighted by {path.name}", graded=True)


def prompt_traffic(path: Path, encoder: QueryEncoder) -> Traffic:
    """The prompts of a file, one per line: JSON if the name ends in .jsonl, plain text otherwise. Repeated prompts count again.

    A line of JSON is a string, or an object whose `prompt` is a string or a list of chat messages, of which the last user
    message counts. `locus log --json` prints such lines if prompts are stored.

    Raises:
        DataError: the file is unreadable, holds no prompt, or a line is not of that form.
    """
    lines = [(i, line) for i, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    prompts = [_prompt(path, i, line) for i, line in lines] if path.suffix == ".jsonl" else [line for _, line in lines]
    if not prompts:
        raise DataError(f"{path}: no prompt in it")
    number = len(prompts)
    return Traffic(
        encoder.encode(prompts), np.full(number, 1 / number), f"{number} prompts of {path.name}", graded=False
    )


def _prompt(path: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except ValueError as exc:
        raise DataError(f"{path}: line {number}: not JSON: {exc}") from exc
    if isinstance(value, dict):
        value = value.get("prompt")
    if isinstance(value, list):
        value = next(_user_texts(value), None)
    if not isinstance(value, str) or not value.strip():
        raise DataError(f"{path}: line {number}: expected a string, or an object with `prompt`: text or chat messages")
    return value


def _user_texts(messages: Sequence[object]) -> Iterator[str]:
    """The texts of the user messages, the last first."""
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            content = message.get("content")
            parts = content if isinstance(content, list) else [{"text": content}]
            texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
            yield "\n".join(text for text in texts if isinstance(text, str))
