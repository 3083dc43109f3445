"""The requests of a log that can be replayed, in parts that one process predicts at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

from gateway.record.needs import Needs, unpack_needs
from gateway.replay.logged import Log, LoggedRequest
from gateway.replay.reasons import Reason, why_not

# What one process predicts at a time: seconds of work, beside which it matters little that the tables are sent with it.
CHUNKS_OF_A_JOB = 4


@dataclass(frozen=True)
class Job:
    """Requests that can be replayed.

    Attributes:
        needs, policies: of each, as in `gateway.replay.decider.Asked`.
        packed: what `predict_packed` needs of them.
    """

    rows: list[LoggedRequest]
    needs: list[Needs]
    policies: list[str]
    packed: tuple[list[tuple[bytes, bytes]], list[str | None]]


class Replayable:
    """The requests of a log that can be replayed.

    Attributes:
        requests: the number of all that were read so far.
        reasons: why others cannot be replayed, with their numbers.
    """

    def __init__(self, log: Log, checkpoint: str) -> None:
        self._log, self._checkpoint = log, checkpoint
        self.requests = 0
        self.reasons: Counter[Reason] = Counter()

    def jobs(self) -> Iterator[Job]:
        """Reads the log."""
        chunks = iter(self._log.requests())
        while some := list(islice(chunks, CHUNKS_OF_A_JOB)):
            rows = []
            for row in chain.from_iterable(some):
                self.requests += 1
                reason = why_not(row, self._checkpoint)
                if reason is None:
                    rows.append(row)
                else:
                    self.reasons[reason] += 1
            if rows:
                needs = [unpack_needs(row.needs or {}) for row in rows]
                encodings = [(row.encoding or b"", row.surface or b"") for row in rows]
                packed = encodings, [one.reasoning for one in needs]
                yield Job(rows, needs, [row.policy or "" for row in rows], packed)
