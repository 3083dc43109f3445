"""Every model embedded from few evaluations: losses by hand, and the small world."""

import numpy as np
import pytest

from research.bench.tables import few_evaluations as table
from research.bench.tables.context import Context
from research.bench.tables.repeats import DRAWS


def test_losses_by_hand() -> None:
    brier, entropy = table.losses(np.array([0.5, 0.9], np.float32), np.array([1, 0.5], np.float32))
    assert brier == pytest.approx((0.25 + 0.16) / 2)
    assert entropy == pytest.approx((np.log(2) - 0.5 * (np.log(0.9) + np.log(0.1))) / 2)
    certain, _ = table.losses(np.array([0, 1], np.float32), np.array([0, 1], np.float32))
    assert certain == 0
    assert np.isfinite(table.losses(np.array([0.0], np.float32), np.array([1], np.float32))[1])


def test_the_small_world_from_few_evaluations(small: Context) -> None:
    result = table.measure(small, sizes=(8, 100))
    few, some, every = result["sizes"]
    assert [entry["draws"] for entry in (few, some, every)] == [DRAWS, DRAWS, 1]
    assert few["spread"]["routing"]["macro"] > 0
    assert every["spread"]["routing"] == {}
    routing = [entry["mean"]["routing"]["macro"] for entry in (few, some, every)]
    assert routing[2] == pytest.approx(
        np.mean([small.rows["ours"].outcome(small.evidence.truth, pool).routing for pool in small.pools("test")])
    )
    assert routing[2] > 0.85
    assert few["mean"]["best single"]["macro"] < every["mean"]["best single"]["macro"]
    assert few["mean"]["brier"]["macro"] > every["mean"]["brier"]["macro"]
    text = table.section(result)
    assert "| measure | 8 | 100 | all |" in text
    assert "±" in text
