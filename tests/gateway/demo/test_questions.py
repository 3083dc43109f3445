"""Generated questions and their answers."""

from typing import Any

from gateway.demo.questions import KINDS, find_question, generate

TOM = "Tom drives 50 miles per hour for 3 hours, rests, and then drives 40 miles per hour for 2 hours. How many miles does Tom drive in total?"


def test_questions_are_found_in_prompts_and_answered() -> None:
    assert find_question(f"Please: {TOM} Thanks!") is not None
    assert find_question(TOM).answer == "230"  # type: ignore[union-attr]
    assert find_question("What is the capital of France?") is None
    day = next(q for q in generate(30, 5) if "Today is Monday" in q.prompt)
    found = find_question(f"Answer by the letter.\n\n{day.prompt}")
    assert found is not None
    assert (found.answer, found.options) == (day.answer, "ABCDEFG")
    python = next(q for q in generate(30, 5) if "def f(nums, k)" in q.prompt)
    code = python.prompt.split("\n\n", 1)[1]
    body, call = code.rsplit("\n\n", 1)
    scope: dict[str, Any] = {}
    exec(body, scope)  # the template's own formula against Python itself
    assert str(eval(call, scope)) == python.answer


def test_generation_is_seeded_distinct_and_covers_every_kind() -> None:
    questions = list(generate(300, 1))
    assert len({q.prompt for q in questions}) == 300
    assert {q.kind for q in questions} == set(KINDS)
    assert questions == list(generate(300, 1))
    assert questions != list(generate(300, 2))
