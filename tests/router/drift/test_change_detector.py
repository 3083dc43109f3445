"""The false alarms and the delay of the change detector, in simulated lives of deployments."""

import numpy as np
import pytest
from numpy.typing import NDArray

from router.drift.change_detector import OWN_RATE, ChangeDetector

PROBES, BASELINE, PER_ROUND, THRESHOLD = 64, 4, 8, 1_000


def detector(lives: int, own: float | None = None) -> ChangeDetector:
    rates = None if own is None else np.full(lives, own)
    return ChangeDetector(np.full((lives, PROBES), BASELINE), rates)


def asks_until_alarm(
    detector: ChangeDetector, rates: NDArray[np.float64], rounds: int, rng: np.random.Generator, after: int = 0
) -> NDArray[np.int64]:
    """Asks 8 probes a round in turn, whose answers differ at these rates, (lives, 64). The asks until the alarm; 0: no alarm."""
    lives = np.arange(len(rates))
    waited = np.zeros(len(rates), np.int64)
    for asked in range(rounds * PER_ROUND):
        if asked % PER_ROUND == 0:
            detector.start_round()
        probe = np.full(len(rates), (asked + after) % PROBES)
        detector.add(probe, rng.random(len(rates)) < rates[lives, probe])
        waited[(detector.evidence >= THRESHOLD) & (waited == 0)] = asked + 1
    return waited


@pytest.mark.parametrize("own", [0.01, 0.04, 0.1])
def test_weeks_without_a_change_give_no_alarm(own: float) -> None:
    waited = asks_until_alarm(detector(400, own), np.full((400, PROBES), own), 180, np.random.default_rng(0))
    assert not waited.any()


def test_probes_that_were_only_lucky_in_the_baseline_give_no_alarm() -> None:
    rng = np.random.default_rng(0)
    rates = np.where(rng.random((400, PROBES)) < 0.1, 0.3, 0.01)
    assert not asks_until_alarm(detector(400), rates, 180, rng).any()


@pytest.mark.parametrize("rounds_before", [0, 60])
def test_a_swapped_model_is_found_within_16_asks_in_99_of_100_lives(rounds_before: int) -> None:
    rng = np.random.default_rng(1)
    swapped = detector(300)
    assert not asks_until_alarm(swapped, np.full((300, PROBES), 0.02), rounds_before, rng).any()
    waited = asks_until_alarm(swapped, np.full((300, PROBES), 0.9), 10, rng, after=rounds_before * PER_ROUND)
    assert np.mean((waited > 0) & (waited <= 16)) >= 0.99


def test_a_model_that_differs_on_half_of_the_probes_is_found_within_a_week() -> None:
    waited = asks_until_alarm(detector(300), np.full((300, PROBES), 0.5), 28, np.random.default_rng(2))
    assert (waited > 0).all()


def test_asks_without_an_answer_change_nothing() -> None:
    found, silent = detector(3), detector(3)
    found.start_round()
    silent.start_round()
    for probe in range(PROBES):
        probes = np.full(3, probe)
        found.add(probes, np.zeros(3, bool))
        silent.add(probes, np.zeros(3, bool))
        for _ in range(20):  # an outage: whatever is noted as the answer counts for nothing
            silent.add(probes, np.ones(3, bool), np.zeros(3, bool))
    np.testing.assert_array_equal(silent.evidence, found.evidence)
    np.testing.assert_array_equal(silent.own_rates(), found.own_rates())


def test_lives_do_not_influence_each_other() -> None:
    both, alone = detector(2), detector(1)
    rng = np.random.default_rng(3)
    for asked in range(64):
        if asked % PER_ROUND == 0:
            both.start_round()
            alone.start_round()
        differs = rng.random(2) < 0.3
        both.add(np.array([asked, (7 * asked) % PROBES]), differs)
        alone.add(np.array([asked]), differs[:1])
    assert both.evidence[0] == alone.evidence[0]


def test_the_capital_is_1_before_the_first_answer_and_in_expectation_never_more() -> None:
    rng = np.random.default_rng(4)
    rates = np.full((20_000, PROBES), OWN_RATE)
    fair = detector(20_000)
    assert fair.evidence == pytest.approx(1)
    asks_until_alarm(fair, rates, 4, rng)
    assert fair.evidence.mean() < 1


def test_a_probe_that_differs_is_expected_to_differ_again() -> None:
    one = detector(1)
    before = one.own_rates()[0]
    one.start_round()
    one.add(np.array([5]), np.array([True]))
    after = one.own_rates()[0]
    assert after[5] > 1.5 * before[5]
    pooled = (0.04 * 100 + 1) / 101  # one of 101 asks
    assert np.delete(after, 5) == pytest.approx(pooled)


def test_a_deployment_that_differs_from_itself_in_its_baseline_is_given_more_room() -> None:
    steady, unsteady = detector(1), detector(1, own=0.2)
    for one in (steady, unsteady):
        one.start_round()
        for probe in range(6):
            one.add(np.array([probe]), np.array([True]))
    assert steady.evidence[0] > 20 * unsteady.evidence[0]


def test_evidence_stays_finite_when_all_answers_differ_for_months() -> None:
    waited = asks_until_alarm(detector(1), np.ones((1, PROBES)), 600, np.random.default_rng(5))
    assert 0 < waited[0] <= 6
