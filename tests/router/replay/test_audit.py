import numpy as np
import pytest

from router.replay.audit import FEWEST, audited, plan
from tests.router.replay.worlds import World, world


def differing(made: World) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Predicted differences and variances of the requests on which two policies differ, true differences, and their mean."""
    logged, other = made.routed(60.0), made.routed(5.0)
    rows = np.flatnonzero(logged != other)
    p = made.p_correct[rows, other[rows]].astype(float), made.p_correct[rows, logged[rows]].astype(float)
    truth = made.scores[rows, other[rows]] - made.scores[rows, logged[rows]]
    variance = sum(part * (1 - part) for part in p)
    return p[0] - p[1], variance, truth, float(truth.sum()) / len(made.kinds)


def test_an_audit_finds_a_bias_of_the_predictions() -> None:
    readout, corrected, inside = [], [], 0
    for seed in range(100):
        made = world(3_000, bias=0.2, seed=seed)
        difference, variance, truth, mean = differing(made)
        drawn = plan(difference, variance, 200, seed)
        found = audited(3_000, difference, drawn.strata, drawn.drawn, truth[drawn.drawn])
        assert found is not None
        readout.append(difference.sum() / 3_000 - mean)
        corrected.append(found.value - mean)
        inside += found.low <= mean <= found.high
    assert abs(np.mean(readout)) > 0.04
    assert abs(np.mean(corrected)) < 0.01
    assert 82 <= inside <= 97


def test_asking_all_gives_the_truth() -> None:
    made = world(400)
    difference, variance, truth, mean = differing(made)
    drawn = plan(difference, variance, 10_000)
    assert sorted(drawn.drawn.tolist()) == list(range(len(difference)))
    found = audited(400, difference, drawn.strata, drawn.drawn, truth[drawn.drawn])
    assert found is not None
    assert found.value == pytest.approx(mean)
    assert found.error == pytest.approx(0)


def test_a_draw_has_no_request_twice_and_some_of_each_stratum() -> None:
    rng = np.random.default_rng(0)
    difference = rng.normal(0, 0.2, 500)
    drawn = plan(difference, np.full(500, 0.4), 60, seed=3)
    assert len(set(drawn.drawn.tolist())) == 60
    assert np.bincount(drawn.strata[drawn.drawn]).tolist() == [10] * 6
    assert plan(difference, np.full(500, 0.4), 60, seed=3).drawn.tolist() == drawn.drawn.tolist()


def test_more_are_drawn_where_answers_vary_more() -> None:
    difference = np.linspace(0, 0.5, 600)
    variance = np.where(difference > 0.25, 0.4, 0.1)
    drawn = plan(difference, variance, 90)
    assert np.bincount(drawn.strata[drawn.drawn]).tolist() == [10, 10, 10, 20, 20, 20]


def test_a_part_of_the_audit_and_ungraded_answers_count_as_far_as_they_go() -> None:
    made = world(3_000, bias=0.2)
    difference, variance, truth, mean = differing(made)
    drawn = plan(difference, variance, 200)
    graded = truth[drawn.drawn[:120]].astype(float)
    graded[::10] = np.nan
    found = audited(3_000, difference, drawn.strata, drawn.drawn[:120], graded)
    assert found is not None
    assert found.low <= mean <= found.high
    few = np.full(120, np.nan)
    few[: FEWEST - 1] = truth[drawn.drawn[: FEWEST - 1]]
    assert audited(3_000, difference, drawn.strata, drawn.drawn[:120], few) is None


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7])
def test_few_differing_requests(size: int) -> None:
    difference = np.linspace(-0.1, 0.1, size)
    drawn = plan(difference, np.full(size, 0.4), 200)
    assert sorted(drawn.drawn.tolist()) == list(range(size))
    found = audited(10, difference, drawn.strata, drawn.drawn, np.ones(size)[drawn.drawn])
    assert found is not None
    assert found.value == pytest.approx(size / 10)
