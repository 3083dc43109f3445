"""Ensembles: the simulated answers, the votes by hand, self-consistency, and the table on the small world."""

from math import inf, log

import numpy as np
import pytest

from gateway.ensemble.vote import weight
from research.bench.tables import ensembles as table
from research.bench.tables.context import Context
from research.bench.tables.ensemble_rows import (
    CHEAP_FIRST,
    PANEL,
    ROUTER,
    ROWS,
    SINGLE,
    TOP_3_LAZY,
    Asked,
    Case,
    answered,
    outcomes,
)
from research.bench.tables.self_consistency import has_samples, self_consistency
from research.bench.tables.simulated_answers import draw_answers, is_free, wrong_answers
from research.measure_ensembles import reweighed
from tests.router.explore.legible import flaws

LETTERS = "Which planet is the largest?\nA. Mars\nB. Jupiter\nC. Venus\nD. Earth"


@pytest.mark.parametrize(
    ("wrong", "alike", "pairs", "threes"),
    [
        (
            inf,
            0.4,
            0.4,
            0.4 * 0.8 / 1.4,
        ),  # of three, the third repeats one of two equal ones: 2 / (2 + urn), urn 1 / 0.4 - 1
        (9.0, 0.4, 0.4, None),
        (9.0, 0.0, 1 / 9, 1 / 81),
        (3.0, 0.2, 1 / 3, 1 / 9),  # less than chance is chance
        (1.0, 0.4, 1.0, 1.0),
        (inf, 0.0, 0.0, 0.0),
    ],
)
def test_two_wrong_answers_are_alike_as_often_as_stated(
    wrong: float, alike: float, pairs: float, threes: float | None
) -> None:
    n = 40_000
    answers = draw_answers(np.zeros((3, n)), np.full(n, wrong), alike, np.random.default_rng(0))
    assert (answers > 0).all()
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (answers[one] == answers[other]).mean() == pytest.approx(pairs, abs=0.01)
    if threes is not None:
        assert ((answers[0] == answers[1]) & (answers[1] == answers[2])).mean() == pytest.approx(threes, abs=0.01)
    if wrong < inf:
        assert answers.max() <= wrong


def test_a_score_is_the_probability_of_a_right_answer_and_no_score_is_wrong() -> None:
    scores = np.repeat([[1.0], [0.0], [0.3], [np.nan]], 20_000, axis=1)
    right = draw_answers(scores, np.full(20_000, inf), 0.4, np.random.default_rng(1)) == 0
    assert right.mean(axis=1) == pytest.approx([1, 0, 0.3, 0], abs=0.01)


def test_wrong_answers_are_the_other_options() -> None:
    assert wrong_answers("mmlu", LETTERS) == 3
    assert wrong_answers("winogrande", "The _ was late.\nA) court\nB) company") == 1
    assert wrong_answers("gsm8k", "How many apples does A. have?\nGive a number.") == inf
    assert wrong_answers("arc_easy_cloze", "Plants need") == 3
    assert is_free("llmrouter", "mbpp")
    assert not is_free("llmrouter", "gsm8k")
    assert is_free("alpaca_eval", "koala")


def asked(*p: float, first: int = 2) -> Asked:
    return Asked(tuple(range(len(p))), p, tuple(map(weight, p)), first)


@pytest.mark.parametrize(
    ("members", "answers", "votes", "expected"),
    [
        (asked(0.8, 0.75, 0.7), [1, 1, 0], True, (0, 2)),  # agreement: the third is not asked
        (
            asked(0.8, 0.75, 0.7),
            [1, 0, 0],
            True,
            (1, 3),
        ),  # two outvote the most probable; the more probable of them answers
        (asked(0.8, 0.75, 0.7), [1, 2, 0], True, (0, 3)),
        (asked(0.95, 0.5, 0.5), [1, 0, 0], True, (0, 2)),  # the others' weights together are less than the first's
        (asked(0.8, 0.75, 0.7), [1, 0, 0], False, (0, 2)),  # prose: no vote
        (
            asked(0.6, 0.65, 0.7),
            [1, 1, 0],
            False,
            (2, 3),
        ),  # the cheap first: asked until the most probable has answered
        (asked(0.8), [1], True, (0, 1)),
    ],
)
def test_who_answers_after_how_many_calls(
    members: Asked, answers: list[int], votes: bool, expected: tuple[int, int]
) -> None:
    assert answered(members, answers, votes) == expected


def case(scores: list[list[float]], p: list[list[float]], wrong: list[float]) -> Case:
    usd = np.tile([[0.01], [0.002], [np.nan]], (1, len(wrong)))
    return Case(
        "hand", np.array(scores), np.array(p, np.float32), usd, np.array(wrong), np.array([0.7, 0.9, 0.1], np.float32)
    )


def test_rows_by_hand() -> None:
    # Queries: all three may answer and the first two agree; one leads by far; the second did not answer; prose.
    world = case(
        [[1, 0, 1, 0], [1, 1, np.nan, 1], [0, 1, 1, 1]],
        [[0.7, 0.9, 0.5, 0.7], [0.65, 0.3, 0.6, 0.65], [0.6, 0.3, 0.4, 0.6]],
        [3, 3, 3, np.nan],
    )
    found = outcomes(world, ROWS, 0.4, draws=2)
    assert found[ROUTER].right.tolist() == [1, 0, 1, 0]
    assert found[ROUTER].usd.tolist() == [0.01, 0.01, 0.01, 0.01]
    assert found[SINGLE].right.tolist() == [1, 1, 1, 1]  # the second model, where it answered; else the first
    assert found[TOP_3_LAZY].right.tolist() == [1, 0, 1, 0]
    assert found[TOP_3_LAZY].calls.tolist() == [2, 2, 2, 2]
    assert found[TOP_3_LAZY].usd[0] == pytest.approx(0.012)
    assert np.isnan(found["top 3"].usd[0])
    assert found[PANEL].calls.tolist() == [2, 1, 1, 2]
    assert found[CHEAP_FIRST].calls.tolist() == [2, 1, 1, 2]


def test_a_vote_gains_where_wrong_answers_differ_and_loses_nothing_by_stopping_early() -> None:
    rng = np.random.default_rng(0)
    n = 2_000
    p = np.repeat([[0.62], [0.6], [0.58]], n, axis=1)
    scores = (rng.random((3, n)) < p).astype(np.float64)
    world = case(scores.tolist(), p.tolist(), [inf] * n)
    rows = {name: ROWS[name] for name in (ROUTER, "top 3", TOP_3_LAZY)}
    gains = {alike: table.compared(outcomes(world, rows, alike, draws=2)) for alike in (0.0, 0.4)}
    two_right = 0.62 * 0.6 + 0.62 * 0.4 * 0.58 + 0.38 * 0.6 * 0.58
    exact = two_right + 0.62 * 0.4 * 0.42  # or the first alone
    assert gains[0.0]["top 3"]["accuracy"] == pytest.approx(exact, abs=0.02)
    assert gains[0.0]["top 3"]["difference"] > 3 * gains[0.0]["top 3"]["error"] > 0
    assert gains[0.4]["top 3"]["difference"] < gains[0.0]["top 3"]["difference"]
    for of_rows in gains.values():
        assert of_rows[TOP_3_LAZY]["accuracy"] == of_rows["top 3"]["accuracy"]
        assert 2.3 < of_rows[TOP_3_LAZY]["calls"] < 2.7


def test_weights_for_another_probability_of_the_same_error() -> None:
    world = case([[1], [1], [1]], [[0.7], [0.6], [0.3]], [3])
    weights = reweighed(ROWS["top 3"], 0.4)(world, 0).weights
    assert weights == pytest.approx((log(0.7 / 0.3 / 0.4), log(0.6 / 0.4 / 0.4), log(0.3 / 0.7 / 0.4)))


def test_self_consistency_draws_from_the_graded_samples() -> None:
    shares = [1.0, 0.0, 0.9, 0.4] * 300
    world = case([shares, [0.1] * 1200, [0.3] * 1200], [[0.7] * 1200, [0.5] * 1200, [0.4] * 1200], [inf] * 1200)
    assert has_samples(world)
    all_alike, never = (self_consistency(world, alike) for alike in (0.999, 0.0))
    by_share = [found["the same model, 10 samples"].right.reshape(-1, 4).mean(axis=0) for found in (all_alike, never)]
    assert by_share[0].tolist()[:3] == [1, 0, 1]
    assert by_share[0][3] < 0.1  # six wrong samples outvote four right ones
    assert by_share[1].tolist() == [1, 0, 1, 1]
    three = never["the same model, 3 samples"]
    assert three.usd.tolist() == pytest.approx([0.03] * 1200)
    assert not has_samples(case([[1, 0], [1, 0.55], [0, 0]], [[0.5] * 2] * 3, [3, 3]))


def test_the_table_on_the_small_world(small: Context) -> None:
    result = table.measure(small)
    assert set(result["pools"]) == {"sums", "places"}
    assert result["samples"] == {}
    for pool in result["pools"].values():
        for rows in pool["alike"].values():
            assert set(rows) == set(ROWS)
            assert rows[ROUTER]["difference"] == 0
            assert 1 <= rows[PANEL]["calls"] <= 3
            assert rows[PANEL]["usd"] >= rows[ROUTER]["usd"] > 0
    text = table.section(result)
    assert "| panel, cheap first |" in text
    assert "| macro: panel |" in text
    assert "Self-consistency" not in text
    figure = table.figure(result)
    assert figure is not None
    assert flaws(figure) == []
