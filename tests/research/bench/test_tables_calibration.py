"""Calibration by hand and on the small world; the shape of what timing measures."""

import numpy as np
import pytest

from research.bench.rows import OURS
from research.bench.tables import calibration, timing
from research.bench.tables.context import Context
from research.bench.tables.repeats import DRAWS
from tests.research.bench.table_world import LATER


def test_ece_and_brier_by_hand() -> None:
    p = np.array([0.1, 0.1, 0.9, 0.9], np.float32)
    y = np.array([0, 0, 1, 0.5], np.float32)
    found = calibration.calibration(p, y)
    assert found["ece"] == pytest.approx(0.5 * 0.1 + 0.5 * 0.15)
    assert found["brier"] == pytest.approx((0.01 + 0.01 + 0.01 + 0.16) / 4)
    assert found["predicted"] == pytest.approx([0.1, 0.9])
    assert found["observed"] == pytest.approx([0, 0.75])
    assert found["share"] == [0.5, 0.5]


def test_certain_predictions_fall_into_the_last_bin() -> None:
    found = calibration.calibration(np.ones(3, np.float32), np.ones(3, np.float32))
    assert found["ece"] == 0
    assert found["predicted"] == [1]


def test_every_evaluation_counts_once_and_new_models_by_themselves(small: Context) -> None:
    result = calibration.measure(small)
    test = int((small.data.splits == "test").sum())
    known = len(small.data.models) - len(LATER)
    assert result["reliability"][calibration.ALL]["evaluations"] == known * test
    assert set(result["rows"]) == {"kNN", "EmbedLLM", OURS}
    for of_row in result["rows"].values():
        assert 0 <= of_row["macro"]["ece"] <= 1
    assert result["rows"][OURS]["macro"]["ece"] < 0.15
    assert list(result["onboarded"]) == ["32", "128", "all"]
    for found in result["onboarded"].values():
        whole = found[calibration.ALL]
        assert whole["evaluations"] == len(LATER) * test * (DRAWS if "ece_spread" in whole else 1)
    few, every = result["onboarded"]["32"][calibration.ALL], result["onboarded"]["all"][calibration.ALL]
    assert few["ece_spread"] > 0
    assert "ece_spread" not in every
    assert "ECE, 32 evaluations" in calibration.section(result)


def test_a_median_is_taken_over_repeats_after_the_first() -> None:
    seen: list[int] = []
    assert timing.median_ms(seen.append, 3) >= 0
    assert seen == [0, 0, 1, 2]


def test_timing_measures_what_it_says(small: Context) -> None:
    result = timing.measure(small, sizes=(8, 100, 10**6), choices=3)
    assert [entry["evaluations"] for entry in result["embedding"]] == [8, 100]
    assert [entry["models"] for entry in result["choosing"]] == [10, 100, 1000]
    assert all(entry["ms"] > 0 for entry in result["embedding"] + result["choosing"])
    assert result["encoding"] is None
    assert "| models | 10 | 100 | 1,000 |" in timing.section(result)
