"""What another tool says of an answer."""

from dataclasses import dataclass


class ImportFailed(Exception):
    """The export cannot be read; the message names the file or address, and what is wrong. It contains no credentials."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A score and the names under which the record may have its request.

    Attributes:
        ids: request or trace ids, the most certain first.
        score: from 0, wrong, to 1, correct; None: it has none, see `reason`.
        reason: why it has no score.
        time: when it was said, seconds since the epoch; None if the export does not tell.
    """

    ids: tuple[str, ...]
    score: float | None
    reason: str = ""
    time: float | None = None

    @property
    def name(self) -> str:
        """How reports name it."""
        return self.ids[0] if self.ids else "without an id"
