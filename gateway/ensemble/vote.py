"""The weighted vote over the answers of an ensemble. Pure: it knows neither models nor texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum, log

from gateway.ensemble.key import Key

SAME_WRONG = 0.7
"""The probability that two wrong answers are the same, which the weight assumes.

Among recorded answers of good models to MMLU-Pro it is 0.32 to 0.51. A larger value keeps weak members from outvoting a strong
one: their errors are not independent. Of 1/9 (wrong answers spread evenly over ten options), 0.4 and 0.7 this one lost least
where five or seven models vote.
"""
LOWEST_P, HIGHEST_P = 0.01, 0.99

_Strength = tuple[float, int, float, int]


@dataclass(frozen=True, slots=True)
class Ballot:
    """The answer of one member.

    Attributes:
        member: its index, in the order in which the members are asked.
        p_correct: P(correct) of the member for this query.
        weight: of its vote, from `weight`.
        key: what it votes for; None: its answer is not countable, so that it votes for nothing.
    """

    member: int
    p_correct: float
    weight: float
    key: Key | None


@dataclass(frozen=True, slots=True)
class Tally:
    """The result of a vote.

    Attributes:
        groups: the members that gave equal answers, the leading group first, in each group the most probable member first.
        author: the most probable member of the leading group; None if no answer is countable.
        agreed: how many members gave the leading answer; 0 if no answer is countable.
    """

    groups: tuple[tuple[int, ...], ...]
    author: int | None
    agreed: int


def weight(p: float) -> float:
    """The weight of a vote: the logarithm of how much more likely an answer is right than the same error made twice.

    max(0, ln(p / (1 - p) / 0.7)): 0 up to p = 0.41. p counts as at least 0.01 and at most 0.99.
    """
    p = min(max(p, LOWEST_P), HIGHEST_P)
    return max(0.0, log(p / (1 - p) / SAME_WRONG))


def tally(ballots: Sequence[Ballot]) -> Tally:
    """Counts the ballots.

    Groups are compared by the sum of their weights, then by the number of votes, the highest P(correct), and the lowest member.
    """
    groups = [[ballot.member for ballot in group] for group in _groups(ballots)]
    if not groups:
        return Tally((), None, 0)
    return Tally(tuple(map(tuple, groups)), groups[0][0], len(groups[0]))


def decided(ballots: Sequence[Ballot], left: Sequence[float]) -> bool:
    """Return True if the members still to come cannot change which answer leads, whatever they answer.

    A tie that they could reach counts as a change, since their P(correct) may break it.

    Args:
        left: their weights.
    """
    if not left:
        return True
    groups = _groups(ballots)
    if not groups:
        return False
    lead, *rivals = [_strength(group)[:2] for group in groups]
    best, votes = max(rivals, default=(0.0, 0))  # no rival: the members to come may all give one new answer
    return (fsum((best, *left)), votes + len(left)) < lead


def _groups(ballots: Sequence[Ballot]) -> list[list[Ballot]]:
    """The countable ballots by key, the strongest group first."""
    groups: dict[Key, list[Ballot]] = {}
    for ballot in sorted(ballots, key=lambda ballot: (-ballot.p_correct, ballot.member)):
        if ballot.key is not None:
            groups.setdefault(ballot.key, []).append(ballot)
    return sorted(groups.values(), key=_strength, reverse=True)


def _strength(group: Sequence[Ballot]) -> _Strength:
    lowest = min(ballot.member for ballot in group)
    return fsum(ballot.weight for ballot in group), len(group), max(ballot.p_correct for ballot in group), -lowest
