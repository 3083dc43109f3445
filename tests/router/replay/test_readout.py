import numpy as np
import pytest

from router.replay.estimate import Estimate, Mean
from router.replay.readout import Batch, ReadOut, Side
from tests.router.replay.worlds import World, world


def batch(made: World, logged: np.ndarray, other: np.ndarray, rows: slice = slice(None)) -> Batch:
    predicted = made.p_correct[rows], made.standard_error[rows]
    return Batch(made.kinds[rows], Side.of(*predicted, logged[rows]), Side.of(*predicted, other[rows]))


def test_an_estimate_by_hand() -> None:
    p = np.array([[0.5, 0.8], [0.25, 0.5]], np.float32)
    errors = np.array([[0.1, 0.2], [0.1, 0.3]], np.float32)
    found = ReadOut(2, 1)
    logged, other = (Side.of(p, errors, np.array(chosen)) for chosen in ([0, 0], [1, 0]))
    found.add(Batch(np.zeros(2, np.int64), logged, other))
    assert (found.count, found.differing) == (2, 1)
    assert found.logged().value == pytest.approx(0.375)
    assert found.other().value == pytest.approx(0.525)
    difference = found.difference()
    assert difference.value == pytest.approx(0.15)
    # Only the first request differs: one error of each model, and the chance of one answer of each.
    assert difference.error == pytest.approx(np.sqrt(0.1**2 + 0.2**2 + 0.5 * 0.5 + 0.8 * 0.2) / 2)
    # The errors of one model within a kind add up.
    assert found.logged().error == pytest.approx(np.sqrt(0.2**2 + 0.25 + 0.25 * 0.75) / 2)


def test_batches_may_be_summed_up_apart() -> None:
    made = world(300)
    logged, other = made.routed(60.0), made.routed(5.0)
    whole, first, second = ReadOut(6, 5), ReadOut(6, 5), ReadOut(6, 5)
    whole.add(batch(made, logged, other))
    first.add(batch(made, logged, other, slice(0, 120)))
    second.add(batch(made, logged, other, slice(120, None)))
    first.merge(second)
    for name in ("logged", "other", "difference"):
        one, parts = getattr(whole, name)(), getattr(first, name)()
        assert parts.value == pytest.approx(one.value)
        assert parts.error == pytest.approx(one.error)
    assert (first.count, first.differing) == (whole.count, whole.differing)


def test_equal_policies_do_not_differ() -> None:
    made = world(100)
    found = ReadOut(6, 5)
    found.add(batch(made, made.routed(60.0), made.routed(60.0)))
    assert found.difference() == Estimate(0.0, 0.0)


def test_ninety_percent_of_the_intervals_contain_the_truth() -> None:
    hits = {"logged": 0, "other": 0, "difference": 0}
    for seed in range(200):
        made = world(1_000, error=0.04, seed=seed)
        logged, other = made.routed(60.0), made.routed(5.0)
        found = ReadOut(6, 5)
        found.add(batch(made, logged, other))
        truth = {"logged": made.right(logged), "other": made.right(other)}
        truth["difference"] = truth["other"] - truth["logged"]
        for name, value in truth.items():
            estimate = getattr(found, name)()
            hits[name] += estimate.low <= value <= estimate.high
    assert all(166 <= number <= 196 for number in hits.values()), hits


def test_unknown_values_are_left_out_of_a_mean_and_counted() -> None:
    found, rest = Mean(), Mean()
    found.add(np.array([1.0, np.nan, 2.0]))
    rest.add(np.array([3.0]))
    found.merge(rest)
    assert (found.count, found.unknown) == (3, 1)
    assert found.estimate() == Estimate(2.0, pytest.approx(np.sqrt(2 / 3) / np.sqrt(2)))
    assert Mean().estimate() is None
