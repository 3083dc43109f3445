"""How the members of an ensemble voted, and who wrote the answer: for the client, for the record and for the metrics. Pure."""

from dataclasses import dataclass
from typing import Literal

from gateway.core.json_types import JsonObject
from gateway.core.vocabulary import NUSD_PER_USD
from gateway.ensemble.calls import Call
from gateway.ensemble.member_call import MemberCall
from gateway.ensemble.vote import Tally
from gateway.record.request_record import Part, total_cost
from gateway.request.chat_request import ChatRequest

Result = Literal["agreed", "weighed", "merged", "judged", "fused", "not_voted", "alone"]
"""How the answer was found.

"agreed": several members gave it. "weighed": all differ, and the one of the greatest weight counts. "merged": the fields of JSON
were voted on one by one. "judged": the judge compared two answers. "fused": the judge wrote it from those of the members.
"not_voted": prose or code, of which the most probable member's counts. "alone": only one member answered.
"""
MAX_NAMES = 20  # in the header


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an ensemble.

    Attributes:
        asked: the members, in the order in which they were asked.
        tally: of their votes, by their places.
        author: the member whose answer counts; the judge wrote from it if the result is "fused".
        judge: the calls of the judge.
        made: all calls, in the order in which they began.
    """

    result: Result
    asked: tuple[MemberCall, ...]
    tally: Tally
    author: MemberCall
    judge: tuple[Call, ...]
    made: tuple[Call, ...]

    @property
    def answered(self) -> int:
        """How many members have answered."""
        return sum(one.answer is not None for one in self.asked)

    @property
    def agreed(self) -> int:
        """How many members gave the answer of the author."""
        return next((len(group) for group in self.tally.groups if self.author.place in group), 1)

    @property
    def model(self) -> str:
        """The model that wrote the answer."""
        return self.writer.model

    @property
    def p_correct(self) -> float | None:
        """P(correct) of this model; None if it wrote from the answers of others."""
        return None if self.result == "fused" else self.author.member.p_correct

    @property
    def of_one(self) -> bool:
        """True if one member wrote the answer as it is."""
        return self.result not in ("merged", "fused")

    @property
    def incomplete(self) -> bool:
        """True if a member failed, so that a later request may find another answer."""
        return any(one.error is not None for one in self.asked)

    @property
    def writer(self) -> Call:
        """The call that wrote the answer."""
        return self.judge[-1] if self.result == "fused" else self.author.call

    def parts(self, request: ChatRequest) -> list[Part]:
        """What is billed for all calls, those that wrote the answer first."""
        others = [call for call in self.made if call is not self.writer]
        return [part for call in (self.writer, *others) for part in call.parts(request)]

    def header(self) -> bytes:
        """The value of `x-locus-ensemble`: `agreed 2/3; a, b | c`, groups of equal answers, the author's first."""
        names = {one.place: one.member.name for one in self.asked}
        counted = {place for group in self.tally.groups for place in group}
        alone = [(one.place,) for one in self.asked if one.place not in counted and one.answer is not None]
        groups = [[names[place] for place in group] for group in (*self.tally.groups, *alone)]
        groups.sort(key=lambda group: self.author.member.name not in group)
        text = " | ".join(", ".join(group) for group in groups[:MAX_NAMES])
        by = f" by {self.judge[-1].model}" if self.result in ("judged", "fused") else ""
        return f"{self.result}{by} {self.agreed}/{self.answered}; {text}".encode()

    def fields(self, request: ChatRequest) -> JsonObject:
        """The same for the body of the answer and for the record, with every call."""
        members = [self._member(one, request) for one in self.asked]
        fields: JsonObject = {
            "result": self.result,
            "agreed": self.agreed,
            "answered": self.answered,
            "members": members,
        }
        if self.judge:
            fields["judge"] = [{"model": call.model, "usd": _usd(call, request)} for call in self.judge]
        return fields

    def _member(self, one: MemberCall, request: ChatRequest) -> JsonObject:
        fields: JsonObject = {
            "model": one.member.name,
            "p_correct": round(one.member.p_correct, 4),
            "weight": round(one.member.weight, 4),
            "vote": self._group(one),
            "author": one is self.author,
            "usd": None if one.unknown_cost else _usd(one.call, request),
            "ms": None if one.ms is None else round(one.ms, 1),
        }
        if one.answer is None:
            fields["failed"] = "not needed" if one.error is None else one.error.recorded
        elif one.key is not None:
            fields["kind"] = one.key.kind
        elif one.abstains:
            fields["abstained"] = True
        return fields

    def _group(self, one: MemberCall) -> int | None:
        """The number of its group, 1 for the leading one; None if it did not vote."""
        if one.key is None:
            return None
        return next((i for i, group in enumerate(self.tally.groups, 1) if one.place in group), None)


def _usd(call: Call, request: ChatRequest) -> float | None:
    """What a call has cost; None if that is not known."""
    parts = call.parts(request)
    nusd = total_cost(parts) if parts else 0
    return None if nusd is None else nusd / NUSD_PER_USD
