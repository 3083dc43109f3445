"""Everyday requests with their authors' judgement of difficulty, which the general term learns from."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router.encode.encoder import QueryEncoder
from router.model.general import EASIEST

FILE = Path(__file__).with_name("requests.tsv")
# Difficulty of each level, 1 to 5, in logits: a model of mean ability answers 98%, 92%, 77%, 50% and 23% of them well.
LEVELS = (EASIEST, -2.5, -1.2, 0.0, 1.2)


@dataclass(frozen=True)
class Requests:
    """n requests.

    Attributes:
        prompts: n texts.
        levels: the authors' judgement, (n,), int64, from 1, which practically every model answers well, to 5.
    """

    prompts: tuple[str, ...]
    levels: NDArray[np.int64]

    @property
    def difficulty(self) -> NDArray[np.float64]:
        """In logits, (n,), float64."""
        return np.array(LEVELS)[self.levels - 1]


@dataclass(frozen=True)
class Judged:
    """Encodings of the requests, (n, d_q), float32, and their difficulty in logits, (n,), float64."""

    q: NDArray[np.float32]
    difficulty: NDArray[np.float64]

    @classmethod
    def encoded(cls, requests: Requests, encoder: QueryEncoder) -> "Judged":
        """The requests as the general term learns from them."""
        return cls(encoder.encode(requests.prompts), requests.difficulty)


def judged_requests() -> Requests:
    """The requests of the package, whose file states what the levels mean."""
    lines = FILE.read_text("utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines if line and not line.startswith("#")]
    prompts = tuple(prompt.replace("\\n", "\n") for _, prompt in pairs)
    return Requests(prompts, np.array([int(level) for level, _ in pairs], np.int64))
