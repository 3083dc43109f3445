"""Measures the statistics of drift and duplicates on recorded evaluations, for research/results/drift.md.

    python -m research.measure_drift DATA

A provider swaps model A for B. Both have recorded scores on mmlu_pro; the score of an ask is the recorded one, which turns over
with the model's own rate on that query: in the mean 4%, and the more the closer the query is to its limit. B is never among the
models that the probes were chosen by. A baseline is 4 asks of each probe; only probes with 4 equal outcomes stay.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from research.bench.tables.cells import grid
from router.data.dataset import load_datasets
from router.drift.agreement import SURE, agreement
from router.drift.change_detector import ChangeDetector
from router.drift.probe_choice import NEIGHBORS, telling_probes

POOL, PROBES, BASELINE, PER_ROUND = "mmlu_pro", 64, 4, 8
MOST_ASKS, LIVES, FALSE_ALARMS = 512, 20, 0.001
YEARS, ROUNDS_PER_YEAR = 1_000, 4 * 365
Floats = NDArray[np.float64]


def main(folder: Path) -> None:
    scores = _matrix(folder)
    print(f"{len(scores)} models, {scores.shape[1]} queries of {POOL}\n")
    print(_false_alarms(), end="\n\n")
    print(_swaps(scores), end="\n\n")
    print(_duplicates(scores))


def _matrix(folder: Path) -> Floats:
    """The scores of the models that answered all queries of the pool that most models answered, (M, Q), 0 or 1."""
    data = load_datasets([folder])
    scores = data.scores[:, data.benchmarks == POOL]
    models = (~np.isnan(scores)).mean(axis=1) > 0.9
    scores = scores[models]
    found: Floats = np.round(scores[:, ~np.isnan(scores).any(axis=0)]).astype(np.float64)
    return found


def _own_rates(scores: Floats, mean: float = 0.04) -> Floats:
    """How often a model's outcome on each query turns over, (Q,): proportional to p (1 - p) over the models."""
    p = scores.mean(axis=0)
    turns = p * (1 - p)
    rates: Floats = turns * (mean / turns.mean())
    return rates


def _asked(outcome: NDArray[np.float64], rates: Floats, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(outcome.shape) < rates, 1 - outcome, outcome)


def _false_alarms() -> str:
    lines = []
    for name, draw in _own_rate_models():
        rng = np.random.default_rng(0)
        rates, own = zip(*(_unanimous(draw, rng) for _ in range(YEARS)), strict=True)
        detector = ChangeDetector(np.full((YEARS, PROBES), BASELINE), np.array(own))
        alarmed = np.zeros(YEARS, bool)
        theta, asked = np.array(rates), 0
        for _ in range(ROUNDS_PER_YEAR):
            detector.start_round()
            for _ in range(PER_ROUND):
                probe = np.full(YEARS, asked % PROBES)
                detector.add(probe, rng.random(YEARS) < theta[np.arange(YEARS), probe])
                asked += 1
                alarmed |= detector.evidence >= 1 / FALSE_ALARMS
        lines.append([name, f"{theta.mean():.3f}", str(int(alarmed.sum()))])
    head = ["own rate of the probes", "mean of those kept", f"years with an alarm, of {YEARS:,}"]
    return grid(head, lines)


def _own_rate_models() -> Iterator[tuple[str, Callable[[np.random.Generator, int], Floats]]]:
    yield "4% each", lambda rng, n: np.full(n, 0.04)
    yield "10% each", lambda rng, n: np.full(n, 0.10)
    yield "Beta(0.3, 7.2)", lambda rng, n: rng.beta(0.3, 7.2, n)
    yield "0.24 p (1 - p), p uniform", lambda rng, n: 0.24 * (p := rng.random(n)) * (1 - p)
    yield "2%, every fifth 40%", lambda rng, n: np.where(rng.random(n) < 0.2, 0.4, 0.02)


def _unanimous(draw: Callable[[np.random.Generator, int], Floats], rng: np.random.Generator) -> tuple[Floats, float]:
    """The rates of 64 probes whose 4 answers were alike, and the share of unusual answers among all that were tried."""
    rates = draw(rng, 8 * PROBES)
    turned = rng.binomial(BASELINE, rates)
    unusual = np.minimum(turned, BASELINE - turned)
    return rates[unusual == 0][:PROBES], float(unusual.mean() / BASELINE)


def _swaps(scores: Floats) -> str:
    accuracy = scores.mean(axis=1)
    differ = np.array([[np.mean(a != b) for b in scores] for a in scores])
    np.fill_diagonal(differ, 9)
    others: dict[str, Callable[[int], list[int]]] = {
        "nearest": lambda a: [int(differ[a].argmin())],
        "accuracy within 3 points": lambda a: _within(accuracy, a, -0.03, 0.03),
        "worse by 3 to 10 points": lambda a: _within(accuracy, a, 0.03, 0.10),
    }
    lines = []
    for name, of in others.items():
        cells = [name]
        for chosen in (False, True):
            rng = np.random.default_rng(1)
            waits = [
                wait for a in range(len(scores)) for b in of(a) for wait in _waits(scores, differ, a, b, chosen, rng)
            ]
            found = np.array(waits)
            quantiles = np.quantile(found, [0.5, 0.9, 0.99])
            cells += ["/".join(f"{q:.0f}" if q <= MOST_ASKS else f">{MOST_ASKS}" for q in quantiles)]
            cells += [f"{(found <= 16).mean():.0%}"]
        lines.append(cells)
    head = ["swap", "random: asks, 50/90/99%", "within 16", "chosen: asks, 50/90/99%", "within 16"]
    return grid(head, lines)


def _within(accuracy: Floats, a: int, low: float, high: float) -> list[int]:
    gap = accuracy[a] - accuracy
    return [b for b in np.flatnonzero((gap > low) & (gap <= high)).tolist() if b != a]


def _waits(scores: Floats, differ: Floats, a: int, b: int, chosen: bool, rng: np.random.Generator) -> Iterator[int]:
    """The asks from the swap to the alarm, for several lives; one more than the most if there is none."""
    rates = _own_rates(scores)
    tried = rng.choice(scores.shape[1], 700, replace=False)
    answers = np.stack([_asked(scores[a, tried], rates[tried], rng) for _ in range(BASELINE)])
    usual = np.where(answers.mean(axis=0) >= 0.5, 1.0, 0.0)
    steady = (answers == usual).all(axis=0)
    near = [i for i in np.argsort(differ[a]) if i not in (a, b)][:NEIGHBORS]
    outcome = np.where(steady, usual, np.nan)
    if chosen:
        probes = telling_probes(outcome, scores[np.ix_(near, tried)], PROBES)
    else:
        probes = rng.permutation(np.flatnonzero(steady))[:PROBES]
    own = np.full(LIVES, float((answers != usual).mean()))
    detector = ChangeDetector(np.full((LIVES, PROBES), BASELINE), own)
    wait, asked = np.full(LIVES, MOST_ASKS + 1), 0
    order = np.stack([rng.permutation(PROBES) for _ in range(LIVES)])
    while asked < MOST_ASKS and (wait > MOST_ASKS).any():
        if asked % PER_ROUND == 0:
            detector.start_round()
        probe = order[:, asked % PROBES]
        query = tried[probes[probe]]
        detector.add(probe, _asked(scores[b, query], rates[query], rng) != usual[probes[probe]])
        asked += 1
        wait[(detector.evidence >= 1 / FALSE_ALARMS) & (wait > asked)] = asked
    yield from wait.tolist()


def _duplicates(scores: Floats) -> str:
    rates = _own_rates(scores)
    differ = np.array([[np.mean(a != b) for b in scores] for a in scores])
    np.fill_diagonal(differ, 9)
    lines = []
    for chosen in (False, True):
        for count in (16, 32, 64):
            rng = np.random.default_rng(2)
            same: list[float] = []
            other: list[float] = []
            for a in np.repeat(np.arange(len(scores)), LIVES).tolist():
                b = int(differ[a].argmin())
                tried = rng.choice(scores.shape[1], 700, replace=False)
                near = [i for i in np.argsort(differ[a]) if i not in (a, b)][:NEIGHBORS]
                first = _asked(scores[a, tried], rates[tried], rng)
                picked = telling_probes(first, scores[np.ix_(near, tried)], count) if chosen else np.arange(count)
                queries = tried[picked]
                rate = float(np.abs(first[picked] - scores[np.ix_(near, queries)]).mean(axis=1).min())
                once = _asked(scores[a, queries], rates[queries], rng)
                for deployed, found in ((a, same), (b, other)):
                    again = _asked(scores[deployed, queries], rates[queries], rng)
                    found.append(agreement(count, int((once != again).sum()), rate).log_odds)
            cells = [np.mean(np.array(same) > 0), np.mean(np.array(same) < -SURE), np.mean(np.array(other) < 0)]
            cells += [np.mean(np.array(other) > SURE)]
            lines.append([f"{count} {'chosen' if chosen else 'random'}", *(f"{cell:.1%}" for cell in cells)])
    head = [
        "probes",
        "same: told as same",
        "surely called different",
        "nearest other: told as different",
        "surely same",
    ]
    return grid(head, lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
