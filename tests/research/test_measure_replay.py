"""Replay and advice against evaluations in which every model answered every query."""

from functools import cache
from pathlib import Path

import pytest

from research.measure_replay import Matrix, measure, read_matrix, trials
from tests.gateway.running import shipped_router

DATA = next(
    (
        folder
        for parent in Path(__file__).resolve().parents
        if (folder := parent / "shared" / "data" / "llm-evals").is_dir()
    ),
    None,
)
pytestmark = pytest.mark.skipif(DATA is None, reason="needs shared/data/llm-evals beside a folder above the checkout")


@cache
def matrix() -> Matrix:
    assert DATA is not None
    return read_matrix(DATA, shipped_router())


def test_the_read_out_is_within_1_7_points_and_an_audit_within_0_7() -> None:
    rows = measure(matrix(), 12, (200,))
    assert len(rows) == 5
    for row in rows:
        assert row.readout[0] < 1.7, row
        assert row.difference[0] < 1.7, row
        assert row.audits[200][2] >= 0.75, row  # 90% are expected
    rare = [row for row in rows if row.share < 0.25]
    assert len(rare) >= 2
    assert all(row.audits[200][0] < 0.7 for row in rare), rare


def test_nine_in_ten_additions_that_are_named_are_right() -> None:
    found = trials(matrix(), 120)
    assert found.named >= 12
    assert found.right >= 0.9 * found.named
