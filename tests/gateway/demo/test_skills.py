"""The answers of simulated models."""

from itertools import combinations

import numpy as np
import pytest

from gateway.demo.questions import KINDS, generate
from gateway.demo.skills import LABEL, MODELS, SAME_WRONG, SimulatedModel


def test_the_share_of_correct_answers_equals_the_skill() -> None:
    questions = list(generate(600, 3))
    for model in MODELS:
        for kind, skill in zip(KINDS, model.skill, strict=True):
            asked = [q for q in questions if q.kind == kind]
            right = np.mean([f"{LABEL} The answer is {q.answer}." == model.answer(q.prompt) for q in asked])
            assert right == pytest.approx(skill, abs=0.15)


def test_two_wrong_answers_are_the_same_as_often_as_stated() -> None:
    useless = [SimulatedModel(name, (0.0,) * len(KINDS), (0.0, 0.0)) for name in "abcd"]
    for choice in (True, False):
        asked = [q for q in generate(1_800, 5) if bool(q.options) == choice]
        answers = [[model.answer(q.prompt) for q in asked] for model in useless]
        same = np.mean([one == other for pair in combinations(answers, 2) for one, other in zip(*pair, strict=True)])
        assert same == pytest.approx(SAME_WRONG, abs=0.03)


def test_a_wrong_choice_is_another_option() -> None:
    useless = SimulatedModel("a", (0.0,) * len(KINDS), (0.0, 0.0))
    asked = [q for q in generate(900, 6) if q.options]
    chosen = [(useless.answer(q.prompt).removeprefix(f"{LABEL} The answer is ").removesuffix("."), q) for q in asked]
    assert all(letter in q.options and letter != q.answer for letter, q in chosen)
    assert {(q.options.index(letter) - q.options.index(q.answer)) % 7 for letter, q in chosen if len(q.options) == 7} == {
        1, 2, 3, 4, 5, 6,
    }  # fmt: skip


def test_the_same_question_gets_the_same_answer_and_a_wrong_one_differs_from_the_correct_one() -> None:
    perfect = SimulatedModel("a", (1.0,) * len(KINDS), (0.0, 0.0))
    useless = SimulatedModel("a", (0.0,) * len(KINDS), (0.0, 0.0))
    for question in generate(60, 4):
        correct = perfect.answer(f"Hello. {question.prompt}")
        assert correct == f"{LABEL} The answer is {question.answer}."
        wrong = useless.answer(question.prompt)
        assert wrong != correct
        assert wrong == useless.answer(question.prompt)


def test_any_other_prompt_gets_an_explanation() -> None:
    assert "This is a, a simulated model" in SimulatedModel("a", (1.0,) * len(KINDS), (0.0, 0.0)).answer("Who are you?")
