"""The answers of simulated models."""

import numpy as np
import pytest

from gateway.demo.questions import KINDS, generate
from gateway.demo.skills import LABEL, MODELS, SimulatedModel


def test_the_share_of_correct_answers_equals_the_skill() -> None:
    questions = list(generate(600, 3))
    for model in MODELS:
        for kind, skill in zip(KINDS, model.skill, strict=True):
            asked = [q for q in questions if q.kind == kind]
            right = np.mean([f"{LABEL} The answer is {q.answer}." == model.answer(q.prompt) for q in asked])
            assert right == pytest.approx(skill, abs=0.15)


def test_the_same_question_gets_the_same_answer_and_a_wrong_one_is_close() -> None:
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
