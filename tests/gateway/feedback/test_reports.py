"""Which outcomes of a model count, and which are kept aside for the check."""

from typing import Any

import numpy as np
import pytest

from gateway.feedback.reports import HELD_OUT, LEAST_HELD_OUT, Reports
from gateway.record.predictions import pack_query

WIDTH, TEXT = 12, 8


def row(name: str, source: str, kind: str, score: float, at: float, width: int = WIDTH) -> dict[str, Any]:
    q = np.random.default_rng(int(at)).standard_normal((1, width)).astype(np.float32)
    encoding, surface = pack_query(q, TEXT)
    named = {"request_id": name, "source": source, "kind": kind, "score": score, "time": at}
    return named | {"encoding": encoding, "surface": surface, "reliability": 1.0}


def shown(reports: Reports) -> list[tuple[str, str, float]]:
    names = zip(reports.request_ids, reports.sources, reports.scores, strict=True)
    return [(str(a), str(b), float(c)) for a, b, c in names]


def test_rows_are_sorted_by_time_and_those_of_another_encoder_are_left_out() -> None:
    rows = [
        row("b", "x", "feedback", 1.0, 2.0),
        row("a", "x", "feedback", 0.5, 1.0),
        row("c", "x", "feedback", 0, 3, 10),
    ]
    reports = Reports.of(rows, WIDTH)
    assert shown(reports) == [("a", "x", 0.5), ("b", "x", 1.0)]
    exact = np.random.default_rng(1).standard_normal((1, WIDTH)).astype(np.float32)
    assert np.abs(reports.q[0] - exact[0]).max() < 0.02
    assert len(Reports.of([], WIDTH)) == 0
    assert Reports.of([], WIDTH).q.shape == (0, WIDTH)


def test_an_exact_outcome_counts_alone_and_the_worst_of_several() -> None:
    rows = [
        row("a", "file:ci", "feedback", 1.0, 1.0),
        row("a", "grader:judge", "judge", 1.0, 1.0),
        row("a", "grader:json", "exact", 1.0, 1.0),
        row("a", "grader:tests", "exact", 0.0, 1.0),
        row("b", "file:ci", "feedback", 1.0, 2.0),
        row("b", "grader:judge", "judge", 0.0, 2.0),
    ]
    assert shown(Reports.of(rows, WIDTH).counting()) == [
        ("a", "grader:tests", 0.0),
        ("b", "file:ci", 1.0),
        ("b", "grader:judge", 0.0),
    ]


@pytest.mark.parametrize(("exact", "held"), [(0, 0), (5, 5), (40, LEAST_HELD_OUT), (200, round(200 * HELD_OUT))])
def test_the_newest_exact_outcomes_are_kept_aside(exact: int, held: int) -> None:
    rows = [row(f"e{i}", "grader:tests", "exact", 1.0, float(i)) for i in range(exact)]
    rows += [row(f"f{i}", "file:ci", "feedback", 1.0, 1_000.0 + i) for i in range(7)]
    used, aside = Reports.of(rows, WIDTH).split()
    assert [str(name) for name in aside.request_ids] == [f"e{i}" for i in range(exact - held, exact)]
    assert len(used) == exact - held + 7
    assert not set(used.request_ids) & set(aside.request_ids)
