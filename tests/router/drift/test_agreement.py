"""Posterior odds that two deployments serve one model."""

from itertools import pairwise

import pytest

from router.drift.agreement import SURE, agreement


def test_equal_answers_to_telling_probes_are_the_same_model() -> None:
    found = agreement(32, 0, other_rate=0.6)
    assert found.share == 1
    assert found.log_odds > SURE


def test_answers_that_differ_as_those_of_another_model_are_another_model() -> None:
    assert agreement(32, 20, other_rate=0.6).log_odds < -SURE


def test_probes_that_tell_nothing_leave_the_odds_open() -> None:
    assert abs(agreement(16, 1, other_rate=0.08).log_odds) < 1
    assert agreement(0, 0, other_rate=0.5).log_odds == 0


def test_odds_fall_with_each_differing_answer() -> None:
    odds = [agreement(32, differing, other_rate=0.6).log_odds for differing in range(20)]
    assert all(more > less for more, less in pairwise(odds))


def test_a_model_that_differs_from_itself_may_differ_from_its_twin() -> None:
    doubtful = agreement(32, 9, other_rate=0.6)
    unsteady = agreement(32, 9, other_rate=0.6, own_asks=200, own_differing=50)
    assert unsteady.log_odds > doubtful.log_odds + 1


@pytest.mark.parametrize("counts", [(3, 4, 0, 0), (3, -1, 0, 0), (3, 1, 2, 3)])
def test_impossible_counts_are_refused(counts: tuple[int, int, int, int]) -> None:
    probes, differing, own_asks, own_differing = counts
    with pytest.raises(ValueError, match="not possible"):
        agreement(probes, differing, 0.5, own_asks, own_differing)
