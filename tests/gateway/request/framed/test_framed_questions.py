"""The same question is routed alike whatever agent sends it."""

from typing import Any

import numpy as np
import pytest

from gateway.request.query_text import query_text
from router.model.serving import Router
from tests.gateway.request.framed.framed import framed, frames, questions

QUESTIONS = questions()
FRAMES = frames()
AGENTS = [
    "aider",
    "dspy",
    "CrewAI",
    "smolagents",
    "n8n, conversational agent",
    "Open WebUI, documents",
    "LangChain ReAct",
    "Cline",
]
MODELS = 12


def test_there_are_20_questions_and_no_two_kinds_share_one() -> None:
    assert len(QUESTIONS) == len(set(QUESTIONS.values())) == 20


@pytest.mark.parametrize("name", FRAMES)
def test_the_question_is_found_in_every_frame(name: str) -> None:
    found = {kind: query_text(framed(FRAMES[name], question)) for kind, question in QUESTIONS.items()}
    assert found == QUESTIONS


@pytest.mark.parametrize("kind", QUESTIONS)
def test_a_question_without_a_frame_is_unchanged(kind: str) -> None:
    assert query_text([{"role": "user", "content": QUESTIONS[kind]}]) == QUESTIONS[kind]


def test_p_correct_depends_on_the_question_and_not_on_the_frame() -> None:
    router = Router.load()
    models = router.space.models[:: max(1, len(router.space.models) // MODELS)][:MODELS]
    conversations: list[list[dict[str, Any]]] = []
    for question in QUESTIONS.values():
        conversations += [
            [{"role": "user", "content": question}],
            *(framed(FRAMES[agent], question) for agent in AGENTS),
        ]
    p = router.predict([query_text(messages) for messages in conversations], models).p_correct
    by_question = p.reshape(len(QUESTIONS), 1 + len(AGENTS), len(models))
    assert (np.ptp(by_question, axis=1) <= 0.05).all()
