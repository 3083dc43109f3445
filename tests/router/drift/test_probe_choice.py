"""The probes that tell a model from its neighbours."""

import numpy as np

from router.drift.probe_choice import telling_probes

NAN = float("nan")


def test_probes_with_the_largest_difference_to_the_neighbors_come_first() -> None:
    outcomes = np.array([1.0, 1.0, 0.0, 0.0])
    neighbors = np.array([[1.0, 0.0, 0.2, 1.0], [1.0, 0.5, 0.0, 1.0]])
    assert telling_probes(outcomes, neighbors, 3).tolist() == [3, 1, 2]


def test_probes_without_a_steady_outcome_are_never_chosen() -> None:
    outcomes = np.array([NAN, 1.0, NAN])
    assert telling_probes(outcomes, np.array([[0.0, 1.0, 1.0]]), 3).tolist() == [1]


def test_neighbors_that_were_not_asked_do_not_count() -> None:
    outcomes = np.array([1.0, 1.0])
    neighbors = np.array([[NAN, 0.4], [0.0, NAN], [0.2, NAN]])
    assert telling_probes(outcomes, neighbors, 1).tolist() == [0]


def test_at_most_a_quarter_is_of_one_kind_while_others_are_left() -> None:
    outcomes = np.ones(16)
    neighbors = np.linspace(0, 1, 16)[None]
    kinds = np.array([0] * 8 + [1, 2, 3, 4] * 2)
    chosen = telling_probes(outcomes, neighbors, 8, kinds)
    assert kinds[chosen].tolist().count(0) == 2
    assert len(set(chosen.tolist())) == 8
    # The neighbours answer the first probes worst. Three of kind 0, all of the others, then kind 0 again.
    assert telling_probes(outcomes, neighbors, 12, kinds).tolist() == [0, 1, 2, *range(8, 16), 3]


def test_equal_probes_keep_their_order() -> None:
    assert telling_probes(np.ones(5), np.zeros((2, 5)), 4).tolist() == [0, 1, 2, 3]
