"""Hypothetical profiles: how they are written, made up and matched."""

import numpy as np
import pytest

from router.errors import DataError
from router.explore.profile import hypothetical, matches, parse_profile
from router.model.anchors import Anchors

ANCHORS = Anchors(np.eye(30, dtype=np.float32), np.array(["a"] * 4 + ["b"] * 16 + ["c"] * 10))


def test_a_profile_is_read() -> None:
    assert parse_profile("gsm8k=0.9,mmlu=0.7") == {"gsm8k": 0.9, "mmlu": 0.7}
    assert parse_profile(" mmlu = 1 ") == {"mmlu": 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "''.*expected BENCHMARK=ACCURACY"),
        ("mmlu", "'mmlu'.*expected BENCHMARK=ACCURACY"),
        ("mmlu=", "'mmlu='.*expected BENCHMARK=ACCURACY"),
        ("=0.5", "'=0.5'.*expected BENCHMARK=ACCURACY"),
        ("mmlu=0.5,", "''.*expected BENCHMARK=ACCURACY"),
        ("mmlu=0.5,mmlu=0.6", "mmlu occurs twice"),
        ("mmlu=70%", "mmlu=70%: expected a number from 0 to 1"),
        ("mmlu=70", "mmlu=70: expected a number from 0 to 1"),
        ("mmlu=-0.1", "from 0 to 1"),
        ("mmlu=nan", "from 0 to 1"),
    ],
)
def test_what_is_no_profile_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_profile(text)


def test_right_answers_are_spread_evenly_and_rounded() -> None:
    made_up = hypothetical(ANCHORS, {"b": 0.9, "a": 0.5})
    np.testing.assert_array_equal(made_up.q, np.eye(30, dtype=np.float32)[:20])
    assert made_up.y[:4].tolist() == [1, 0, 1, 0]
    assert (made_up.y[4:].sum(), made_up.y.dtype) == (14, np.float32)
    assert set(made_up.y.tolist()) == {0.0, 1.0}
    wrong = np.flatnonzero(made_up.y[4:] == 0)
    assert np.diff(wrong).tolist() == [10]


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.25, 1 / 3, 0.5, 0.77, 1.0])
def test_the_share_is_the_nearest_that_the_anchors_allow(accuracy: float) -> None:
    y = hypothetical(ANCHORS, {"c": accuracy}).y
    assert abs(y.mean() - accuracy) <= 0.05 + 1e-6
    halves = y[:5].mean(), y[5:].mean()
    assert abs(halves[0] - halves[1]) <= 0.2 + 1e-6


def test_an_unknown_benchmark_is_named_with_those_there_are() -> None:
    with pytest.raises(DataError, match=r"no anchor queries of benchmark mmlu; there are a, b, c"):
        hypothetical(ANCHORS, {"a": 0.5, "mmlu": 0.5})


def test_matches_come_by_distance_with_what_is_predicted() -> None:
    accuracy = {"a": np.array([0.1, 0.2, 0.3]), "b": np.array([0.9, 0.8, 0.7]), "c": np.zeros(3)}
    found = matches({"b": 0.9, "a": 0.3}, ["far", "south", "north"], np.array([5.0, 1.0, 1.0]), accuracy)
    assert [(match.model, match.distance) for match in found] == [("north", 1.0), ("south", 1.0), ("far", 5.0)]
    assert found[0].accuracy == {"b": 0.7, "a": 0.3}
    assert found[0].gap == pytest.approx(0.1)
    assert found[1].gap == pytest.approx(0.1)
