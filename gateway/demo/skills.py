"""Defines the simulated models: their skills by kind of question, and their prices. Answers are deterministic."""

import hashlib
import re
from dataclasses import dataclass

from gateway.demo.questions import KINDS, find_question

LABEL = "[simulated]"


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
        luck = int.from_bytes(hashlib.sha256(f"{self.name}\n{question.prompt}".encode()).digest()[:8], "big") / 2**64
        right = luck < self.skill[KINDS.index(question.kind)]
        return f"{LABEL} The answer is {question.answer if right else _wrong(question.answer)}."


def _wrong(answer: str) -> str:
    """Return a wrong answer: the first number is increased by one; a text without numbers loses its last character."""
    number = re.search(r"\d+", answer)
    if number is None:
        return answer[:-1] or "unknown"
    return answer[: number.start()] + str(int(number[0]) + 1) + answer[number.end() :]


#                        word problems, competition math, code, science, Chinese
MODELS = (
    SimulatedModel("sim-math", (0.98, 0.92, 0.45, 0.55, 0.40), (2.0, 8.0)),
    SimulatedModel("sim-math-mini", (0.94, 0.80, 0.35, 0.45, 0.30), (0.3, 1.2)),
    SimulatedModel("sim-code", (0.60, 0.40, 0.97, 0.45, 0.30), (2.0, 8.0)),
    SimulatedModel("sim-code-mini", (0.50, 0.30, 0.90, 0.35, 0.25), (0.3, 1.2)),
    SimulatedModel("sim-chinese", (0.55, 0.30, 0.35, 0.40, 0.96), (1.0, 4.0)),
    SimulatedModel("sim-generalist", (0.85, 0.60, 0.75, 0.85, 0.70), (5.0, 15.0)),
    SimulatedModel("sim-tiny", (0.40, 0.10, 0.20, 0.25, 0.15), (0.05, 0.1)),
)
