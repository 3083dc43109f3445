"""Pairs of everyday prompts, an easy and a hard one about the same subject, for tests of order."""

from dataclasses import dataclass
from pathlib import Path

import yaml

FILE = Path(__file__).parent / "prompts.yaml"


@dataclass(frozen=True)
class Pair:
    """Two prompts about one subject.

    Attributes:
        subject: in a word or two.
        language: ISO 639-1 code.
        easy: a prompt that every current model answers well.
        hard: a prompt on which weaker models fail.
    """

    subject: str
    language: str
    easy: str
    hard: str


def everyday_pairs() -> list[Pair]:
    """All pairs, first the English ones."""
    return [Pair(**entry) for entry in yaml.safe_load(FILE.read_text("utf-8"))]
