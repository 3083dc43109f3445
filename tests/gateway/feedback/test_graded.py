"""Which requests a grader grades, and what happens when answers come faster than they are graded."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config.database_location import DatabaseLocation
from gateway.config.feedback import FeedbackEntry, GraderEntry
from gateway.feedback import graders as graders_module
from gateway.feedback.graded import AnsweredText, Facts, matches
from gateway.feedback.graders import Graders
from gateway.feedback.judging import Judgement, Judging, NotJudged
from gateway.feedback.outcomes import Outcomes
from gateway.store.database import Database

pytestmark = pytest.mark.anyio
FACTS = Facts("small", "cheap", "ci", ("maths", "x"), {"type": "object"}, {"task": "add", "sum": "4", "list": [1]})


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({}, True),
        ({"tags": ["maths", "other"]}, True),
        ({"tags": ["other"]}, False),
        ({"keys": ["ci"]}, True),
        ({"keys": ["bob"]}, False),
        ({"models": ["small"], "policies": ["cheap"]}, True),
        ({"models": ["large"]}, False),
        ({"policies": ["best"]}, False),
        ({"metadata": {"task": "add"}}, True),
        ({"metadata": {"task": "add", "sum": "5"}}, False),
        ({"metadata": {"colour": "red"}}, False),
        ({"schema_asked": True}, True),
        ({"schema_asked": False}, False),
    ],
)
def test_everything_that_is_stated_holds(match: dict[str, Any], expected: bool) -> None:
    grader = GraderEntry.model_validate({"name": "g", "checker": "exact", "match": match})
    assert matches(grader, FACTS) is expected


def test_what_a_grader_needs() -> None:
    assert matches(GraderEntry(name="g", checker="json_schema"), FACTS)
    assert not matches(GraderEntry(name="g", checker="json_schema"), replace(FACTS, schema=None))
    assert matches(GraderEntry(name="g", checker="exact", reference_metadata="sum"), FACTS)
    assert not matches(GraderEntry(name="g", checker="exact", reference_metadata="list"), FACTS)
    assert matches(GraderEntry(name="g", model="large"), FACTS)
    assert not matches(GraderEntry(name="g", model="small"), FACTS)


class Judge:
    """A model that judges everything as good, for nothing."""

    def highest_nusd(self, model: str, system: str, user: str, max_tokens: int) -> int | None:
        return 0

    async def __call__(self, model: str, system: str, user: str, max_tokens: int) -> Judgement:
        raise NotJudged("failed")


async def test_answers_that_find_no_place_are_counted_and_a_sample_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graders_module, "MOST_WAITING", 3)
    database = Database(DatabaseLocation(tmp_path / "store.db"))
    settings = FeedbackEntry(graders=[GraderEntry(name="g", checker="exact", sample=0.5)])
    graded: list[tuple[str, str]] = []
    draws = iter([0.4, 0.6, 0.2])

    async def encode(text: str) -> tuple[bytes, bytes] | None:
        return None

    graders = Graders(
        Outcomes(database),
        lambda: settings,
        Judging(database, Judge()),
        encode,
        lambda: "c",
        lambda grader, result: graded.append((grader, result)),
        lambda: next(draws),
    )
    assert [len(graders.wanting(FACTS)) for _ in range(3)] == [1, 0, 1]
    answer = AnsweredText("r", FACTS, "small/0", 1.0, "What?", "4", "stop", (b"e", b"s"))
    for _ in range(5):
        graders.add(answer, settings.graders)
    assert graded == [("g", "dropped")] * 2
    assert not graders.idle
    await database.close()
