"""What a replay's own process is told, and what it answers: an order on its standard input, lines on its standard output."""

from dataclasses import dataclass
from typing import Literal

from gateway.config.database_location import DatabaseLocation
from gateway.config.portfolio import Portfolio
from gateway.model_versions.stored import InUse
from gateway.replay.alternatives import Alternative

READY, WRONG, RESULT, FAILED = "ready", "wrong", "result", "failed"  # the first words of the lines
Kind = Literal["replay", "advice", "savings"]
LONGEST_LINE = 64 << 20  # bytes


@dataclass(frozen=True)
class Order:
    """A replay, or another question that the record answers: advice on the portfolio in force, or what it has saved.

    Attributes:
        file: the portfolio in force, as it is in the file.
        in_use: versions and states of its models.
        checkpoint: the id of the checkpoint in force.
        location: of the record.
        alternatives, text, without: of a replay only.
        text: of another portfolio file, which decides instead; None: that in force.
        without: names of models that the portfolio which decides does not have.
        since, until: seconds since the epoch.
        rows: only the newest so many requests are read.
    """

    file: Portfolio
    in_use: InUse
    checkpoint: str
    location: DatabaseLocation
    alternatives: tuple[Alternative, ...]
    text: str | None
    since: float
    until: float
    rows: int
    kind: Kind = "replay"
    without: tuple[str, ...] = ()
