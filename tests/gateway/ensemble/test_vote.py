"""The weighted vote, against its formula and against every way in which the members still to come may vote."""

from itertools import product
from math import log
from random import Random

import pytest

from gateway.ensemble.key import Key
from gateway.ensemble.vote import Ballot, Tally, decided, tally, weight


def ballot(member: int, p: float, answer: str | None) -> Ballot:
    return Ballot(member, p, weight(p), None if answer is None else Key("short", answer))


def test_the_weight_is_the_log_odds_less_that_of_equal_errors() -> None:
    assert weight(0.7) == pytest.approx(log(0.7 / 0.3 / 0.7))
    assert weight(0.4) == weight(0.0) == 0.0
    assert weight(1.0) == weight(0.99) == pytest.approx(log(99 / 0.7))


@pytest.mark.parametrize(
    ("ballots", "expected"),
    [
        ([], Tally((), None, 0)),
        ([ballot(0, 0.9, None), ballot(1, 0.8, None)], Tally((), None, 0)),
        ([ballot(0, 0.6, "a"), ballot(1, 0.7, "a")], Tally(((1, 0),), 1, 2)),
        ([ballot(0, 0.6, "a"), ballot(1, 0.55, "b"), ballot(2, 0.5, "b")], Tally(((1, 2), (0,)), 1, 2)),
        ([ballot(0, 0.9, "a"), ballot(1, 0.6, "b"), ballot(2, 0.6, "b")], Tally(((0,), (1, 2)), 0, 1)),
        ([ballot(0, 0.9, None), ballot(1, 0.5, "b")], Tally(((1,),), 1, 1)),
        ([ballot(0, 0.3, "a"), ballot(1, 0.2, "b"), ballot(2, 0.1, "b")], Tally(((1, 2), (0,)), 1, 2)),  # no weights
        ([ballot(0, 0.2, "a"), ballot(1, 0.3, "b")], Tally(((1,), (0,)), 1, 1)),
        ([ballot(1, 0.6, "b"), ballot(0, 0.6, "a")], Tally(((0,), (1,)), 0, 1)),
    ],
)
def test_the_heaviest_answer_leads_and_its_most_probable_voter_is_the_author(
    ballots: list[Ballot], expected: Tally
) -> None:
    assert tally(ballots) == expected


def test_the_order_of_the_ballots_does_not_matter() -> None:
    draw = Random(1)
    for _ in range(200):
        ballots = [ballot(i, draw.choice((0.2, 0.5, 0.6, 0.61)), draw.choice(("a", "b", "c", None))) for i in range(5)]
        assert tally(draw.sample(ballots, 5)) == tally(ballots)


@pytest.mark.parametrize("lowest", [0.42, 0.2])
def test_a_vote_is_decided_where_no_further_answers_can_change_it(lowest: float) -> None:
    draw = Random(2)
    seen = {True: 0, False: 0}
    for _ in range(400):
        asked, to_come = draw.randint(1, 4), draw.randint(1, 3)
        given = [ballot(i, draw.uniform(lowest, 0.95), draw.choice(("a", "a", "b", None))) for i in range(asked)]
        later = [draw.uniform(lowest, 0.95) for _ in range(to_come)]
        lead = leading(given)
        changes = any(
            leading([*given, *(ballot(asked + i, later[i], answer) for i, answer in enumerate(answers))]) != lead
            for answers in product(("a", "b", "new", "other", None), repeat=to_come)
        )
        result = decided(given, [weight(p) for p in later])
        assert not (result and changes)
        assert result or changes or lowest < 0.42  # weights of 0 do not tell which of two equal groups is more probable
        seen[result] += 1
    assert min(seen.values()) > 50


def test_no_vote_is_decided_without_a_countable_answer_unless_all_have_answered() -> None:
    assert not decided([ballot(0, 0.9, None)], [0.1])
    assert not decided([], [0.0])
    assert decided([ballot(0, 0.9, None)], [])


def leading(ballots: list[Ballot]) -> Key | None:
    author = tally(ballots).author
    return next((ballot.key for ballot in ballots if ballot.member == author), None)
