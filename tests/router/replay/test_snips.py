import numpy as np
import pytest

from router.replay.snips import measured, weighted
from tests.router.replay.worlds import world


def test_an_exploring_log_tells_the_accuracy_of_another_policy() -> None:
    snips, robust, inside, truths = [], [], [0, 0], []
    for seed in range(100):
        made = world(4_000, bias=0.1, seed=seed)
        rng = np.random.default_rng(seed)
        rows = np.arange(4_000)
        preferred, target = made.routed(60.0), made.routed(5.0)
        explores = rng.random(4_000) < 0.3  # then one of six models
        answered = np.where(explores, rng.integers(0, 6, 4_000), preferred)
        propensity = np.where(answered == preferred, 0.7 + 0.05, 0.05)
        score = np.where(rng.random(4_000) < 0.8, made.scores[rows, answered], np.nan)
        p = made.p_correct.astype(float)
        found = weighted(target == answered, propensity, score, p[rows, answered], p[rows, target])
        assert found.snips is not None
        assert found.doubly_robust is not None
        assert found.uncovered == 0
        truth = made.truth[rows, target].mean()
        truths.append(truth)
        snips.append(found.snips.value - truth)
        robust.append(found.doubly_robust.value - truth)
        inside[0] += found.snips.low <= truth <= found.snips.high
        inside[1] += found.doubly_robust.low <= truth <= found.doubly_robust.high
    assert abs(np.mean(snips)) < 0.015
    assert abs(np.mean(robust)) < 0.015
    assert min(inside) >= 78


def test_a_log_without_exploration_covers_only_where_both_agree() -> None:
    agree = np.array([True] * 300 + [False] * 100)
    score = np.where(agree, 1.0, 0.0)
    found = weighted(agree, np.ones(400), score, np.full(400, 0.9), np.full(400, 0.9))
    assert found.uncovered == 0.25
    assert found.overlap == 300
    assert found.snips is not None
    assert found.snips.value == 1.0


def test_fewer_than_200_graded_requests_in_common_say_nothing() -> None:
    agree = np.ones(1_000, np.bool_)
    score = np.full(1_000, np.nan)
    score[:199] = 1.0
    found = weighted(agree, np.full(1_000, 0.9), score, np.full(1_000, 0.9), np.full(1_000, 0.9))
    assert (found.overlap, found.snips, found.doubly_robust) == (199, None, None)
    assert measured(score) is None
    score[199] = 1.0
    graded = measured(score)
    assert graded is not None
    assert graded.value == 1.0


def test_each_graded_request_stands_for_those_that_were_not_graded() -> None:
    score = np.full(1_000, np.nan)
    score[::4] = 0.6
    found = weighted(np.ones(1_000, np.bool_), np.ones(1_000), score, np.full(1_000, 0.9), np.full(1_000, 0.9))
    assert found.doubly_robust is not None
    assert found.doubly_robust.value == pytest.approx(0.6)
