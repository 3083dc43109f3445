"""Accuracy by evaluations: where curves reach a height, factors on curves made by hand, and the small world."""

from collections.abc import Sequence

import numpy as np
import pytest

from research.bench.outcomes import Outcome
from research.bench.rows import OURS, methods
from research.bench.tables import accuracy_by_evaluations as table
from research.bench.tables.accuracy_by_evaluations import Fewer
from research.bench.tables.context import Context
from research.bench.tables.repeats import DRAWS, ENOUGH, draws_for, percent_between
from research.bench.tables.sample_efficiency import Point, evaluations_needed, factors


def flat(per_model: int | None, evaluations: float, *accuracies: float) -> Point:
    """In each draw every query is routed with the same score, so that resampling queries changes nothing."""
    outcomes = [Outcome(np.full(50, a), np.full(50, 2 * a), np.full(50, 2.0)) for a in accuracies]
    return Point(per_model, evaluations, tuple({"p": outcome} for outcome in outcomes))


def test_a_curve_is_read_between_its_points_on_the_logarithm() -> None:
    x, y = np.array([10.0, 100, 1000]), np.array([0.5, 0.6, 0.7])
    assert evaluations_needed(x, y, 0.65) == pytest.approx(np.sqrt(100 * 1000))
    assert evaluations_needed(x, y, 0.6) == pytest.approx(100)
    assert evaluations_needed(x, y, 0.4) == 10
    assert evaluations_needed(x, y, 0.71) == np.inf


def test_a_curve_that_sinks_reaches_a_height_where_it_first_does() -> None:
    x, y = np.array([10.0, 100, 1000, 10000]), np.array([0.5, 0.7, 0.6, 0.8])
    assert evaluations_needed(x, y, 0.65) == pytest.approx(10 ** (1 + 0.75))
    assert evaluations_needed(x, y, 0.75) == pytest.approx(10**3.75)


def test_factors_say_how_many_more_evaluations_a_row_needs() -> None:
    def curve(*points: tuple[float, float]) -> Sequence[Point]:
        return [flat(int(n), n, y) for n, y in points[:-1]] + [flat(None, *points[-1])]

    of_rows = {
        OURS: curve((10, 0.6), (100, 0.7), (1000, 0.9)),
        "EmbedLLM": curve((10, 0.5), (100, 0.6), (1000, 0.65)),
    }
    first, second = factors(of_rows, "routing", "macro")
    assert (first["row"], first["per_model"]) == ("EmbedLLM", 10)
    assert first["factor"] == pytest.approx(10)
    assert first["low"] == pytest.approx(first["high"]) == pytest.approx(10)
    assert second["factor"] is None
    assert second["most"] == pytest.approx(10)
    assert factors(of_rows, "prediction", "p")[0]["factor"] == pytest.approx(10)


def test_several_draws_are_averaged_and_their_spread_is_shown() -> None:
    point = flat(10, 10, 0.4, 0.5, 0.6)
    assert point.accuracy("routing") == pytest.approx({"p": 0.5, "macro": 0.5})
    assert point.spread("prediction") == pytest.approx({"p": 0.1, "macro": 0.1})
    assert flat(10, 10, 0.4).spread("routing") == {}
    assert percent_between(0.5, 0.1) == "50.0 ± 10.0"
    assert percent_between(0.5, None) == "50.0"
    assert percent_between(None, 0.1) == ""


def test_few_evaluations_are_drawn_at_least_five_times() -> None:
    assert DRAWS >= 5
    assert [draws_for(n) for n in (8, ENOUGH - 1, ENOUGH, None)] == [DRAWS, DRAWS, 1, 1]


def test_the_interval_of_a_factor_holds_the_difference_between_draws() -> None:
    of_rows = {
        OURS: [flat(10, 10, 0.5, 0.7), flat(100, 100, 0.8), flat(None, 1000, 0.9)],
        "kNN": [flat(10, 10, 0.4, 0.4), flat(100, 100, 0.6), flat(None, 1000, 0.8)],
    }
    first, second = factors(of_rows, "routing", "macro")
    assert first["factor"] == pytest.approx(10)  # 0.6, the mean of ours, is what kNN reaches with 100
    assert first["low"] == pytest.approx(np.sqrt(10))  # two draws of 0.5, halfway from 10 to 100
    assert first["high"] == pytest.approx(10**1.5)  # two draws of 0.7
    assert second["low"] == second["high"] == pytest.approx(10)
    assert factors(of_rows, "routing", "macro", without=["kNN"]) == []


def test_a_row_tuned_over_fewer_settings_keeps_its_name_and_its_fits(small: Context) -> None:
    (method,) = methods(["kNN"])
    fewer = Fewer(method, method.grid[:2])
    runs = small.runs(20)
    assert runs.file(fewer, method.grid[1], 0) == runs.file(method, method.grid[1], 0)


def test_the_small_world_from_few_to_all_evaluations(small: Context) -> None:
    result = table.measure(small, points=(64,))
    assert set(result["curves"]) == {OURS, "EmbedLLM", "kNN"}
    for reached in result["curves"].values():
        assert [point["per_model"] for point in reached] == [64, None]
        assert reached[0]["evaluations"] == 64
        assert [point["draws"] for point in reached] == [DRAWS, 1]
        assert reached[1]["routing_spread"] == {}
        assert 0 < reached[0]["prediction_spread"]["macro"] < 0.2
        assert reached[1]["evaluations"] == (small.data.splits == "train").sum()
    ours = result["curves"][OURS]
    assert ours[1]["routing"]["macro"] == pytest.approx(
        np.mean([small.rows[OURS].outcome(small.evidence.truth, p).routing for p in small.pools("test")])
    )
    assert ours[1]["routing"]["macro"] > 0.85  # the best single model reaches about 0.6
    text = table.section(result)
    assert "| ours |" in text
    assert "64 [64]" in text
