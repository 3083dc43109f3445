"""Defines the simulated models: their skills by kind of question, and their prices. Answers are deterministic.

Models err independently of each other, but two wrong answers to a question are often the same, as those of real models are.
"""

import hashlib
import re
from dataclasses import dataclass
from math import sqrt

from gateway.demo.questions import KINDS, Question, find_question

LABEL = "[simulated]"
SAME_WRONG = 0.4  # two wrong answers are the same with this probability; for real models 0.32 to 0.51 was measured
OTHER_NUMBERS = 97  # wrong numbers beside the one that models give most often


@dataclass(frozen=True, slots=True)
class SimulatedModel:
    """A simulated model, which only answers generated questions.

    Attributes:
        skill: the share of correct answers for each kind, in the order of `KINDS`.
        usd_per_mtok: the prices for input and output, in USD per million tokens.
    """

    name: str
    skill: tuple[float, ...]
    usd_per_mtok: tuple[float, float]

    def answer(self, prompt: str) -> str:
        """Return a correct or a wrong answer; for any other prompt, a text that says that the model is simulated."""
        question = find_question(prompt)
        if question is None:
            return (
                f"{LABEL} This is {self.name}, a simulated model. It only knows the demo's questions and calls no tools. "
                "`locus init` writes a portfolio of real models."
            )
        right = self._luck(question, "right") < self.skill[KINDS.index(question.kind)]
        return f"{LABEL} The answer is {question.answer if right else self._wrong(question)}."

    def _wrong(self, question: Question) -> str:
        """Return a wrong answer: the next option, or the first number increased; a text without a number gets one."""
        number = re.search(r"\d+", question.answer)
        others = len(question.options) - 2 if question.options else OTHER_NUMBERS
        step = 1
        if self._luck(question, "usual") >= _share_of_usual(others):
            step = 2 + int(self._luck(question, "other") * others)
        if question.options:
            return question.options[(question.options.index(question.answer) + step) % len(question.options)]
        if number is None:
            return f"{question.answer}{step}"
        return question.answer[: number.start()] + str(int(number[0]) + step) + question.answer[number.end() :]

    def _luck(self, question: Question, purpose: str) -> float:
        """Return a number in [0, 1) that depends on the model, the question and what it is for."""
        text = f"{self.name}\n{question.prompt}" + ("" if purpose == "right" else f"\n{purpose}")
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _share_of_usual(others: int) -> float:
    """Return how often a wrong answer is the usual one if two are the same with probability `SAME_WRONG`.

    The solution x of x² + (1 - x)² / others = SAME_WRONG, as the other wrong answers are equally frequent.
    """
    return (1 + sqrt(1 - (others + 1) * (1 - others * SAME_WRONG))) / (others + 1)


#                        word problems, competition math, code, science, Chinese, multiple choice
MODELS = (
    SimulatedModel("sim-math", (0.98, 0.92, 0.45, 0.55, 0.40, 0.72), (2.0, 8.0)),
    SimulatedModel("sim-math-mini", (0.94, 0.80, 0.35, 0.45, 0.30, 0.66), (0.3, 1.2)),
    SimulatedModel("sim-code", (0.60, 0.40, 0.97, 0.45, 0.30, 0.70), (2.0, 8.0)),
    SimulatedModel("sim-code-mini", (0.50, 0.30, 0.90, 0.35, 0.25, 0.62), (0.3, 1.2)),
    SimulatedModel("sim-chinese", (0.55, 0.30, 0.35, 0.40, 0.96, 0.68), (1.0, 4.0)),
    SimulatedModel("sim-generalist", (0.85, 0.60, 0.75, 0.85, 0.70, 0.74), (5.0, 15.0)),
    SimulatedModel("sim-tiny", (0.40, 0.10, 0.20, 0.25, 0.15, 0.40), (0.05, 0.1)),
)
