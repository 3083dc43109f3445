"""Self-consistency, several samples of one model, where scores are shares of right ones among ten samples, as RouterDC's GSM8K."""

from collections.abc import Sequence

import numpy as np

from gateway.ensemble.key import Key
from gateway.ensemble.vote import Ballot, tally
from research.bench.tables.ensemble_rows import DRAWS, Case, Floats, Outcome
from research.bench.tables.simulated_answers import draw_answers

SAMPLES = 10
VOTED = (3, 5, 10)  # samples of one vote
NEAR = 1e-4  # scores are float32
MOSTLY, OFTEN = 0.99, 0.1


def has_samples(case: Case) -> bool:
    """True if nearly all scores are tenths, and at least one in ten of them is neither 0 nor 1. Code and prose are not voted on."""
    known = case.scores[~np.isnan(case.scores)]
    tenths = np.abs(known * SAMPLES - np.round(known * SAMPLES)) < NEAR
    fractions = (known > NEAR) & (known < 1 - NEAR)
    return bool(tenths.mean() > MOSTLY and fractions.mean() >= OFTEN and not np.isnan(case.wrong).any())


def self_consistency(case: Case, alike: float, draws: int = DRAWS) -> dict[str, Outcome]:
    """The most frequent answer of several samples of the router's model; of equally frequent ones that of the first sample.

    The samples are drawn without replacement from the ten that were graded. Which of the wrong ones are alike is simulated.

    Args:
        alike: the probability that two wrong samples of one model are the same.
    """
    chosen = np.array([ranked[0] for ranked in case.ranked])
    columns = np.arange(len(chosen))
    right, usd = np.round(case.scores[chosen, columns] * SAMPLES), case.usd[chosen, columns]
    found: dict[int, Floats] = {number: np.zeros(len(right)) for number in VOTED}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        sampled = np.argsort(rng.random((SAMPLES, len(right))), axis=0) < right
        answers = draw_answers(sampled.astype(np.float64), case.wrong, alike, rng)
        for number in VOTED:
            found[number] += [_most_frequent(of_query) == 0 for of_query in answers[:number].T.tolist()]
    return {
        f"the same model, {number} samples": Outcome(sums / draws, np.full(len(right), float(number)), number * usd)
        for number, sums in found.items()
    }


def _most_frequent(answers: Sequence[int]) -> int:
    ballots = [Ballot(i, 0.5, 1.0, Key("number", str(answer))) for i, answer in enumerate(answers)]
    return answers[tally(ballots).author or 0]
