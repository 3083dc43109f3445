"""Accuracy by evaluations: where curves reach a height, factors on curves made by hand, and the small world."""

from collections.abc import Sequence

import numpy as np
import pytest

from research.bench.outcomes import Outcome
from research.bench.rows import OURS, methods
from research.bench.tables import accuracy_by_evaluations as table
from research.bench.tables.accuracy_by_evaluations import Fewer, Point, evaluations_needed, factors
from research.bench.tables.context import Context


def flat(per_model: int | None, evaluations: float, accuracy: float) -> Point:
    """Every query is routed with the same score, so that resampling changes nothing."""
    same = np.full(50, accuracy)
    return Point(per_model, evaluations, {"p": Outcome(same, 2 * same, np.full(50, 2.0))})


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
        assert reached[1]["evaluations"] == (small.data.splits == "train").sum()
    ours = result["curves"][OURS]
    assert ours[1]["routing"]["macro"] == pytest.approx(
        np.mean([small.rows[OURS].outcome(small.evidence.truth, p).routing for p in small.pools("test")])
    )
    assert ours[1]["routing"]["macro"] > 0.85  # the best single model reaches about 0.6
    text = table.section(result)
    assert "| ours |" in text
    assert "64 [64]" in text
