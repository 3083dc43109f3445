"""An answer to a probe that is asked again and again, as the statistics see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

RIGHT = 0.5  # a score from here on counts as right


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer.

    Attributes:
        round: 0 for the baseline.
        score: from 0 to 1; None: it could not be graded, so that it says nothing.
        canonical: a digest of what the checker took out of the answer; None if there is nothing.
        prompt_tokens: as the provider counts them; 0 if it does not.
        response_model: the name of the model in the answer.
        fingerprint: `system_fingerprint` of the answer.
    """

    round: int
    probe: str
    score: float | None
    canonical: str | None = None
    prompt_tokens: int = 0
    response_model: str | None = None
    fingerprint: str | None = None

    @classmethod
    def of(cls, row: Mapping[Any, Any]) -> "Asked":
        """The answer of a row of `drift_asks`."""
        return cls(**{name: row[name] for name in cls.__slots__})

    @property
    def right(self) -> bool | None:
        """Whether the answer is right; None if it could not be graded."""
        return None if self.score is None else self.score >= RIGHT


def digest(canonical: str | None) -> str | None:
    """A digest of an extracted answer: equal answers give equal digests, and no text is stored."""
    return None if canonical is None else blake2b(canonical.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
