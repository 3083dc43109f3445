"""The evidence that a deployment answers otherwise than its baseline. Pure.

Two channels, each an e-process of `router.drift.change_detector`: the outcome of each answer, and what the checker took out of it,
which also tells two wrong answers apart. Their mean is an e-process again.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from gateway.drift.asked import Asked
from gateway.drift.baseline import Baseline
from router.drift.change_detector import ChangeDetector


def evidence(baseline: Baseline, answers: Sequence[Asked]) -> float:
    """The evidence after these answers, which are in order; at 1/α it is an alarm, with false alarms in a share α of lives.

    Answers of the baseline, to other probes and without a grade say nothing.
    """
    place = {probe: i for i, probe in enumerate(baseline.probes)}
    asks, own = np.array([baseline.asks]), np.array([baseline.own_rate])
    outcome, text = ChangeDetector(asks, own), ChangeDetector(asks, own)
    later = [one for one in answers if one.round > 0 and one.probe in place]
    for _, of_round in groupby(later, key=lambda one: one.round):
        outcome.start_round()
        text.start_round()
        for one in of_round:
            i = place[one.probe]
            probe, answered = np.array([i]), np.array([one.score is not None])
            outcome.add(probe, np.array([one.right != baseline.right[i]]), answered)
            before = baseline.canonical[i]
            text.add(probe, np.array([one.canonical != before]), answered & (before is not None))
    return float(outcome.evidence[0] + text.evidence[0]) / 2


def differing(baseline: Baseline, answers: Sequence[Asked], last: int) -> tuple[int, int]:
    """How many of the last answers after the baseline have another outcome, and how many answers these are."""
    right = dict(zip(baseline.probes, baseline.right, strict=True))
    later = [one for one in answers if one.round > 0 and one.score is not None and one.probe in right][-last:]
    return sum(one.right != right[one.probe] for one in later), len(later)


def by_round(baseline: Baseline, answers: Sequence[Asked]) -> list[tuple[int, int, int]]:
    """Each round after the baseline: its number, how many of its answers have another outcome, and how many were graded."""
    right = dict(zip(baseline.probes, baseline.right, strict=True))
    later = [one for one in answers if one.round > 0 and one.score is not None and one.probe in right]
    rounds: dict[int, list[bool]] = {}
    for one in later:
        rounds.setdefault(one.round, []).append(one.right != right[one.probe])
    return [(number, sum(other), len(other)) for number, other in sorted(rounds.items())]
