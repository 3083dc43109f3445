"""The shipped encoder on 60 everyday questions and their translations (research/translations.tsv)."""

from pathlib import Path

import numpy as np
import pytest

from router.encode.load import load_encoder

LANGUAGES, *QUESTIONS = (
    line.split("\t")
    for line in (Path(__file__).parents[3] / "research" / "translations.tsv").read_text(encoding="utf-8").splitlines()
)
TEXTS = dict(zip(LANGUAGES, zip(*QUESTIONS, strict=True), strict=True))
ENCODER = load_encoder()
ENGLISH = ENCODER.encode(TEXTS["en"])[:, : ENCODER.text_dim]


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_a_question_resembles_its_translation_and_no_other(language: str) -> None:
    cosines = ENCODER.encode(TEXTS[language])[:, : ENCODER.text_dim] @ ENGLISH.T
    own = np.diag(cosines)
    others = (cosines.sum() - own.sum()) / (cosines.size - len(own))
    assert own.mean() > others + 0.3
    assert (cosines.argmax(axis=1) == np.arange(len(own))).mean() >= 0.75


@pytest.mark.parametrize(
    ("foreign", "english"),
    [
        ("Hallo, wie geht es dir?", "Hello, how are you?"),
        ("¿Qué hora es?", "What time is it?"),
        ("Buongiorno, vorrei un caffè.", "Good morning, I would like a coffee."),
        ("Qual é a capital do Brasil?", "What is the capital of Brazil?"),
        ("Hoe maak ik pannenkoeken?", "How do I make pancakes?"),
        ("Jaka jest stolica Polski?", "What is the capital of Poland?"),
        ("Türkiye'nin başkenti neresidir?", "What is the capital of Turkey?"),
    ],
)
def test_other_languages_are_closer_to_their_translation_than_to_another_text(foreign: str, english: str) -> None:
    own, other = (
        ENCODER.encode([english, "Write a Java class that sorts numbers with quicksort."])
        @ ENCODER.encode([foreign])[0]
    )
    assert own > other
