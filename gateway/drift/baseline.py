"""The baseline of a deployment: which probes are asked first, and which of them are asked again and again. Pure.

1. Twice as many candidates as are needed, even over kinds, are asked once.
2. Three quarters of them, whose answers differ most from what the nearest models would answer, are asked until each has
   4 answers.
3. Those with 4 equal outcomes stay, the most telling first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.drift.asked import Asked
from router.drift.probe_choice import telling_probes

ASKS = 4  # of each probe
CANDIDATES, SHORTLISTED = 2.0, 1.5  # times the probes that are needed
FEWEST = 8  # steady probes; a deployment with fewer cannot be watched


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a deployment answered to its probes before.

    Attributes:
        probes: ids, the most telling first.
        right: the outcome of each.
        canonical: the digest of its answers; None where they differed.
        asks: how often each was asked.
        own_rate: share of answers that differed from the usual one, over all probes that were tried 4 times.
    """

    probes: tuple[str, ...]
    right: tuple[bool, ...]
    canonical: tuple[str | None, ...]
    asks: tuple[int, ...]
    own_rate: float


def spread(kinds: Sequence[str], count: int, rng: np.random.Generator) -> list[int]:
    """Indices of at most `count` probes, even over kinds, at random inside a kind."""
    left: dict[str, list[int]] = {}
    for i in rng.permutation(len(kinds)).tolist():
        left.setdefault(kinds[i], []).append(i)
    order: list[int] = []
    while left and len(order) < count:
        for kind in sorted(left):
            order.append(left[kind].pop())
            if not left[kind]:
                del left[kind]
    return order[:count]


def graded_by_probe(answers: Sequence[Asked]) -> dict[str, list[Asked]]:
    """The answers of the baseline that could be graded, by probe, in order."""
    found: dict[str, list[Asked]] = {}
    for one in answers:
        if one.round == 0 and one.score is not None:
            found.setdefault(one.probe, []).append(one)
    return found


def shortlist(
    candidates: Sequence[str],
    kinds: Sequence[str],
    answers: Sequence[Asked],
    neighbors: NDArray[np.floating],
    count: int,
) -> list[str]:
    """The candidates to ask until each has 4 answers, by their first answers.

    Args:
        candidates: ids, (B,).
        neighbors: P(correct) of the K nearest models, (K, B).
        count: number of probes that are needed in the end.
    """
    graded = graded_by_probe(answers)
    first = [graded[probe][0].right if probe in graded else None for probe in candidates]
    wanted = telling_probes(_outcomes(first), neighbors, round(SHORTLISTED * count), _numbers(kinds))
    return [candidates[i] for i in wanted.tolist()]


def choose(
    candidates: Sequence[str],
    kinds: Sequence[str],
    answers: Sequence[Asked],
    neighbors: NDArray[np.floating],
    count: int,
) -> Baseline | None:
    """The baseline, once the shortlisted candidates have their answers; None if too few are steady.

    Args: as for `shortlist`.
    """
    graded = {probe: found for probe, found in graded_by_probe(answers).items() if len(found) >= ASKS}
    rights = {probe: [one.right for one in found] for probe, found in graded.items()}
    unusual = sum(min(right.count(True), right.count(False)) for right in rights.values())
    asked = sum(map(len, rights.values()))
    steady = [rights[p][0] if p in rights and len(set(rights[p])) == 1 else None for p in candidates]
    chosen = telling_probes(_outcomes(steady), neighbors, count, _numbers(kinds)).tolist()
    if len(chosen) < FEWEST:
        return None
    probes = [candidates[i] for i in chosen]
    same = [{one.canonical for one in graded[probe]} for probe in probes]
    return Baseline(
        tuple(probes),
        tuple(bool(rights[probe][0]) for probe in probes),
        tuple(next(iter(texts)) if len(texts) == 1 else None for texts in same),
        tuple(len(graded[probe]) for probe in probes),
        unusual / asked,
    )


def restored(probes: Sequence[str], own_rate: float, answers: Sequence[Asked]) -> Baseline:
    """The baseline of probes that were chosen before, from its answers."""
    graded = graded_by_probe(answers)
    same = [{one.canonical for one in graded[probe]} for probe in probes]
    return Baseline(
        tuple(probes),
        tuple(bool(graded[probe][0].right) for probe in probes),
        tuple(next(iter(texts)) if len(texts) == 1 else None for texts in same),
        tuple(len(graded[probe]) for probe in probes),
        own_rate,
    )


def _outcomes(rights: Sequence[bool | None]) -> NDArray[np.float64]:
    return np.array([np.nan if right is None else float(right) for right in rights])


def _numbers(kinds: Sequence[str]) -> NDArray[np.int64]:
    names = sorted(set(kinds))
    return np.array([names.index(kind) for kind in kinds], np.int64)
