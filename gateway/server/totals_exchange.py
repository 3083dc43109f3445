"""Collects the totals of all workers for the one that answers a request for metrics."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.record.totals import Totals, TotalsDump
from gateway.server.link import ANSWER_S
from gateway.server.worker_slot import WorkerSlot


@dataclass
class _Question:
    """A worker needs the totals of the others.

    Attributes:
        missing: indices of the workers that have not sent theirs yet.
        deadline: when the last known totals are used instead, monotonic seconds.
    """

    slot: WorkerSlot
    number: int
    missing: set[int]
    deadline: float


class TotalsExchange:
    """The open questions of workers, and the totals of processes that have ended."""

    def __init__(self, slots: Sequence[WorkerSlot]) -> None:
        self._slots = slots
        self._ended = Totals()
        self._questions: list[_Question] = []

    @property
    def deadlines(self) -> list[float]:
        """The time by which open requests for totals must be answered, monotonic seconds."""
        return [question.deadline for question in self._questions]

    def ask(self, slot: WorkerSlot, number: int) -> None:
        """A worker asks for the totals of the others: each of them is asked for its own."""
        others = [other for other in self._slots if other is not slot and other.ready and other.connected]
        missing = {other.index for other in others}
        deadline = time.monotonic() + ANSWER_S if missing else 0.0
        self._questions.append(_Question(slot, number, missing, deadline))
        for other in others:
            other.send({"kind": "send_totals"})

    def received(self, slot: WorkerSlot, totals: TotalsDump) -> None:
        """A worker has sent its totals."""
        slot.totals = totals
        self._not_missing(slot)

    def ended(self, slot: WorkerSlot) -> None:
        """The process of this worker has ended: its counts are kept, and its questions need no answer."""
        if slot.totals is not None:
            self._ended.merge(slot.totals, gauges=False)
            slot.totals = None
        self._questions = [question for question in self._questions if question.slot is not slot]
        self._not_missing(slot)

    def answer_due(self, now: float) -> None:
        """Answers the questions whose deadline has passed."""
        for question in [question for question in self._questions if now >= question.deadline]:
            self._answer(question)

    def _not_missing(self, slot: WorkerSlot) -> None:
        for question in list(self._questions):
            question.missing.discard(slot.index)
            if not question.missing:
                self._answer(question)

    def _answer(self, question: _Question) -> None:
        self._questions.remove(question)
        living = [slot.totals for slot in self._slots if slot is not question.slot and slot.totals is not None]
        question.slot.send({"kind": "others", "number": question.number, "living": living, "ended": self._ended.dump()})
