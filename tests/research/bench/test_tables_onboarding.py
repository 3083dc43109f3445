"""Onboarding: agreement and refitting against values worked out by hand, and newcomers to the small world."""

import numpy as np
import pytest
import torch

from research.bench.rows import OURS
from research.bench.tables import onboarding as table
from research.bench.tables.context import Context
from research.bench.tables.newcomers import AGREEMENT, OWN, REFIT, Embedded, agreement, refit
from research.bench.tables.onboarding import FOLDED, FRESH, sample
from research.bench.tables.repeats import DRAWS
from tests.research.bench.table_world import LATER

_ = np.nan


def test_agreement_counts_common_queries_and_doubts_few_of_them() -> None:
    y = np.array([1, 1, 0, 0.5], np.float32)
    others = np.array([[1, 1, 0, 0.5], [1, _, _, _], [0, 0, 1, 1], [_, _, _, _]], np.float32)
    np.testing.assert_allclose(agreement(y, others), [(4 + 1) / 6, (1 + 1) / 3, (0.5 + 1) / 6, 0.5])


def test_samples_nest() -> None:
    rows = np.arange(100, 140)
    few, many = sample(rows, 5, 0, 3), sample(rows, 20, 0, 3)
    assert set(few) < set(many)
    assert len(sample(rows, 1000, 0, 3)) == 40
    assert set(sample(rows, 5, 1, 3)) != set(few)


def test_a_strong_pull_keeps_the_vector_at_the_centre_and_a_weak_one_follows_the_scores() -> None:
    x = torch.eye(2).repeat(1, 20, 1)  # queries along two directions by turns
    y = torch.tensor([[1.0, 0.0]]).repeat(1, 20)
    mask = torch.ones_like(y, dtype=torch.bool)
    centre, offset = torch.tensor([1.0, 1.0]), torch.zeros(1)
    held = refit(x, y, mask, centre, offset, 1e6)
    np.testing.assert_allclose(held, [[1, 1]], atol=0.02)
    free = refit(x, y, mask, centre, offset, 0.1)
    assert free[0, 0] > 2
    assert free[0, 1] < -1
    unknown = refit(x, y, torch.zeros_like(mask), centre, offset, 0.1)
    np.testing.assert_allclose(unknown, [[1, 1]], atol=1e-6)


@pytest.fixture(scope="module")
def result(small: Context) -> dict[str, object]:
    return table.measure(small, sizes=(8, 100), folds=2)


def test_every_known_model_is_a_newcomer_once_and_those_marked_are_theirs(small: Context, result: dict) -> None:  # type: ignore[type-arg]
    (fresh,), folds = result[FRESH], result[FOLDED]
    assert fresh["newcomers"] == [small.data.models[m] for m in LATER]
    names = [name for fold in folds for name in fold["newcomers"]]
    assert sorted(names) == sorted(n for m, n in enumerate(small.data.models) if m not in LATER)
    for case in (fresh, *folds):
        assert set(case["ways"]) == {OURS, AGREEMENT, OWN, REFIT}


def test_newcomers_of_known_kinds_are_predicted_well_from_few_evaluations(result: dict) -> None:  # type: ignore[type-arg]
    (fresh,) = result[FRESH]
    few, many = fresh["ways"][OURS]
    assert few["models"] == many["models"] == len(LATER)
    assert few["full_prediction"] == pytest.approx(many["full_prediction"])
    assert many["prediction"] > 0.6  # an adder and a dabbler: their best guesses are right about 69% of the time
    assert abs(many["prediction"] - many["full_prediction"]) < 0.05
    assert many["routing"] > 0.8
    assert len(few["routing_draws"]) == few["draws"] == DRAWS
    assert table._between([fresh], "routing")[OURS][8] == pytest.approx(np.std(few["routing_draws"], ddof=1))
    text = table.section(result)
    assert "±" in text
    assert f"| {AGREEMENT} |" in text
    assert "| way | 8 | 100 |" in text


def test_a_model_with_no_more_evaluations_than_asked_for_does_not_count(small: Context) -> None:
    case = next(table._fresh(small))
    rows = [small.answered(m) for m in LATER]
    whole = table._results(case, Embedded(case), case.p_known, rows, 0.0)
    found = table._compared([whole], whole, rows, max(map(len, rows)))
    assert found["models"] == 0
    assert found["prediction"] is None
    assert found["routing"] == found["full_routing"]
