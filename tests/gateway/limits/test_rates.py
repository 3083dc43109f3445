from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import rates
from gateway.limits.rates import Cells

LIMIT = 60


@given(st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), max_size=60))
def test_no_minute_has_more_than_the_limit(steps: list[tuple[float, int]]) -> None:
    cells: Cells = {}
    now, admitted = 1_000.0, []
    for pause, amount in steps:
        now += pause
        if rates.prune(cells, now) + amount <= LIMIT:
            rates.charge(cells, now, amount)
            admitted.append((now, amount))
    for begin, _ in admitted:
        assert sum(amount for at, amount in admitted if begin <= at < begin + 60) <= LIMIT


def test_what_was_not_used_comes_back_and_never_more() -> None:
    cells: Cells = {}
    rates.charge(cells, 100.0, 50)
    rates.charge(cells, 130.0, 10)
    rates.charge(cells, 131.0, -20)
    assert rates.prune(cells, 131.0) == 40
    assert rates.prune(cells, 161.5) == 10
    rates.charge(cells, 162.0, -100)
    assert rates.prune(cells, 162.0) == 0


def test_debts_are_waited_for() -> None:
    cells: Cells = {}
    rates.charge(cells, 100.0, 90)  # an answer was longer than expected
    rates.charge(cells, 110.0, 5)
    assert rates.free_at(cells, LIMIT, 1, 120.0) == 161.0
    assert rates.free_at(cells, LIMIT, 58, 120.0) == 171.0
    assert rates.empty_at(cells, 120.0) == 171.0
    assert rates.free_at({}, LIMIT, 500, 120.0) == 120.0  # more than the limit, which an empty minute admits


def test_what_was_charged_before_the_clock_went_back_ends_in_a_minute() -> None:
    cells = {1_000: 3, 4_600: 5}
    assert rates.prune(cells, 1_010.5) == 8
    assert cells == {1_000: 3, 1_010: 5}
    assert rates.prune(cells, 1_071.0) == 0
