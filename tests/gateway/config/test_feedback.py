"""The section `feedback` of a portfolio file."""

from pathlib import Path
from typing import Any

import pytest

from gateway.config.feedback import FeedbackEntry, GraderEntry
from gateway.config.portfolio_file import PortfolioError, load_portfolio
from router.probes.checker_spec import CheckerSpec
from tests.gateway.running import entry, write_portfolio


def loaded(folder: Path, **feedback: Any) -> FeedbackEntry:
    portfolio = load_portfolio(write_portfolio(folder, [entry("m", "http://127.0.0.1:9/v1")], feedback=feedback), {})
    assert portfolio.feedback is not None
    return portfolio.feedback


def test_an_empty_section_has_the_defaults(tmp_path: Path) -> None:
    feedback = loaded(tmp_path)
    assert (feedback.half_life, feedback.source_cap, feedback.total_cap) == (30 * 86_400, 0.1, 0.25)
    assert (feedback.refine_every, feedback.refine_outcomes, feedback.graders) == (3600, 500, [])
    assert load_portfolio(write_portfolio(tmp_path, [entry("m", "http://127.0.0.1:9/v1")]), {}).feedback is None


def test_graders_are_read(tmp_path: Path) -> None:
    exact, asked, judge = loaded(
        tmp_path,
        half_life="14d",
        graders=[
            {"name": "sums", "checker": {"type": "number", "tolerance": 0.1}, "match": {"tags": ["maths"]}},
            {"name": "json", "checker": "json_schema", "sample": 0.5},
            {"name": "judge", "model": "m", "usd_per_day": 2, "sensitivity": 0.9, "specificity": 0.7},
        ],
    ).graders
    assert exact.spec == CheckerSpec("number", {"tolerance": 0.1})
    assert (exact.share, asked.share, judge.share) == (1.0, 0.5, 0.02)
    assert (exact.of_request, asked.of_request, asked.spec, judge.spec) == (False, True, None, None)


@pytest.mark.parametrize(
    ("grader", "problem"),
    [
        ({"name": "g"}, "exactly one of checker and model"),
        ({"name": "g", "checker": "exact", "model": "m"}, "exactly one of checker and model"),
        ({"name": "g", "checker": "colour"}, "unknown type 'colour'"),
        ({"name": "g", "checker": "python"}, "option 'tests' of python is missing"),
        ({"name": "g", "checker": {"type": "number", "colour": 1}}, "unknown option 'colour' of number"),
        ({"name": "g", "checker": "judge"}, "judge cannot grade requests"),
        ({"name": "g", "checker": "tool"}, "tool cannot grade requests"),
        ({"name": "g", "model": "other"}, "found 'other', which is no chat model of this file"),
        ({"name": "g", "model": "m", "sample": 2}, "sample"),
        ({"name": "g", "model": "m", "match": {"colour": "red"}}, "unknown key"),
    ],
)
def test_wrong_graders_are_named_with_their_line(tmp_path: Path, grader: dict[str, Any], problem: str) -> None:
    with pytest.raises(PortfolioError) as refused:
        loaded(tmp_path, graders=[grader])
    assert problem in str(refused.value)
    assert "feedback" in str(refused.value)


def test_names_of_graders_differ(tmp_path: Path) -> None:
    graders = [{"name": "g", "checker": "exact"}, {"name": "g", "model": "m"}]
    with pytest.raises(PortfolioError, match="two graders are named 'g'"):
        loaded(tmp_path, graders=graders)


def test_a_schema_of_the_file_is_no_schema_of_the_request() -> None:
    grader = GraderEntry(name="g", checker={"type": "json_schema", "schema": {"type": "object"}})
    assert not grader.of_request
    assert grader.spec == CheckerSpec("json_schema", {"schema": {"type": "object"}})


def test_a_judge_of_onboarding_is_a_model_of_the_file(tmp_path: Path) -> None:
    path = write_portfolio(tmp_path, [entry("m", "http://127.0.0.1:9/v1", onboard={"judge": "other"})])
    with pytest.raises(PortfolioError, match=r"models\[0\].onboard.judge: found 'other', which is no chat model"):
        load_portfolio(path, {})
